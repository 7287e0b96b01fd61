package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// repositories are bare repositories, one directory each. One is made by the first push to it, and goes again when that is refused.
type repositories struct {
	dir, tmp string
	program  program
	empty    string // a repository without anything, which stands for those that are not there yet

	turn chan struct{}  // held while repositories are made and removed
	used map[string]int // pushes under way, by name; for who has the turn
}

func openRepositories(dir, tmp string, p program) (*repositories, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make room for repositories: %w", err)
	}
	r := &repositories{dir: dir, tmp: tmp, program: p, empty: filepath.Join(tmp, "empty.git"), turn: make(chan struct{}, 1), used: map[string]int{}}
	if err := r.sweep(); err != nil {
		return nil, fmt.Errorf("clean up repositories: %w", err)
	}
	_, err := p.output(context.Background(), "init", "--quiet", "--bare", "--template=", r.empty)
	return r, err
}

// sweep removes what a killed push left: objects that no ref ever named, and locks that would keep all later pushes out.
func (r *repositories) sweep() error {
	return filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && filepath.Base(filepath.Dir(path)) == "objects" && (strings.HasPrefix(name, "tmp_objdir-") || strings.HasPrefix(name, "incoming-")):
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		case d.IsDir() && filepath.Dir(path) == r.dir:
			return durable.Sweep(path)
		case d.IsDir() && len(name) == 2 && filepath.Base(filepath.Dir(path)) == "objects":
			return fs.SkipDir // loose objects, of which there may be many
		case d.Type().IsRegular() && (strings.HasSuffix(name, ".lock") || filepath.Base(filepath.Dir(path)) == "pack" && strings.HasPrefix(name, "tmp_")):
			return os.Remove(path)
		}
		return nil
	})
}

func (r *repositories) path(name string) string { return filepath.Join(r.dir, name+".git") }

// find is the directory of a repository, or NotFound.
func (r *repositories) find(name string) (string, error) {
	path := r.path(name)
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.New(fault.NotFound, "there is no repository %q", name).WithHint("the first push to it makes it; of several nodes each has its own, so ask the one that was pushed to")
	case err != nil:
		return "", fmt.Errorf("find repository %s: %w", name, err)
	}
	return path, nil
}

// claim is find for a push, and makes a repository that is not there. release takes away one that has no refs, so that a first push
// that is refused leaves nothing.
func (r *repositories) claim(ctx context.Context, name string) (path string, release func() error, err error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	path = r.path(name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := r.make(ctx, path); err != nil {
			return "", nil, err
		}
	}
	r.used[name]++
	return path, func() error { return r.release(name) }, nil
}

// make makes a repository whole or not at all.
func (r *repositories) make(ctx context.Context, path string) error {
	tmp, err := os.MkdirTemp(r.tmp, "new-")
	if err != nil {
		return fmt.Errorf("make room for a repository: %w", err)
	}
	defer os.RemoveAll(tmp)
	fresh := filepath.Join(tmp, "repository")
	if _, err := r.program.output(ctx, "init", "--quiet", "--bare", "--template=", fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("make a repository: %w", err)
	}
	return nil
}

// remove takes a repository away that nobody pushes to.
func (r *repositories) remove(ctx context.Context, name string) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.used[name] > 0 {
		return fault.New(fault.Conflict, "the repository %q is being pushed to", name).WithHint("try again when that is over")
	}
	if _, err := r.find(name); err != nil {
		return err
	}
	return r.discard(name)
}

func (r *repositories) release(name string) error {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if r.used[name]--; r.used[name] > 0 {
		return nil
	}
	delete(r.used, name)
	refs, err := r.program.output(context.Background(), "--git-dir="+r.path(name), "for-each-ref", "--count=1")
	if err != nil || len(refs) > 0 {
		return err
	}
	return r.discard(name)
}

// discard removes the directory of a repository, for who has the turn.
func (r *repositories) discard(name string) error {
	// First out of sight, then removed: nobody sees half a repository.
	gone, err := os.MkdirTemp(r.tmp, "gone-")
	if err != nil {
		return fmt.Errorf("remove repository %s: %w", name, err)
	}
	err = os.Rename(r.path(name), filepath.Join(gone, "repository"))
	return errors.Join(err, os.RemoveAll(gone))
}
