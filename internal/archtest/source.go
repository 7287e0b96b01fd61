package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// File is one parsed Go file.
type File struct {
	Path  string // below the root, with slashes
	Lines int
	AST   *ast.File
	Set   *token.FileSet
}

// Test says whether it is a _test.go file.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Dir is the package's directory below the root.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Imports are the import paths of the file.
func (f *File) Imports() []string {
	var out []string
	for _, s := range f.AST.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err == nil {
			out = append(out, p)
		}
	}
	return out
}

// at is a position as people and editors read it.
func (f *File) at(p token.Pos) string { return fmt.Sprintf("%s:%d", f.Path, f.Set.Position(p).Line) }

// Parse reads every Go file below root, whatever its build constraints, but for testdata, names that the go tool leaves
// out (those beginning with "." or "_"), and what .gitignore keeps out of the project at the root.
func Parse(root string) ([]*File, error) {
	var files []*File
	set := token.NewFileSet()
	ignored, err := ignoredDirs(root)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if ignored[p] || p != root && (name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || name[0] == '.' || name[0] == '_' {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		tree, err := parser.ParseFile(set, rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", rel, err)
		}
		files = append(files, &File{Path: rel, Lines: strings.Count(string(text), "\n"), AST: tree, Set: set})
		return nil
	})
	return files, err
}

// ignoredDirs are the directories that the root's .gitignore names with a leading and a trailing slash: what is built
// and run there is not the project's source.
func ignoredDirs(root string) (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dirs := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") && strings.HasSuffix(line, "/") {
			dirs[filepath.Join(root, line)] = true
		}
	}
	return dirs, nil
}
