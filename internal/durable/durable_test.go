package durable

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// names are those in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range list {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestAFileIsReplacedWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "", "three"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != text {
			t.Errorf("the file holds %q, want %q", got, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := Create(path, []byte("four")); !errors.Is(err, fs.ErrExist) || content(t, path) != "three" {
		t.Errorf("Create of what is there = %v, and it holds %q", err, content(t, path))
	}
	if err := Create(filepath.Join(dir, "new"), []byte("five")); err != nil || content(t, filepath.Join(dir, "new")) != "five" {
		t.Errorf("Create = %v", err)
	}
	if got := names(t, dir); got != "file new" {
		t.Errorf("there are %q", got)
	}
	if err := Remove(path); err != nil || names(t, dir) != "new" {
		t.Errorf("Remove = %v, there are %q", err, names(t, dir))
	}
	if err := Remove(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove of what is not there = %v", err)
	}
}

func TestWhatCannotBeReplacedStays(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(taken, []byte("text")); err == nil {
		t.Error("a directory was replaced")
	}
	if err := Replace(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace in no directory = %v", err)
	}
	if got := names(t, dir); got != "taken" {
		t.Errorf("there are %q", got)
	}
}

// TestAKilledProgram kills one that writes again and again, each time in the midst of a write: the file is always whole, and the next start leaves nothing beside it.
func TestAKilledProgram(t *testing.T) {
	if path := os.Getenv("DURABLE_TEST_FILE"); path != "" {
		for i := 0; ; i++ {
			if err := Replace(path, []byte(strings.Repeat(string(rune('a'+i%26)), 1<<20))); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	path, stranger := filepath.Join(dir, "file"), filepath.Join(dir, ".asides")
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAKilledProgram$")
		cmd.Env = append(os.Environ(), "DURABLE_TEST_FILE="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for inMidst := false; !inMidst; {
			select {
			case err := <-ended:
				t.Fatalf("it ended by itself: %v", err)
			case <-look.C:
				there := names(t, dir)
				inMidst = strings.Contains(there, aside) && strings.HasSuffix(there, " file")
			}
		}
		cmd.Process.Kill()
		if err := <-ended; err == nil {
			t.Fatal("it ended by itself")
		}
		if err := Sweep(dir); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); got != ".asides file" {
			t.Errorf("there are %q", got)
		}
		if text := content(t, path); len(text) != 1<<20 || strings.Trim(text, text[:1]) != "" {
			t.Errorf("the file has %d bytes of %q...", len(text), text[:min(1, len(text))])
		}
	}
	if err := Sweep(filepath.Join(dir, "none")); err != nil {
		t.Errorf("Sweep of no directory = %v", err)
	}
}

func TestSweepTakesItsOwnAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".aside-1", ".aside-2", "aside-3", ".key", "file"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".aside-dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil || names(t, dir) != ".aside-dir .key aside-3 file" {
		t.Errorf("Sweep = %v, there are %q", err, names(t, dir))
	}
}
