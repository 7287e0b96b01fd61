package git

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Repositories lists what was pushed to this node, by name.
func (s *Server) Repositories(ctx context.Context) ([]wire.Repository, error) {
	list := []wire.Repository{}
	if s.repositories == nil {
		return list, nil
	}
	names, err := os.ReadDir(s.repositories.dir)
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	for _, e := range names {
		name, ok := strings.CutSuffix(e.Name(), ".git")
		if !ok {
			continue
		}
		one := wire.Repository{Name: name, Branches: []string{}}
		heads, err := s.program.output(ctx, "--git-dir="+s.repositories.path(name), "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(heads)) {
			one.Branches = append(one.Branches, oneLine(line))
		}
		if one.Bytes, err = sizeOf(s.repositories.path(name)); err != nil {
			return nil, fmt.Errorf("measure repository %s: %w", name, err)
		}
		list = append(list, one)
	}
	return list, nil
}

// sizeOf is how many bytes the files below a directory have. What goes away meanwhile has none.
func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum, err
}

// Remove takes a repository away. What was delivered from it stays.
func (s *Server) Remove(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if s.repositories == nil {
		return fault.New(fault.NotFound, "there is no repository %q", name)
	}
	return s.repositories.remove(ctx, name)
}
