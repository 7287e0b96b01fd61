package native

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// parentsName is the file in the state directory that lists where this node and the killed ones before it made cgroups, a
// directory a line. A node that starts again may be in other groups than the one before it, and so makes its own elsewhere.
const parentsName = "cgroups"

// noteParents adds the directories of c to the list, before any group is made in them.
func (r *Runner) noteParents(c *cgroups) error {
	dirs, err := r.notedParents()
	if err != nil {
		return err
	}
	for _, h := range c.ours() {
		if !slices.Contains(dirs, h.dir) {
			dirs = append(dirs, h.dir)
		}
	}
	return r.writeParents(dirs)
}

func (r *Runner) writeParents(dirs []string) error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, parentsName), []byte(strings.Join(dirs, "\n")), 0o600); err != nil {
		return fmt.Errorf("note cgroups: %w", err)
	}
	return nil
}

func (r *Runner) notedParents() ([]string, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, parentsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read where cgroups are: %w", err)
	}
	// Half a line, of a node that was killed while it wrote, is the name of nothing of ours.
	return slices.DeleteFunc(strings.Split(string(b), "\n"), func(dir string) bool { return filepath.Base(dir) != r.name }), nil
}

// removeForeign empties and removes the directories that are noted and not c's own.
func (r *Runner) removeForeign(c *cgroups) error {
	dirs, err := r.notedParents()
	if err != nil {
		return err
	}
	foreign := &cgroups{}
	var own []string
	for _, dir := range dirs {
		if slices.ContainsFunc(c.ours(), func(h hierarchy) bool { return h.dir == dir }) {
			own = append(own, dir)
		} else {
			foreign.parents = append(foreign.parents, hierarchy{dir: dir})
		}
	}
	for _, g := range foreign.left() {
		g.kill()
		if err := g.remove(); err != nil {
			return err
		}
	}
	if err := foreign.removeParents(); err != nil {
		return err
	}
	if len(foreign.parents) == 0 {
		return nil
	}
	return r.writeParents(own)
}
