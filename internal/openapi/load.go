package openapi

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dalamb/dalamb/internal/fault"
)

// Load reads a file below a directory, whatever links are in there, and parses it.
func Load(dir, name string) (*Document, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open code: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "the code has no file %q", name)
	case err != nil:
		return nil, fault.New(fault.Invalid, "the file %q of the code cannot be read: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "%q of the code is no file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return Parse(name, text)
}
