// Package starter has the functions that dalamb init begins with: for each language a small one that works, with a test, a manifest
// and a README. It writes their files; it neither builds nor deploys them.
package starter

import (
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// files has templates/LANGUAGE-ENTRY/... and the READMEs. A name may end in .tmpl, which is cut off: the Go tool would take the
// file for one of this module.
//
//go:embed all:templates readme
var files embed.FS

// Starter is a function to begin with.
type Starter struct {
	Language string
	Entry    function.EntryType
	Test     string // the command that runs its own test
}

// All are the functions that there are. The first one of a language is what it has by default.
func All() []Starter {
	return []Starter{
		{"go", function.EntryStdio, "go test ./..."},
		{"go", function.EntryHTTP, "go test ./..."},
		{"go", function.EntryLambda, "go test ./..."},
		{"python", function.EntryStdio, "python3 -m unittest"},
		{"python", function.EntryHTTP, "python3 -m unittest"},
		{"node", function.EntryStdio, "node --test"},
		{"node", function.EntryHTTP, "node --test"},
		{"rust", function.EntryStdio, "cargo test"},
		{"java", function.EntryStdio, "mvn -q test"},
		{"shell", function.EntryStdio, "sh test.sh"},
	}
}

// Languages are those that there is a function for.
func Languages() []string {
	var names []string
	for _, s := range All() {
		if !slices.Contains(names, s.Language) {
			names = append(names, s.Language)
		}
	}
	return names
}

// Find returns the function for a language. An entry of "" is the language's default.
func Find(language string, entry function.EntryType) (Starter, error) {
	var entries []string
	for _, s := range All() {
		if s.Language != language {
			continue
		}
		if entry == "" || s.Entry == entry {
			return s, nil
		}
		entries = append(entries, string(s.Entry))
	}
	if entries != nil {
		return Starter{}, fault.New(fault.Invalid, "there is no %s function with entry %q to begin with", language, fault.Clip(string(entry))).
			WithHint("with %s: %s. The entry of a function can be any: docs/functions.md", language, strings.Join(entries, ", "))
	}
	hint := "languages: " + strings.Join(Languages(), ", ")
	if near := fault.Nearest(language, Languages()); len(near) > 0 {
		hint += "; did you mean " + near[0] + "?"
	}
	return Starter{}, fault.New(fault.Invalid, "there is no function in %q to begin with", fault.Clip(language)).WithHint("%s", hint)
}

// Files returns the files of a function of that name, by their paths with slashes.
func (s Starter) Files(name string) (map[string]string, error) {
	dir := "templates/" + s.Language + "-" + string(s.Entry)
	fill := strings.NewReplacer("{{name}}", name, "{{steps}}", s.steps())
	found := map[string]string{}
	err := fs.WalkDir(files, dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		found[strings.TrimSuffix(strings.TrimPrefix(path, dir+"/"), ".tmpl")] = fill.Replace(string(text))
		return err
	})
	readme := "readme/event.md"
	if s.Entry == function.EntryHTTP {
		readme = "readme/http.md"
	}
	text, readErr := files.ReadFile(readme)
	found["README.md"] = fill.Replace(string(text))
	return found, errors.Join(err, readErr)
}

// steps are the commands up to the first version, as a block of a README.
func (s Starter) steps() string {
	var b strings.Builder
	for _, command := range []string{s.Test, "dalamb deploy ."} {
		b.WriteString("    " + command + "\n")
	}
	return b.String()
}
