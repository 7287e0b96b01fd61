package cli_test

import (
	_ "embed"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// ordinaryDoctor is in the test binary since an ordinary user need not be able to read these directories.
//
//go:embed testdata/ordinary/doctor.txtar
var ordinaryDoctor []byte

// TestOrdinaryUsersScripts runs those that are about a node without rights.
func TestOrdinaryUsersScripts(t *testing.T) {
	need.Linux(t)
	if os.Geteuid() == 0 {
		runnertest.AsOrdinaryUser(t, "TestOrdinaryUsersScripts")
		return
	}
	script := filepath.Join(t.TempDir(), "doctor.txtar")
	if err := os.WriteFile(script, ordinaryDoctor, 0o644); err != nil {
		t.Fatal(err)
	}
	p := params()
	p.Files = []string{script}
	testscript.Run(t, p)
}
