package client

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAClientIsInstalledWholeOrNotAtAll(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir()) // where other systems have their cache
	shell := Client{Name: "shell", Language: "shell", Programs: []string{"sh"}}
	if _, err := shell.Find(); !errors.Is(err, ErrNotHere) {
		t.Fatalf("Find before Install = %v, want ErrNotHere", err)
	}
	if err := shell.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir, err := shell.Find()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "bootstrap"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("bootstrap = %v, %v; want one that everybody may run", info, err)
	}
	broken := shell
	broken.Programs = []string{"no-such-program"}
	if _, err := broken.Find(); !errors.Is(err, ErrNotHere) {
		t.Errorf("Find without its program = %v, want ErrNotHere", err)
	}
	if rest, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "install-*")); err != nil || len(rest) > 0 {
		t.Errorf("left behind: %v, %v", rest, err)
	}
}

func TestEveryClientHasARecipe(t *testing.T) {
	all := Everything()
	for _, c := range all {
		if _, err := recipes.ReadFile(c.recipe() + "/install.sh"); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	entries, err := recipes.ReadDir("recipes")
	if err != nil || len(entries) != len(all) {
		t.Errorf("%d recipes for %d clients, %v", len(entries), len(all), err)
	}
}
