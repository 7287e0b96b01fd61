package image

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestPackNamesAFileThatCannotBeRead(t *testing.T) {
	dir := files(t, map[string]string{"sub/key.pem": "secret"})
	for p, mode := range map[string]os.FileMode{"sub/key.pem": 0, "sub": 0o755, ".": 0o755, "..": 0o755} {
		if err := os.Chmod(filepath.Join(dir, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	errs := make(chan error)
	go func() {
		// Root reads everything, so this thread alone is made an ordinary user. It is locked and never unlocked: it ends with
		// the goroutine.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if err := unix.Setfsuid(65534); err != nil {
				errs <- err
				return
			}
		}
		_, err := Pack(dir, io.Discard)
		errs <- err
	}()
	err := <-errs
	if fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), `"sub/key.pem" cannot be read: permission denied`) {
		t.Errorf("Pack = %v, want that sub/key.pem cannot be read", err)
	}
}

func TestPackRefusesAPipe(t *testing.T) {
	dir := files(t, nil)
	if err := unix.Mkfifo(filepath.Join(dir, "p"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(dir, io.Discard); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `"p": a named pipe cannot be part`) {
		t.Errorf("Pack = %v, want that a pipe is refused", err)
	}
}
