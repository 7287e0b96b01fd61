package declare

import (
	"io/fs"
	"os"
	"slices"

	"github.com/dalamb/dalamb/internal/image"
)

// unstartable says what a function's command needs that its files do not have, but for what is said already. What is built is for the node to look at.
func (f *Function) unstartable(said []string) []string {
	if f.Dir == "" || f.Build != nil {
		return nil
	}
	ignored, err := image.Ignored(f.Dir)
	if err != nil {
		return nil // packing says so
	}
	found := f.Spec.Unstartable(kept{os.DirFS(f.Dir), ignored})
	return slices.DeleteFunc(found, func(w string) bool { return slices.Contains(said, w) })
}

// kept is a directory without what is no part of the code.
type kept struct {
	fs.FS
	ignored func(path string, dir bool) bool
}

// Open implements fs.FS.
func (k kept) Open(name string) (fs.File, error) {
	if k.ignored(name, false) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return k.FS.Open(name)
}
