package build

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// removeTree removes a tree, whatever rights a build has left in it and however deep it is: os.RemoveAll holds a file open for each level, and
// a build makes more levels in a second than a node may have open files. Nothing may change the tree meanwhile.
func removeTree(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return os.Remove(dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	r := &removing{root: root, unused: "gone-" + rand.Text()}
	if err := r.empty("."); err != nil {
		return fmt.Errorf("remove what a build left: %w", err)
	}
	return os.Remove(dir)
}

// removing removes all below root: a directory within a directory is brought up to the root first, so that none is ever deep.
type removing struct {
	root   *os.Root
	unused string // begins names that no build has given
	raised int
}

// empty removes what is in root, or in a directory of it.
func (r *removing) empty(dir string) error {
	for {
		list, err := r.list(dir)
		if len(list) == 0 {
			return err
		}
		for _, de := range list {
			if err := r.remove(dir, de); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
}

// list reads some of a directory, from its beginning: what was read before is gone.
func (r *removing) list(dir string) ([]fs.DirEntry, error) {
	f, err := r.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(namesAtOne)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return list, err
}

func (r *removing) remove(dir string, de fs.DirEntry) error {
	name := path.Join(dir, de.Name())
	if !de.IsDir() {
		return r.root.Remove(name)
	}
	if err := r.root.Chmod(name, 0o700); err != nil {
		return err
	}
	if dir != "." {
		r.raised++
		return r.root.Rename(name, fmt.Sprintf("%s-%d", r.unused, r.raised))
	}
	if err := r.empty(name); err != nil {
		return err
	}
	return r.root.Remove(name)
}
