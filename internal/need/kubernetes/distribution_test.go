package kubernetes

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestAnotherSumIsAnotherProgram: what was built of other modules is not taken.
func TestAnotherSumIsAnotherProgram(t *testing.T) {
	root := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	t.Setenv("HOME", root) // where other systems have their cache
	t.Setenv("PATH", filepath.Join(root, "bin"))
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	missing := func(what string) {
		t.Helper()
		if _, err := Find(); !errors.Is(err, ErrNotHere) {
			t.Errorf("Find without %s = %v, want ErrNotHere", what, err)
		}
	}
	write("internal/need/kubernetes/x.go", "package kubernetes\n")
	t.Chdir(filepath.Join(root, "internal/need/kubernetes"))
	missing("etcd")
	write("bin/etcd", "#!/bin/sh\n")
	missing("its module")
	write(module+"/go.mod", "module x\n")
	write(module+"/go.sum", "one\n")
	missing("a build")
	_, program, err := place()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(program), 0o755), os.WriteFile(program, nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(); err != nil {
		t.Errorf("Find = %v", err)
	}
	write(module+"/go.sum", "two\n")
	missing("a build of these modules")
}
