package image

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
)

// maxName is the longest name of one file that common file systems take, in bytes.
const maxName = 255

// entry is one file, directory or link of a tree.
type entry struct {
	path string // slash-separated, below the root
	mode fs.FileMode
	size int64
	link string // target of a symbolic link
}

// tree is what a code directory holds, checked and sorted by path.
type tree struct {
	entries []entry
	bytes   int64
	links   map[string]string
}

// readTree walks a directory. Every error names the path and what is wrong with it.
func readTree(root *os.Root, ignore ignoreList) (*tree, error) {
	t := &tree{links: map[string]string{}}
	if err := t.walk(root, ".", ignore); err != nil {
		return nil, err
	}
	slices.SortFunc(t.entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return t, t.checkLinks()
}

func (t *tree) walk(root *os.Root, dir string, ignore ignoreList) error {
	d, err := root.Open(dir)
	if err != nil {
		return unreadable(dir, err)
	}
	list, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return unreadable(dir, err)
	}
	for _, de := range list {
		name := path.Join(dir, de.Name())
		if ignore.ignores(name, de.IsDir()) {
			continue
		}
		info, err := root.Lstat(name)
		if err != nil {
			return unreadable(name, err)
		}
		e := entry{path: name, mode: info.Mode()}
		switch {
		case info.Mode().IsRegular():
			e.size = info.Size()
		case info.Mode()&fs.ModeSymlink != 0:
			if e.link, err = root.Readlink(name); err != nil {
				return unreadable(name, err)
			}
		}
		if err := t.add(e); err != nil {
			return err
		}
		if info.IsDir() {
			if err := t.walk(root, name, ignore); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkName holds for every path that is walked, written or archived.
func (e *entry) checkName() error {
	switch {
	case len(e.path) > MaxPath || len(e.link) > MaxPath:
		return fault.New(fault.Invalid, "%q: its path or its target is longer than %d bytes", clip(e.path), MaxPath)
	case len(path.Base(e.path)) > maxName:
		return fault.New(fault.Invalid, "%q: its name is longer than %d bytes", clip(e.path), maxName)
	case strings.Count(e.path, "/") > MaxDepth:
		return fault.New(fault.Invalid, "%q: it lies more than %d directories deep", clip(e.path), MaxDepth)
	case !utf8.ValidString(e.path) || !utf8.ValidString(e.link) || strings.ContainsRune(e.path+e.link, 0):
		return fault.New(fault.Invalid, "%q: its name is not UTF-8", e.path).WithHint("rename it")
	}
	return nil
}

// add checks one entry against the bounds. It is the one gate for trees on disk and for archives.
func (t *tree) add(e entry) error {
	if err := e.checkName(); err != nil {
		return err
	}
	if len(t.entries) >= MaxEntries {
		return fault.New(fault.TooLarge, "%q: the code has more than %d files, directories and links", e.path, MaxEntries).
			WithHint("leave out what the function does not need with %s", IgnoreFile)
	}
	switch e.mode.Type() {
	case 0:
		if e.size > MaxBytes-t.bytes {
			return fault.New(fault.TooLarge, "%q: with it the code is larger than %d MiB", e.path, MaxBytes>>20).
				WithHint("leave out what the function does not need with %s", IgnoreFile)
		}
		t.bytes += e.size
	case fs.ModeDir:
	case fs.ModeSymlink:
		if e.link == "" {
			return fault.New(fault.Invalid, "%q: a link without a target", e.path)
		}
		t.links[e.path] = e.link
	default:
		return fault.New(fault.Invalid, "%q: a %s cannot be part of the code", e.path, kindName(e.mode)).
			WithHint("only files, directories and links can; leave it out with %s", IgnoreFile)
	}
	t.entries = append(t.entries, e)
	return nil
}

func (t *tree) checkLinks() error {
	for _, e := range t.entries {
		if e.mode&fs.ModeSymlink != 0 && leaves(e.path, t.links) {
			return fault.New(fault.Invalid, "%q: the link leads out of the code directory, to %q", e.path, e.link).
				WithHint("a function sees its own code only: put the file itself there, or leave the link out with %s", IgnoreFile)
		}
	}
	return nil
}

func kindName(m fs.FileMode) string {
	switch {
	case m&fs.ModeDevice != 0:
		return "device file"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "file of the kind " + m.Type().String()
}

// unreadable keeps the system's words without the name of the call and the path that it was given.
func unreadable(name string, err error) error {
	cause := err
	var pe *fs.PathError
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	e := fault.New(fault.Invalid, "%q cannot be read: %w", name, cause)
	if errors.Is(err, fs.ErrPermission) {
		e = e.WithHint("make it readable, or leave it out with %s", IgnoreFile)
	}
	return e
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
