package native

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// traces are the notes of this machine's nodes on what they made outside of their state directories: one file for each, named as its
// cgroups, with the state directory in its first line and a directory in each other. A node holds a lock on its own, and the kernel takes it
// off with the node. So the next node on this machine, whatever its data directory, can remove what a killed one left whose data
// directory is gone, and which thus has no successor. leave comes before erase; neither is called by two at a time.
type traces struct {
	dir  string
	mine *os.File // nil = nothing is noted
}

func newTraces() *traces { return &traces{dir: "/run/dalamb/nodes"} }

// leave notes what the node called name is about to make.
func (t *traces) leave(name, state string, made []string) error {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return fmt.Errorf("make directory of nodes: %w", err)
	}
	if t.mine == nil {
		f, err := lockTrace(filepath.Join(t.dir, name), os.O_CREATE)
		if err != nil || f == nil {
			return err
		}
		t.mine = f
	}
	text := strings.Join(append([]string{state}, made...), "\n") + "\n"
	if err := t.mine.Truncate(0); err != nil {
		return fmt.Errorf("note what a node makes: %w", err)
	}
	if _, err := t.mine.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("note what a node makes: %w", err)
	}
	return nil
}

// lockTrace opens a note and locks it; nil = a node that lives has it, or it has just been removed.
func lockTrace(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open note of a node: %w", err)
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		there, err := os.Stat(path)
		locked, ownErr := f.Stat()
		if err == nil && ownErr == nil && os.SameFile(there, locked) {
			return f, nil
		}
	}
	return nil, f.Close()
}

// erase removes the note of what has been removed.
func (t *traces) erase() error {
	if t.mine == nil {
		return nil
	}
	err := os.Remove(t.mine.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	err = errors.Join(err, t.mine.Close())
	t.mine = nil
	return err
}

// orphans removes what killed nodes left whose state directories are gone, and returns these.
func (t *traces) orphans(ctx context.Context) (gone []string, err error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read directory of nodes: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return gone, err
		}
		state, err := t.orphan(e.Name())
		if err != nil {
			return gone, err
		}
		if state != "" {
			gone = append(gone, state)
		}
	}
	return gone, nil
}

// orphan removes what one node left, if it is one of those.
func (t *traces) orphan(name string) (state string, err error) {
	path := filepath.Join(t.dir, name)
	f, err := lockTrace(path, 0)
	if err != nil || f == nil {
		return "", err
	}
	defer f.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read note of a node: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	state = lines[0]
	if _, err := os.Lstat(state); state != "" && !errors.Is(err, fs.ErrNotExist) {
		return "", nil // its successor's
	}
	if err := removeTraced(name, lines[1:]); err != nil {
		return "", fmt.Errorf("remove what the node of %s left: %w", state, err)
	}
	if err := os.Remove(path); err != nil {
		return "", fmt.Errorf("remove note of a node: %w", err)
	}
	return state, nil
}

// removeTraced removes the directories that a node made: cgroups, which have its name, and what a Maker did below /run.
func removeTraced(name string, made []string) error {
	groups := &cgroups{}
	var errs []error
	for _, dir := range made {
		switch {
		case filepath.Base(dir) == name:
			groups.parents = append(groups.parents, hierarchy{dir: dir})
		case filepath.Dir(dir) == "/run" && strings.HasPrefix(filepath.Base(dir), "dalamb-"):
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	for _, g := range groups.left() {
		g.kill()
		errs = append(errs, g.remove())
	}
	return errors.Join(append(errs, groups.removeParents())...)
}
