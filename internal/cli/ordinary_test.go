package cli_test

import (
	"embed"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// ordinaryScripts are in the test binary since an ordinary user need not be able to read these directories.
//
//go:embed testdata/ordinary/*.txtar
var ordinaryScripts embed.FS

// TestOrdinaryUsersScripts runs those that are about a node without rights.
func TestOrdinaryUsersScripts(t *testing.T) {
	need.Linux(t)
	if os.Geteuid() == 0 {
		runnertest.AsOrdinaryUser(t, "TestOrdinaryUsersScripts")
		return
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, ordinaryScripts); err != nil {
		t.Fatal(err)
	}
	p := params()
	p.Dir = filepath.Join(dir, "testdata", "ordinary")
	testscript.Run(t, p)
}
