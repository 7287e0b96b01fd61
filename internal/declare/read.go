package declare

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// Read reads a directory. What is wrong in it is an error of kind Invalid that names the files; all of them are looked at.
func Read(dir string) (*State, error) {
	text, err := readInstallation(filepath.Join(dir, InstallationFile))
	if err != nil {
		return nil, err
	}
	var problems []error
	s, err := parseInstallation(filepath.Join(dir, InstallationFile), text)
	if err != nil {
		problems = append(problems, err)
		s = &State{}
	}
	entries, err := os.ReadDir(filepath.Join(dir, functionsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		_, alias, named := strings.Cut(e.Name(), "@")
		if !named {
			alias = function.LiveAlias
		}
		alias = strings.ReplaceAll(alias, aliasSlash, "/")
		list, err := readFunctions(filepath.Join(dir, functionsDir, e.Name()), alias)
		if err != nil {
			problems = append(problems, err)
		}
		s.Functions = append(s.Functions, list...)
	}
	if problems == nil {
		problems = s.check()
	}
	if problems != nil {
		return nil, fault.New(fault.Invalid, "%w", errors.Join(problems...)).WithHint("nothing was changed")
	}
	s.sort()
	return s, nil
}

func readInstallation(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the installation cannot be read: %w", err).
			WithHint("the directory needs a file %s, as dalamb export writes it", InstallationFile)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, function.MaxInstallation+1)) // a wrong path is not read whole
	if err != nil {
		return nil, fault.New(fault.Invalid, "the installation cannot be read: %w", err)
	}
	return text, nil
}

func parseInstallation(path string, text []byte) (*State, error) {
	in, err := function.ParseInstallation(path, text)
	if err != nil {
		return nil, err
	}
	return &State{Topics: in.Topics, Config: in.Config, Secrets: in.Secrets, Paused: in.Paused, Hooks: in.Hooks}, nil
}

// readFunctions reads the manifest in a directory, and takes the digests of its code.
func readFunctions(dir, alias string) ([]Function, error) {
	file := filepath.Join(dir, manifestFile)
	text, err := function.ReadManifest(file)
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	m, err := function.ParseManifest(file, text)
	if err != nil {
		return nil, err
	}
	var list []Function
	for i := range m.Functions {
		d := &m.Functions[i]
		f := Function{Alias: alias, Spec: d.Spec, Declared: d, File: file}
		if ref := d.Spec.ImageRef(); function.LocalImage(ref) {
			return nil, fmt.Errorf("%s: function %s is image %s, a file: push it to a registry and name it there", file, d.Spec.Name, ref)
		}
		if d.CodePath != "" {
			f.Dir = filepath.Join(dir, d.CodePath)
			if f.Code, err = image.Pack(f.Dir, io.Discard); err != nil {
				return nil, fmt.Errorf("%s: the code of %s: %w", file, d.Spec.Name, err)
			}
		}
		if f.Build, err = d.Builds(file, os.Stat); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if f.Build != nil {
			f.Source, f.Code = f.Code, ""
		}
		list = append(list, f)
	}
	return list, nil
}

// check looks for what functions that are declared apart cannot be together.
func (s *State) check() (problems []error) {
	seen := map[string]string{}
	var routes []function.RouteOf
	for i := range s.Functions {
		f := &s.Functions[i]
		if first, there := seen[f.key()]; there {
			problems = append(problems, fmt.Errorf("%s: function %s is declared twice, first in %s", f.File, f.key(), first))
		}
		seen[f.key()] = f.File
		if f.Alias == function.LiveAlias {
			routes = append(routes, f.Spec.Routes()...)
		}
	}
	if problems != nil {
		return problems
	}
	if err := function.RouteConflict(routes); err != nil {
		return []error{err}
	}
	return nil
}
