package runner

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Stdin gives the file that a command reads data from: /dev/null for nil. The file is in memory, so that a full disk does not
// stop functions, and no pipe, so that nobody has to feed it.
func Stdin(data []byte) (*os.File, error) {
	if data == nil {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make stdin: %w", err)
	}
	f := os.NewFile(uintptr(fd), "stdin")
	return fill(f, data)
}
