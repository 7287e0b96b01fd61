package aws

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
)

// noteKey is the note of a function that is AWS's.
const noteKey = "aws"

// note is what AWS's API keeps of a function and no version needs to run.
type note struct {
	Tags        map[string]string      `json:"tags,omitempty"`
	Aliases     map[string]string      `json:"aliases,omitempty"`     // name -> description
	Versions    map[int]string         `json:"versions,omitempty"`    // number -> description that it was published with
	Provisioned map[string]provisioned `json:"provisioned,omitempty"` // version or alias -> instances that are kept ready for it
	Policies    map[string][]statement `json:"policies,omitempty"`    // qualifier, "" = none -> what is permitted
	Born        map[string]int64       `json:"born,omitempty"`        // alias that something is kept of -> catalog.Function.Born
	Archives    map[string]upload      `json:"archives,omitempty"`    // digest of the code -> the archive that it came as
}

// upload is the zip archive that code came as: clients compare it with theirs.
type upload struct {
	Sum  string `json:"sum"` // SHA-256, as base64
	Size int64  `json:"size"`
}

// noteOf reads the note of a function, without what is of aliases and versions that are gone, whoever removed them. One that cannot be read is as none.
func noteOf(f *catalog.Function) (n note) {
	if text := f.Notes[noteKey]; text != nil {
		if json.Unmarshal(text, &n) != nil {
			return note{}
		}
	}
	n.tidy(f)
	return n
}

// tries is how often a change is tried again that somebody else's came before.
const tries = 4

// remember changes the note of a function. edit may be called again, with a newer function; when it returns an error, nothing is changed.
func (l *Lambda) remember(ctx context.Context, name string, edit func(f *catalog.Function, n *note) error) (*catalog.Function, error) {
	for left := tries; ; left-- {
		f, err := l.function(ctx, name, "")
		if err != nil {
			return nil, err
		}
		n := noteOf(f)
		before, err := json.Marshal(n)
		if err != nil {
			return nil, fmt.Errorf("encode what is kept of %s: %w", name, err)
		}
		if err := edit(f, &n); err != nil {
			return nil, err
		}
		n.tidy(f)
		text, err := json.Marshal(n)
		if err != nil {
			return nil, fmt.Errorf("encode what is kept of %s: %w", name, err)
		}
		if string(text) == string(before) {
			return f, nil
		}
		view, err := l.o.Catalog.Submit(ctx, catalog.Note{Function: name, Key: noteKey, Text: text, Expects: &f.Last})
		if fault.KindOf(err) == fault.Conflict && left > 1 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return view.Function(name)
	}
}

// tidy forgets what is of aliases and code that are not there any more. An alias that was made again is another one.
func (n *note) tidy(f *catalog.Function) {
	isAlias := func(name string) bool {
		_, there := f.Aliases[name]
		born, known := n.Born[name]
		return there && (!known || born == f.Born[name])
	}
	for name := range n.Aliases {
		if !isAlias(name) {
			delete(n.Aliases, name)
		}
	}
	code, numbers := map[string]bool{}, map[int]bool{}
	for _, v := range f.Versions {
		code[v.Code], numbers[v.Number] = true, true
	}
	for number := range n.Versions {
		if !numbers[number] {
			delete(n.Versions, number)
		}
	}
	names := func(qualifier string) bool {
		number, isNumber := numberOf(qualifier)
		return isAlias(qualifier) || isNumber && numbers[number]
	}
	for qualifier := range n.Provisioned {
		if !names(qualifier) {
			delete(n.Provisioned, qualifier)
		}
	}
	for qualifier, statements := range n.Policies {
		if len(statements) == 0 || qualifier != "" && !names(qualifier) {
			delete(n.Policies, qualifier)
		}
	}
	for digest := range n.Archives {
		if !code[digest] {
			delete(n.Archives, digest)
		}
	}
	n.Born = nil
	for name := range f.Aliases {
		_, described := n.Aliases[name]
		_, ready := n.Provisioned[name]
		if described || ready || n.Policies[name] != nil {
			set(&n.Born, name, f.Born[name])
		}
	}
}

func set[K comparable, T any](m *map[K]T, key K, v T) {
	if *m == nil {
		*m = map[K]T{}
	}
	(*m)[key] = v
}
