package runnertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// mounts tests directories of the host that are shown, with a runner that has mounts; any other must refuse them.
func (s *suite) mounts(t *testing.T) {
	r := s.runner(t)
	work, tools := MountDir(t), MountDir(t)
	if err := os.WriteFile(filepath.Join(tools, "given"), []byte("given"), 0o644); err != nil {
		t.Fatal(err)
	}
	with := func(args ...string) runner.Spec {
		spec := s.spec(t, args...)
		spec.Mounts = []runner.Mount{{Dir: work, At: "/build/work", Writable: true}, {Dir: tools, At: "/build/tools"}}
		return spec
	}
	if !s.ability.Isolated || s.ability.Kernel {
		if _, err := r.Start(t.Context(), with("args")); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
			t.Errorf("Start = %v, want an Unavailable fault with a hint", err)
		}
		return
	}
	if got := s.run(t, r, with("read", "/build/tools/given")); got != "given" {
		t.Errorf("read printed %q, want given", got)
	}
	for range 2 { // the second sandbox is another user on the host, and may change what the first one left
		if got := s.run(t, r, with("write", "/build/work/made")); got != "wrote" {
			t.Errorf("write of a writable mount printed %q, want wrote", got)
		}
	}
	if _, err := os.ReadFile(filepath.Join(work, "made")); err != nil {
		t.Errorf("what a sandbox wrote: %v", err)
	}
	for _, file := range []string{"/build/tools/made", "/build/tools/given", "/build/made"} {
		b := start(t, r, with("write", file))
		if e := b.end(); e.Code != 1 || b.err.String() == "" {
			t.Errorf("write of %s: exit %+v, stderr %q; want code 1 and why", file, e, b.err.String())
		}
	}
	if got := s.run(t, r, func() runner.Spec { spec := with("read", "/build/tools/given"); spec.Base = "host"; return spec }()); got != "given" {
		t.Errorf("on the host's base read printed %q, want given", got)
	}
	for name, m := range map[string]runner.Mount{
		"over the host's": {Dir: work, At: "/usr"}, "upwards": {Dir: work, At: "/build/.."}, "too deep": {Dir: work, At: "/build/a/b"}, "relative": {Dir: "work", At: "/build/a"},
	} {
		spec := s.spec(t, "args")
		spec.Mounts = []runner.Mount{m}
		if _, err := r.Start(t.Context(), spec); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: Start = %v, want an Invalid fault", name, err)
		}
	}
	spec := with("args")
	spec.Mounts[0].Dir = "/none/of/this"
	if _, err := r.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "/none/of/this") {
		t.Errorf("Start = %v, want an error that names the directory", err)
	}
}

// MountDir makes a directory that a sandbox may write to.
func MountDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mount")
	err := os.Mkdir(dir, 0o755)
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(dir, runner.MountOwner, runner.MountOwner)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
