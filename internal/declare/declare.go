// Package declare owns what an installation is declared to be, as files: functions with their code, topics with their rules, configuration
// values, the names of secrets, paused triggers, hooks of git servers. It reads and writes the files, asks a node for the same, says what differs, and makes a node
// what the files say. It does not hold what came to be by running: events, progress, older versions, values of secrets.
//
// A directory has a file installation.yaml, and below functions/ a directory with a manifest for each function; functions/NAME@ALIAS is for
// an alias other than live, with @ for a slash in it. Below environments/ is a directory of the same form for each environment.
package declare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// Names of the files.
const (
	InstallationFile = "installation.yaml"
	functionsDir     = "functions"
	manifestFile     = "dalamb.yaml"
	codeDir          = "code"
)

// State is what an installation is declared to be.
type State struct {
	Topics    []function.DeclaredTopic
	Config    map[string]string
	Secrets   []string // names
	Paused    []string // FUNCTION/TRIGGER
	Hooks     []function.Hook
	Functions []Function // by full names

	elsewhere []string // topics that are there and were left out; see Only
}

// Function is a function that an alias points at.
type Function struct {
	Alias string
	Spec  function.Spec
	Code  string          // digest; "" = it is an image, or is still to be built
	Built *function.Built // how the code was made; nil = it came as it is, or is read from files

	// Of one that was read from files.
	Declared *function.Declared
	File     string          // its manifest
	Dir      string          // of its code, or of what that is built from
	Build    *function.Build // how it is built; nil = Dir is the code
	Source   string          // digest of Dir where it is built
	build    string          // id of the build that made Code
	image    string          // digest of the image that it names, as it was tried; "" = none was looked for
}

// key tells functions apart, as people write it.
func (f *Function) key() string { return key(f.Spec.Name, f.Alias) }

// A file's name has no slash, which an alias may have, and no alias has this.
const aliasSlash = "@"

// dirName is key as the name of a directory.
func (f *Function) dirName() string { return strings.ReplaceAll(f.key(), "/", aliasSlash) }

func key(name, alias string) string {
	if alias == function.LiveAlias {
		return name
	}
	return name + "@" + alias
}

// sort gives everything one order.
func (s *State) sort() {
	slices.SortFunc(s.Topics, func(a, b function.DeclaredTopic) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Functions, func(a, b Function) int { return cmp.Compare(a.key(), b.key()) })
	slices.Sort(s.Secrets)
	slices.Sort(s.Paused)
	slices.SortFunc(s.Hooks, func(a, b function.Hook) int { return cmp.Compare(a.Name, b.Name) })
}
