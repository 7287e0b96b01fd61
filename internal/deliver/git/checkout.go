package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// below lists the files of a directory of a commit, with paths below it; "." is all of them.
func below(list []file, dir string) []file {
	var in []file
	for _, f := range list {
		if dir != "." {
			rest, ok := strings.CutPrefix(f.path, dir+"/")
			if !ok {
				continue
			}
			f.path = rest
		}
		in = append(in, f)
	}
	return in
}

// checkSize refuses what is larger than any code, before a byte of it is read.
func checkSize(list []file, dir string) error {
	var sum int64
	if len(list) > image.MaxEntries {
		return fault.New(fault.TooLarge, "directory %q has %d files; code has at most %d", dir, len(list), image.MaxEntries).
			WithHint("put the function into a directory of its own")
	}
	for _, f := range list {
		if sum += f.size; sum > image.MaxBytes {
			return fault.New(fault.TooLarge, "%q has %d MiB; with it directory %q is larger than the %d MiB that code may have", f.path, f.size>>20, dir, image.MaxBytes>>20).
				WithHint("keep it out of the repository, or put the function into a directory of its own")
		}
	}
	return nil
}

// checkout writes files into a new private directory, byte by byte as they were committed: no filter, no attribute and no hook of the
// repository has a say. A link is written as a link; where it leads is checked when the code is packed.
func (p *push) checkout(ctx context.Context, list []file, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("make room for a checkout: %w", err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return fmt.Errorf("open room for a checkout: %w", err)
	}
	defer root.Close()
	content, err := p.objects().blobs(ctx)
	if err != nil {
		return err
	}
	defer content.close()
	made := map[string]bool{".": true}
	for _, f := range list {
		if f.mode == modeSubmodule {
			continue // told when the commit was read
		}
		if err := makeParents(root, path.Dir(f.path), made); err != nil {
			return unwritable(f, err)
		}
		if err := content.write(root, f); err != nil {
			return err
		}
	}
	return nil
}

func makeParents(root *os.Root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := makeParents(root, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	if err := root.Mkdir(filepath.FromSlash(dir), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// write writes one file. It makes it: what is there already is another name for the same file on this disk.
func (b *blobs) write(root *os.Root, f file) error {
	switch f.mode {
	case modeLink:
		if f.size > image.MaxPath {
			return fault.New(fault.Invalid, "%q: the link's target is longer than %d bytes", f.path, image.MaxPath)
		}
		var target strings.Builder
		if err := b.copy(&target, f); err != nil {
			return err
		}
		if err := root.Symlink(target.String(), f.path); err != nil {
			return unwritable(f, err)
		}
		return nil
	case modeFile, modeGroupFile, modeProgram:
		mode := fs.FileMode(0o644)
		if f.mode == modeProgram {
			mode = 0o755
		}
		out, err := root.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return unwritable(f, err)
		}
		err = b.copy(out, f)
		if closeErr := out.Close(); err == nil && closeErr != nil {
			err = unwritable(f, closeErr)
		}
		return err
	}
	return fault.New(fault.Invalid, "%q is of the kind %s, which cannot be part of the code", f.path, f.mode)
}

// unwritable tells a name that the disk does not take from a disk that takes nothing.
func unwritable(f file, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fault.New(fault.Invalid, "%q cannot be checked out: %w", f.path, err)
}
