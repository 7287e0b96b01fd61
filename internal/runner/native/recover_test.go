//go:build linux

package native

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

func TestRecoverKillsNoOtherProcessOfTheSamePID(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(need.Program(t, "sleep"), "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	b, err := json.Marshal(tree.Identity{PID: cmd.Process.Pid, Start: "an earlier one"})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"one.json": b, "torn.json": b[:len(b)/2]} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := New(Options{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.Recover(t.Context()); n != 2 || err != nil {
		t.Errorf("Recover = %d, %v; want 2, nil", n, err)
	}
	if p, ok := tree.Find(cmd.Process.Pid); !ok || p.Zombie {
		t.Error("Recover killed a process that is not the recorded one")
	}
}

func TestRemedyNamesTheNextStep(t *testing.T) {
	for _, text := range []string{"make namespaces: operation not permitted", "make a sandbox: mount /proc: operation not permitted"} {
		err := remedy(fault.New(fault.Unavailable, "%s", text))
		if fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
			t.Errorf("remedy = %v, hint %q; want an Unavailable fault with a hint", err, fault.HintOf(err))
		}
	}
}

func TestRecoverRemovesCgroupsOfANodeThatWasElsewhere(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	r, err := New(Options{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	left := filepath.Join(elsewhere, r.name)
	if err := os.MkdirAll(filepath.Join(left, "token-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	others := filepath.Join(elsewhere, "others")
	if err := os.Mkdir(others, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, parentsName), []byte(left+"\n"+others+"\n"+elsewhere+"/dala"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("Stat(%s) = %v, want it gone", left, err)
	}
	if _, err := os.Stat(others); err != nil {
		t.Errorf("a directory that is not ours: %v, want it there", err)
	}
	dirs, err := r.notedParents()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d == left {
			t.Errorf("%s is still noted", left)
		}
	}
}
