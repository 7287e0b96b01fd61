package starter

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Write writes files into a directory, which it makes where there is none, and returns their paths in order. What is there already
// stays as it is: where one of the files is, none is written, and when one cannot be written, nothing of what was written stays.
func Write(dir string, files map[string]string) (paths []string, err error) {
	paths = slices.Sorted(maps.Keys(files))
	var there []string
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(path))); err == nil {
			there = append(there, path)
		}
	}
	if there != nil {
		return nil, fault.New(fault.Conflict, "%s has %s already", dir, strings.Join(there, ", ")).
			WithHint("nothing was written; name a directory that has none of the files")
	}
	var made []string // files and directories, in the order in which they were made
	defer func() {
		if err == nil {
			return
		}
		for _, path := range slices.Backward(made) {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, path := range paths {
		at := filepath.Join(dir, filepath.FromSlash(path))
		dirs, err := makeDirs(filepath.Dir(at))
		made = append(made, dirs...)
		if err != nil {
			return nil, unwritten(err)
		}
		f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, unwritten(err)
		}
		made = append(made, at)
		_, err = f.WriteString(files[path])
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, unwritten(err)
		}
	}
	return paths, nil
}

func unwritten(err error) error {
	return fault.New(fault.Unavailable, "the function cannot be written: %w", err).WithHint("nothing of it was left behind")
}

// makeDirs makes a directory and what it is in, and returns those that were not there, outer ones first.
func makeDirs(dir string) (made []string, err error) {
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil, nil
	case err == nil:
		return nil, fmt.Errorf("%s is no directory", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if made, err = makeDirs(filepath.Dir(dir)); err != nil {
		return made, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return made, err
	}
	return append(made, dir), nil
}
