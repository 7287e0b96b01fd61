package build

import (
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A build may put a pipe in the place of a directory that was listed just before.
func TestToMeasureWaitsForNoPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	done := make(chan error, 1)
	go func() { done <- (&measuring{root: root, most: math.MaxInt64}).directory("pipe", 1) }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("to measure a pipe: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("to measure a pipe waits for who writes to it")
		f, err := os.OpenFile(pipe, os.O_RDWR, 0) // lets it go
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		<-done
	}
}
