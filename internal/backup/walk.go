package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Names in a data directory.
const (
	keyFile = "secret.key" // where the key of secrets is, unless the node was told otherwise
	logDir  = "log"
)

// leftOut says what of a data directory is in no backup, by paths with slashes: what is made anew at the start, what belongs to the process
// that runs, what must not be there twice, and the key, which is taken from where it is. Everything else is taken, so that what a later version keeps is not forgotten.
func leftOut(name string) bool {
	switch name {
	case logDir: // is taken from its checkpoint
		return true
	case "history", "catalog.json": // folds over the log
		return true
	case "node.json", "lock", "run", "node-id": // of the running node; two nodes of one id take each other's work on Kafka
		return true
	case "images/layers", "builds/cache": // unpacked and compiled again when they are needed
		return true
	case "archives", "code/tmp", "images/content/tmp", "images/layers/tmp", "images/registry/uploads", "git/tmp", "builds/tmp":
		return true // on its way to its place
	case keyFile:
		return true
	}
	return strings.HasPrefix(path.Base(name), ".aside-")
}

// refersTo says that others name what is here, and find it by its digest. It is taken after everything else: what somebody
// names is there before it is named, so all that was seen to be named is found.
func refersTo(name string) bool {
	if name == "code" || name == "images/content" {
		return true
	}
	inGit, ok := strings.CutPrefix(name, "git/")
	return ok && path.Base(inGit) == "objects"
}

// walk calls visit for every entry that belongs into a backup, directories before what is in them: first the log, then what it refers to.
func walk(o Options, visit func(name, path string, info fs.FileInfo) error) error {
	if o.Log != "" {
		err := tree(o.Log, logDir, nil, visit)
		if err != nil {
			return err
		}
	}
	if o.Key != "" {
		// By what it leads to: a key that is mounted is often behind a link.
		info, err := os.Stat(o.Key)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no file")
		}
		if err == nil {
			err = visit(keyFile, o.Key, info)
		}
		if err != nil {
			return fmt.Errorf("take the key of secrets, %s: %w", o.Key, err)
		}
	}
	var late []string
	err := tree(o.Data, "", func(name string) bool {
		if leftOut(name) {
			return true
		}
		if refersTo(name) {
			late = append(late, name)
			return true
		}
		return false
	}, visit)
	if err != nil {
		return err
	}
	for _, top := range late {
		err := tree(filepath.Join(o.Data, filepath.FromSlash(top)), top, leftOut, visit)
		if err != nil {
			return err
		}
	}
	return nil
}

// tree visits a directory, which is called top, and what is below it, but what skip says. What goes away meanwhile is left out, and what
// is no file, directory or symbolic link.
func tree(dir, top string, skip func(name string) bool, visit func(name, path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && p != dir {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		name := path.Join(top, filepath.ToSlash(rel))
		if name == "." {
			return nil
		}
		if skip != nil && p != dir && skip(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if t := info.Mode().Type(); t != 0 && t != fs.ModeDir && t != fs.ModeSymlink {
			return nil
		}
		return visit(name, p, info)
	})
}
