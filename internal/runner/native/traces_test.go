//go:build linux

package native

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

func TestTheNextNodeRemovesWhatAKilledOneLeftWithoutASuccessor(t *testing.T) {
	fences(t)
	runnertest.Orphans(t, newRunner)
}

func TestOnlyWhatANodeMadeThatIsGoneIsRemoved(t *testing.T) {
	dir, groups := t.TempDir(), t.TempDir()
	state := t.TempDir()
	of := func() *traces { return &traces{dir: dir} }
	made := func(name string) string {
		p := filepath.Join(groups, name)
		if err := os.MkdirAll(filepath.Join(p, "token-1"), 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	note := func(name, state string) *traces {
		tr := of()
		if err := tr.leave(name, state, []string{made(name), filepath.Join(groups, "others"), "/run/others"}); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	made("others")
	die := func(tr *traces) { tr.mine.Close() } // as the kernel does for one that is killed

	die(note("dalamb-gone", filepath.Join(state, "gone")))
	die(note("dalamb-killed", state))
	living := note("dalamb-living", filepath.Join(state, "gone, and it lives"))
	if err := os.WriteFile(filepath.Join(dir, "dalamb-torn"), nil, 0o600); err != nil { // killed before it wrote
		t.Fatal(err)
	}
	gone, err := of().orphans(t.Context())
	if err != nil || !slices.Equal(gone, []string{filepath.Join(state, "gone")}) {
		t.Errorf("orphans = %q, %v; want the one whose state directory is gone", gone, err)
	}
	for path, want := range map[string]bool{
		filepath.Join(groups, "dalamb-gone"): false, filepath.Join(dir, "dalamb-gone"): false, filepath.Join(dir, "dalamb-torn"): false,
		filepath.Join(groups, "dalamb-killed"): true, filepath.Join(groups, "dalamb-living"): true, filepath.Join(groups, "others"): true,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("Stat(%s) = %v, want it there: %v", path, err, want)
		}
	}
	if err := of().leave("dalamb-living", state, nil); err != nil {
		t.Errorf("a second node of the same state directory: %v, want nothing done", err)
	}
	if err := living.erase(); err != nil {
		t.Error(err)
	}
	successor := note("dalamb-killed", state)
	if err := successor.erase(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
