package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// pack makes code of the directories that the functions name, each once.
func (p *push) pack(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		byDir := map[string][]*delivered{}
		for _, f := range c.functions {
			if f.codeDir != "" {
				byDir[f.codeDir] = append(byDir[f.codeDir], f)
			}
		}
		for _, dir := range slices.Sorted(maps.Keys(byDir)) {
			err := p.packDir(ctx, c, dir, byDir[dir])
			if _, located := errors.AsType[*function.ManifestError](err); located {
				return err
			}
			if err != nil {
				return inFile(byDir[dir][0].manifest, err)
			}
		}
	}
	return nil
}

// packDir checks a directory out and makes code of it: by a build for the functions that are built, as it is for the others, when they can be
// started from it.
func (p *push) packDir(ctx context.Context, c *change, dir string, functions []*delivered) (err error) {
	list := below(c.files, dir)
	if len(list) == 0 {
		return fault.New(fault.Invalid, "code: the commit has no directory %q", oneLine(dir)).WithHint("git keeps no empty directories; was it added?")
	}
	if err := checkSize(list, oneLine(dir)); err != nil {
		return err
	}
	if err := image.CheckRoom(p.server.dir, "the checkout"); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(p.server.tmp(), "checkout-")
	if err != nil {
		return fmt.Errorf("make room for a checkout: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	at := filepath.Join(tmp, "code")
	if err := p.checkout(ctx, list, at); err != nil {
		return err
	}
	asItIs, err := p.buildDir(ctx, c, checkedOut{dir, at}, functions)
	if err != nil || len(asItIs) == 0 {
		return err
	}
	if err := checkPrograms(dir, at, asItIs); err != nil {
		return err
	}
	digest, err := image.PutDirectory(ctx, p.server.code, at)
	for _, f := range asItIs {
		f.code = digest
	}
	return err
}

// checkPrograms looks in the directory at, where dir of the commit is checked out.
func checkPrograms(dir, at string, functions []*delivered) error {
	root, err := os.OpenRoot(at)
	if err != nil {
		return fmt.Errorf("open a checkout: %w", err)
	}
	defer root.Close()
	var problems []function.Problem
	for _, f := range functions {
		problem := f.CheckProgram(f.manifest, statBelow(root, dir))
		if problem != nil {
			problems = append(problems, *problem)
		}
	}
	if problems == nil {
		return nil
	}
	return fault.New(fault.Invalid, "%w", &function.ManifestError{Problems: problems})
}

// statBelow looks in root, where dir of a commit is checked out, for paths of the commit.
func statBelow(root *os.Root, dir string) func(path string) (fs.FileInfo, error) {
	return func(path string) (fs.FileInfo, error) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return nil, err
		}
		return root.Stat(name)
	}
}
