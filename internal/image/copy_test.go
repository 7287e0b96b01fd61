package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestACopyIsWhatPackWouldTake(t *testing.T) {
	from := t.TempDir()
	for name, text := range map[string]string{IgnoreFile: "*.log\n", "a": "a", "x.log": "x"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	want, err := Pack(from, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	got, err := Copy(t.Context(), to, from)
	if err != nil || got != want {
		t.Errorf("Copy = %s, %v, want %s", got, err, want)
	}
	if again, err := Pack(to, io.Discard); err != nil || again != want {
		t.Errorf("Pack of the copy = %s, %v, want %s", again, err, want)
	}
	if _, err := os.Stat(filepath.Join(to, "x.log")); err == nil {
		t.Error("what is left out is in the copy")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Copy(ended, filepath.Join(t.TempDir(), "copy"), from); !errors.Is(err, context.Canceled) {
		t.Errorf("Copy that nobody waits for = %v, want %v", err, context.Canceled)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(from, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := Copy(t.Context(), filepath.Join(t.TempDir(), "copy"), from); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Copy of a link that leads out = %v, want an Invalid fault", err)
	}
}
