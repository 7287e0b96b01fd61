package runnertest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

const nobody = 65534

// AsOrdinaryUser runs the test named so of this test binary again, as a user without rights. It needs root for that; an
// ordinary user's own run of the test is what it is about already.
func AsOrdinaryUser(t *testing.T, test string) {
	t.Helper()
	ordinary(t, test)
}

// escapesVar says where a test that runs as an ordinary user leaves its tries.
const escapesVar = "DALAMB_RUNNERTEST_ESCAPES"

// EscapesAsOrdinaryUser does that with a test that lets functions try to get out and calls LeaveEscapes.
func EscapesAsOrdinaryUser(t *testing.T, test string) (all []Escape) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(ordinary(t, test), "escapes"))
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatalf("read what came of the tries: %v", err)
	}
	return all
}

// LeaveEscapes leaves what came of the tries to the test that runs this one.
func LeaveEscapes(t *testing.T, all []Escape) {
	t.Helper()
	b, err := json.Marshal(all)
	if err == nil && os.Getenv(escapesVar) != "" {
		err = os.WriteFile(os.Getenv(escapesVar), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ordinary runs the test in a directory of that user's, and returns it.
func ordinary(t *testing.T, test string) (dir string) {
	t.Helper()
	need.Root(t)
	dir, err := os.MkdirTemp("", "dalamb-ordinary-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{self: "tests", filepath.Join(Code(t), "fn"): "fn"} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	su := filepath.Join(dir, "su")
	if err := os.CopyFS(su, os.DirFS(Code(t))); err != nil {
		t.Fatal(err)
	}
	if err := askForRoot(filepath.Join(su, "fn")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "tests"), "-test.run=^"+test+"$", "-test.v", "-test.timeout=5m")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, "DALAMB_RUNNERTEST_FN="+filepath.Join(dir, "fn"),
		suVar+"="+su, escapesVar+"="+filepath.Join(dir, "escapes"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as an ordinary user: %v\n%s", err, out)
	}
	t.Logf("as an ordinary user:\n%s", out)
	return dir
}
