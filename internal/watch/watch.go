// Package watch says when files change that somebody works on: single files, and trees of directories. It does not read them, and does
// not know what they are for.
//
// It asks the kernel (inotify, kqueue), which tells of changes that are made on this machine: not of those that another one makes on a network
// file system.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/dalamb/dalamb/internal/fault"
)

// Tree is a directory with all that is below it. It need not be there yet.
type Tree struct {
	Dir string
	// Ignored says whether a path below Dir, with slashes, is none of the tree; nothing below a directory that it names is. nil = none.
	Ignored func(path string, dir bool) bool
}

// Set is what is watched.
type Set struct {
	Files []string // each need not be there yet
	Trees []Tree
}

// Watcher tells of changes. Its methods are for one goroutine.
type Watcher struct {
	notify *fsnotify.Watcher
	set    Set
}

// New returns a Watcher that watches nothing. The caller closes it.
func New() (*Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, limited("start to watch files", err)
	}
	return &Watcher{notify: n}, nil
}

// Close ends it.
func (w *Watcher) Close() error { return w.notify.Close() }

// Dirs is how many directories are watched.
func (w *Watcher) Dirs() int { return len(w.notify.WatchList()) }

// Watch takes s as what is watched from now on. Called again after each change it finds the directories that are new; what changes in one
// of them after that is told of, what was there before is the caller's to read now.
func (w *Watcher) Watch(s Set) error {
	w.set = Set{}
	wanted := map[string]bool{}
	for _, f := range s.Files {
		f, err := absolute(f)
		if err != nil {
			return err
		}
		w.set.Files = append(w.set.Files, f)
		if err := w.nearest(filepath.Dir(f), wanted); err != nil {
			return err
		}
	}
	for _, t := range s.Trees {
		dir, err := absolute(t.Dir)
		if err != nil {
			return err
		}
		t.Dir = dir
		w.set.Trees = append(w.set.Trees, t)
		// What it is in tells when it is replaced by another directory.
		if err := w.nearest(filepath.Dir(t.Dir), wanted); err != nil {
			return err
		}
		if err := w.below(t, ".", wanted); err != nil {
			return err
		}
	}
	for _, dir := range w.notify.WatchList() {
		if !wanted[dir] {
			w.notify.Remove(dir) // the error says that it is not watched, which is what is wanted
		}
	}
	return nil
}

func absolute(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", fault.New(fault.NotFound, "%s cannot be watched: the current directory cannot be told: %w", path, err).WithHint("was it removed? go to it again")
	}
	return full, nil
}

// nearest watches dir, or the nearest directory above it that is there.
func (w *Watcher) nearest(dir string, wanted map[string]bool) error {
	for {
		there, err := w.add(dir, wanted)
		if there || err != nil || dir == filepath.Dir(dir) {
			return err
		}
		dir = filepath.Dir(dir)
	}
}

// below watches a directory of a tree and those below it. Each is watched before it is read, so that nothing is made unseen.
func (w *Watcher) below(t Tree, path string, wanted map[string]bool) error {
	dir := filepath.Join(t.Dir, filepath.FromSlash(path))
	if there, err := w.add(dir, wanted); !there || err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // gone again, or not for this user: whoever reads the tree says so
	}
	for _, e := range entries {
		name := filepath.ToSlash(filepath.Join(path, e.Name()))
		if !e.IsDir() || t.Ignored != nil && t.Ignored(name, true) {
			continue
		}
		if err := w.below(t, name, wanted); err != nil {
			return err
		}
	}
	return nil
}

// add watches one directory; there is false where there is none that can be.
func (w *Watcher) add(dir string, wanted map[string]bool) (there bool, err error) {
	if wanted[dir] {
		return true, nil
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false, nil
	}
	// Once more where it is watched already: the name may be that of another directory now.
	switch err := w.notify.Add(dir); {
	case err == nil:
		wanted[dir] = true
		return true, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	default:
		return false, limited(fmt.Sprintf("watch %s, after %d directories", dir, len(wanted)), err)
	}
}

// limited says which of the system's limits was met.
func limited(what string, err error) error {
	e := fault.New(fault.Exhausted, "%s: %w", what, err)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return e.WithHint("raise the limit of watched directories (sysctl fs.inotify.max_user_watches), or leave directories out")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return e.WithHint("raise the limit of watchers (sysctl fs.inotify.max_user_instances) or of open files (ulimit -n), or end others that watch")
	}
	return e
}

// Changes come in flocks: an editor writes a file in several steps, a checkout many files.
const (
	quiet  = 50 * time.Millisecond // without a change, and the flock is over
	atMost = 2 * time.Second       // and then it is taken as over
)

// Next blocks until something of the set has changed, and then for a moment nothing more, and returns the absolute paths that changed, in order. An error
// is the context's, or the system's.
func (w *Watcher) Next(ctx context.Context) ([]string, error) {
	changed := map[string]bool{}
	var settled, enough <-chan time.Time
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return nil, fault.New(fault.Unavailable, "nothing is watched any more")
			}
			path, ours := w.ours(e.Name)
			if !ours {
				continue
			}
			changed[path] = true
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil, fmt.Errorf("watch files: %w", err)
			}
			changed["too many files at once"] = true // some change, nobody knows which
		case <-settled:
			return slices.Sorted(maps.Keys(changed)), nil
		case <-enough:
			return slices.Sorted(maps.Keys(changed)), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if settled = time.After(quiet); enough == nil {
			enough = time.After(atMost)
		}
	}
}

// ours says whether a path is of the set, and how it is called there.
func (w *Watcher) ours(path string) (string, bool) {
	if slices.Contains(w.set.Files, path) {
		return path, true
	}
	for _, t := range w.set.Trees {
		if path == t.Dir || strings.HasPrefix(t.Dir, path+string(filepath.Separator)) {
			return path, true // it came, or went
		}
		below, err := filepath.Rel(t.Dir, path)
		if err == nil && filepath.IsLocal(below) && !aside(filepath.Base(path)) && !t.ignores(filepath.ToSlash(below)) {
			return path, true
		}
	}
	return path, false
}

func (t Tree) ignores(path string) bool {
	if t.Ignored == nil {
		return false
	}
	for i, c := range path {
		if c == '/' && t.Ignored(path[:i], true) {
			return true
		}
	}
	info, err := os.Lstat(filepath.Join(t.Dir, filepath.FromSlash(path)))
	if err != nil { // what is gone may have been either
		return t.Ignored(path, false) || t.Ignored(path, true)
	}
	return t.Ignored(path, info.IsDir())
}

// aside says whether a file is one that editors write beside the one that is edited.
func aside(name string) bool {
	for _, pattern := range []string{
		"*~", ".#*", "#*#", // Emacs, and backups of many
		".*.sw?", ".*.swpx", "4913", // Vim; by the last it tries whether it may write there
		"*___jb_tmp___", "*___jb_old___", // JetBrains
		".goutputstream-*", ".*.kate-swp",
	} {
		if ok, err := filepath.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}
