package build

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A build can make directories in one another far faster than they are looked at. To remove them takes no more open files than the node has.
func TestRemoveTreeThatIsDeeperThanFilesCanBeOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "work")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	deepen(t, dir, 1000)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = min(before.Cur, 200)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	if err := removeTree(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("after removeTree: Lstat = %v, want that nothing is there", err)
	}
}

// deepen makes directories in one another, with a closed one and a file at each hundredth.
func deepen(t *testing.T, dir string, levels int) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range levels {
		if err := root.Mkdir("d", 0o755); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			if err := root.WriteFile("f", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		below, err := root.OpenRoot("d")
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 50 {
			if err := root.Chmod("d", 0); err != nil {
				t.Fatal(err)
			}
		}
		root.Close()
		root = below
	}
	root.Close()
}
