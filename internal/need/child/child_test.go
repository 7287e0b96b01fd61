package child

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running starts a program that says something and stays, in a directory of its own.
func running(t *testing.T) (c *Child, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	c, err := Start(dir, out, []string{"sh", "-c", "echo hello; exec sleep 3600"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.End(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		if text, err := os.ReadFile(out); err == nil && strings.TrimSpace(string(text)) == "hello" {
			return c, dir
		}
		if time.Now().After(deadline) {
			t.Fatal("the program said nothing")
		}
	}
}

func TestAChildIsEnded(t *testing.T) {
	c, dir := running(t)
	if c.Ended() {
		t.Error("it ended by itself")
	}
	if err := c.End(syscall.SIGTERM); err != nil || !c.Ended() {
		t.Errorf("End = %v, and it has ended = %t", err, c.Ended())
	}
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to one that has ended = %v, want nothing", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("its directory: %v, want that it stays", err)
	}
}

// TestAChildEndsWithItsParent, whose end of the pipe is closed when it dies, and leaves nothing behind.
func TestAChildEndsWithItsParent(t *testing.T) {
	c, dir := running(t)
	c.stdin.Close()
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it lives on")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its directory: %v, want that it is gone", err)
	}
}
