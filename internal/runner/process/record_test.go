package process

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
	for id, content := range map[string][]byte{"one": b, "torn": b[:len(b)/2]} {
		if err := os.Mkdir(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, id, recordName), content, 0o600); err != nil {
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
