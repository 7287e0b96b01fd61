package declare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// installation is the form of the file of that name.
type installation struct {
	Topics  []Topic           `yaml:"topics,omitempty"`
	Config  map[string]string `yaml:"config,omitempty"`
	Secrets []string          `yaml:"secrets,omitempty"`
	Paused  []string          `yaml:"paused,omitempty"`
	Hooks   []function.Hook   `yaml:"hooks,omitempty"`
}

// maxFile is far beyond any installation; it keeps a wrong path from being read whole.
const maxFile = 4 << 20

// Read reads a directory. What is wrong in it is an error of kind Invalid that names the file; all manifests are looked at.
func Read(dir string) (*State, error) {
	s, err := readInstallation(filepath.Join(dir, InstallationFile))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(dir, functionsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	var problems []error
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

func readInstallation(path string) (*State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the installation cannot be read: %w", err).
			WithHint("the directory needs a file %s, as dalamb export writes it", InstallationFile)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "the installation cannot be read: %w", err)
	}
	if len(text) > maxFile {
		return nil, fault.New(fault.Invalid, "%s is larger than %d bytes", path, maxFile)
	}
	return parseInstallation(path, text)
}

func parseInstallation(path string, text []byte) (*State, error) {
	var in installation
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
		what := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
		return nil, fault.New(fault.Invalid, "%s: %s", path, what).WithHint("it has topics, config, secrets, paused and hooks; docs/gitops.md")
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "%s has a second YAML document", path).WithHint("join them into one")
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

// check looks for what cannot be, whatever node it is for.
func (s *State) check() (problems []error) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	seen := map[string]string{}
	twice := func(what, where string) {
		if first, there := seen[what]; there {
			add("%s: %s is declared twice, first in %s", where, what, first)
		}
		seen[what] = where
	}
	for _, t := range s.Topics {
		twice("topic "+t.Name, InstallationFile)
		if t.Name == "" || strings.HasPrefix(t.Name, "_") {
			add("%s: %q is no name for a topic of yours", InstallationFile, t.Name)
		}
		rules := t.rules()
		if err := rules.Check(); err != nil {
			add("%s: topic %s: %w", InstallationFile, t.Name, err)
		}
	}
	for _, name := range s.Secrets {
		twice("secret "+name, InstallationFile)
	}
	for i := range s.Hooks {
		h := &s.Hooks[i]
		twice("hook "+h.Name, InstallationFile)
		if err := h.Validate(); err != nil {
			add("%s: hook %s: %w", InstallationFile, h.Name, err)
		}
	}
	for name := range s.Config {
		if !function.ValidValueName(name) {
			add("%s: %q is no name for a configuration value", InstallationFile, name)
		}
	}
	var routes []function.RouteOf
	for i := range s.Functions {
		f := &s.Functions[i]
		twice("function "+f.key(), f.File)
		if f.Alias == function.LiveAlias {
			routes = append(routes, f.Spec.Routes()...)
		}
	}
	for _, p := range s.Paused {
		if fn, trigger, ok := strings.Cut(p, "/"); !ok || fn == "" || trigger == "" {
			add("%s: paused: %q is not FUNCTION/TRIGGER", InstallationFile, p)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	if err := function.RouteConflict(routes); err != nil {
		add("%w", err)
	}
	return problems
}
