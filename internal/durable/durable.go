// Package durable puts one file in the place of another so that whatever ends the program leaves the one or the other, whole. It does not know
// what is in a file, and does not lock: who writes to a file by two hands at once decides what that means.
//
// A file is written aside, under a name of this room in the same directory, synced, and given its name; then the directory is synced. So when
// Replace or Create has returned without an error, the file is what was given after a power cut too. An end in the middle, such as a kill -9,
// leaves the file aside; Sweep removes those, and is for the start, when nobody writes to the directory.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// aside begins the names of files that are not in their place yet.
const aside = ".aside-"

// Replace makes data the content of a file of mode 0600, which may be there or not.
func Replace(path string, data []byte) error { return put(path, data, os.Rename) }

// Create is Replace for a file that must not be there: an error that is fs.ErrExist leaves it as it is.
func Create(path string, data []byte) error { return put(path, data, os.Link) }

func put(path string, data []byte, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, aside+"*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // by then it is in its place, or not wanted
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	return Sync(dir)
}

// Remove removes a file; it is gone after a power cut too. One that is not there is an error, fs.ErrNotExist.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Sync makes durable which names a directory has.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Sweep removes from a directory what a killed program left aside there, and nothing else. One that is not there has nothing.
func Sweep(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for what was left in %s: %w", dir, err)
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), aside) || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove what was left in %s: %w", dir, err)
		}
	}
	return nil
}
