//go:build !linux

package runner

import (
	"fmt"
	"os"
)

// Stdin gives the file that a command reads data from: /dev/null for nil. Nobody has to feed it, as a pipe would need.
func Stdin(data []byte) (*os.File, error) {
	if data == nil {
		return os.Open(os.DevNull)
	}
	f, err := os.CreateTemp("", "dalamb-stdin-*")
	if err != nil {
		return nil, fmt.Errorf("make stdin: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make stdin: %w", err)
	}
	return fill(f, data)
}
