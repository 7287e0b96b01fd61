package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/yamlfault"
)

// Source says what Load reads, the weaker first: the defaults, the file, the environment, then Set.
type Source struct {
	File        string                   // path of a YAML file; "" = none
	Environment func(name string) string // a variable that is empty says nothing; nil = there are none
	Names       []string                 // of all variables of the environment, to find those that are misspelt
	Set         map[string]string        // by Setting.Key, as the flags gave them
}

// Problem is one thing wrong with the configuration.
type Problem struct {
	Where string // file:line:column, the variable, or --flag
	Key   string // "" when it is about the whole
	What  string
	Hint  string
}

func (p Problem) String() string {
	s := p.Where + ": "
	if p.Key != "" {
		s += p.Key + " "
	}
	return s + p.What
}

// Problems is everything that is wrong, in the order of the file.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// maxFile is far beyond any configuration; it keeps a wrong path (a log, a device) from being read whole.
const maxFile = 1 << 20

// Load returns the complete configuration. An error is of kind Invalid and wraps Problems when values are wrong, else says
// why the file cannot be read; its hint names the next step.
func Load(s Source) (*Node, error) {
	l, err := read(s)
	if err != nil {
		return nil, err
	}
	if len(l.problems) > 0 {
		return nil, l.problems.fault()
	}
	return l.node, nil
}

// fault is the error that they are together.
func (ps Problems) fault() error {
	f := fault.New(fault.Invalid, "%w", ps)
	if hint := ps[0].Hint; hint != "" {
		return f.WithHint("%s", hint)
	}
	return f.WithHint("`dalamb up --help` and docs/reference/configuration.md list all settings")
}

// read is all of Load but what follows from problems.
func read(s Source) (*loader, error) {
	l := &loader{node: Default(), settings: Settings(), from: map[string]string{}, unread: map[string]bool{}, places: map[string]place{}, listed: map[string]string{}, items: map[string][]string{}}
	if s.File != "" {
		data, err := readFile(s.File)
		if err != nil {
			return nil, err
		}
		l.node.Sources = append(l.node.Sources, s.File)
		l.file(s.File, data)
	}
	if s.Environment != nil {
		l.environment(s.Environment)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Set)) {
		l.flag(key, s.Set[key])
	}
	l.check()
	l.sorted()
	return l, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "configuration file: %w", err).WithHint("name the file of the configuration: dalamb up --config FILE, dalamb config check FILE")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "configuration file: %w", err).WithHint("--config takes a file")
	}
	if len(data) > maxFile {
		return nil, fault.New(fault.Invalid, "configuration file %s is larger than 1Mi", path).WithHint("name the file of the configuration: dalamb up --config FILE, dalamb config check FILE")
	}
	return data, nil
}

// loader gathers values and what is wrong with them.
type loader struct {
	node     *Node
	settings []Setting
	from     map[string]string   // setting -> where its value came from
	unread   map[string]bool     // settings whose value could not be read
	places   map[string]place    // by Problem.Where
	listed   map[string]string   // setting -> where its list is in the file
	items    map[string][]string // setting -> where each item of that list is
	problems Problems
}

func (l *loader) wrong(where, key, hint, format string, args ...any) {
	l.problems = append(l.problems, Problem{Where: where, Key: key, What: fmt.Sprintf(format, args...), Hint: hint})
}

func (l *loader) setting(key string) *Setting {
	i := slices.IndexFunc(l.settings, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return nil
	}
	return &l.settings[i]
}

func (l *loader) flag(key, text string) {
	s := l.setting(key)
	if s == nil {
		l.wrong("--"+key, "", "", "is no setting")
		return
	}
	where := "--" + s.Flag
	l.node.Sources = append(l.node.Sources, where)
	l.set(where, s, text)
}

func (l *loader) environment(get func(string) string) {
	for i := range l.settings {
		s := &l.settings[i]
		if text := get(s.Variable()); text != "" {
			l.node.Sources = append(l.node.Sources, s.Variable())
			l.set(s.Variable(), s, text)
		}
	}
}

// set gives a setting its value. What a weaker source said of it may have been wrong, and was told; the stronger one counts.
func (l *loader) set(where string, s *Setting, text string) {
	l.from[s.Key] = where
	delete(l.unread, s.Key)
	err := s.set(l.node, text)
	if err == nil {
		return
	}
	l.unread[s.Key] = true
	var items badItems
	if !errors.As(err, &items) {
		l.wrong(where, s.Key, hint(s, err), "%v", err)
		return
	}
	for _, bad := range items {
		at := where
		if places := l.items[s.Key]; where == l.listed[s.Key] && bad.index < len(places) {
			at = places[bad.index]
		}
		l.wrong(at, s.Key, hint(s, bad.err), "%v", bad.err)
	}
}

func (l *loader) file(name string, data []byte) {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // an empty file says nothing, which is no mistake
		return
	case err != nil:
		l.noYAML(name, data, err)
		return
	}
	switch err := dec.Decode(new(yaml.Node)); {
	case errors.Is(err, io.EOF):
	case err != nil:
		l.noYAML(name, data, err)
		return
	default:
		l.wrong(name, "", "join them into one", "has a second YAML document; a node has one configuration")
		return
	}
	if root := doc.Content[0]; root.Kind == yaml.MappingNode {
		l.mapping(name, "", root)
	} else if root.Tag != "!!null" {
		l.wrong(l.at(name, root), "", "", "is not a mapping of settings")
	}
}

func (l *loader) noYAML(name string, data []byte, err error) {
	f := yamlfault.Find(data, err)
	l.wrong(fmt.Sprintf("%s:%d:%d", name, f.Line, f.Column), "", f.Hint, "not valid YAML: %s", f.Message)
}

func (l *loader) mapping(name, prefix string, m *yaml.Node) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		key := prefix + k.Value
		where := l.at(name, k)
		switch s := l.setting(key); {
		case k.Kind != yaml.ScalarNode || k.Tag != "!!str":
			l.wrong(where, "", "", "%q is not the name of a setting", k.Value)
		case seen[key]:
			l.wrong(where, key, "", "is given twice")
		case s != nil:
			l.value(name, s, v)
		case v.Kind == yaml.MappingNode && l.section(key):
			l.mapping(name, key+".", v)
		case l.section(key):
			l.wrong(where, key, "", "takes settings of its own: %s", strings.Join(l.below(key), ", "))
		default:
			hint := ""
			if near := fault.Nearest(key, l.keys()); len(near) > 0 {
				hint = "did you mean " + strings.Join(near, " or ") + "?"
			}
			l.wrong(where, key, hint, "is no setting")
		}
		seen[key] = true
	}
}

func (l *loader) value(name string, s *Setting, v *yaml.Node) {
	where := l.at(name, v)
	l.unread[s.Key] = true // until its value is one
	text := v.Value
	switch {
	case v.Kind == yaml.AliasNode:
		l.wrong(where, s.Key, "", "is an alias; write the value out")
		return
	case s.List && v.Kind == yaml.SequenceNode:
		items := make([]string, len(v.Content))
		for i, item := range v.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				l.wrong(l.at(name, item), s.Key, form(s), "has an item that is no plain text")
				return
			}
			items[i] = item.Value
			l.items[s.Key] = append(l.items[s.Key], l.at(name, item))
		}
		l.listed[s.Key] = where
		text = strings.Join(items, ",")
	case v.Kind != yaml.ScalarNode || v.Tag == "!!null":
		l.wrong(where, s.Key, form(s), "has no value that fits")
		return
	}
	l.set(where, s, text)
}

// check holds every value to its rule, in the table's order, but for those that could not be read, and what is compared with them.
func (l *loader) check() {
	for _, s := range l.settings {
		if slices.ContainsFunc(append(s.with, s.Key), func(key string) bool { return l.unread[key] }) {
			continue
		}
		if what := s.check(l.node); what != "" {
			where := l.from[s.Key]
			if where == "" {
				where = "default"
			}
			l.wrong(where, s.Key, form(&s), "%s", what)
		}
	}
}

func (l *loader) section(key string) bool { return len(l.below(key)) > 0 }

func (l *loader) below(key string) []string {
	var out []string
	for _, s := range l.settings {
		if rest, ok := strings.CutPrefix(s.Key, key+"."); ok {
			out = append(out, rest)
		}
	}
	return out
}

func (l *loader) keys() []string {
	var out []string
	for _, s := range l.settings {
		out = append(out, s.Key)
		if section, _, ok := strings.Cut(s.Key, "."); ok && !slices.Contains(out, section) {
			out = append(out, section)
		}
	}
	return out
}

// hint is what the error itself advises, else the form of the value.
func hint(s *Setting, err error) string {
	if h := fault.HintOf(err); h != "" {
		return h
	}
	return form(s)
}

func form(s *Setting) string { return s.Key + " takes: " + s.Form }

// at is where something stands in the file.
func (l *loader) at(name string, n *yaml.Node) string {
	where := fmt.Sprintf("%s:%d:%d", name, n.Line, n.Column)
	l.places[where] = place{n.Line, n.Column}
	return where
}

type place struct{ line, column int }

func (l *loader) placeOf(p Problem) place {
	if at, ok := l.places[p.Where]; ok {
		return at
	}
	return place{line: math.MaxInt}
}

// sorted puts what is wrong with the file into its order, and the rest behind it.
func (l *loader) sorted() {
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		x, y := l.placeOf(a), l.placeOf(b)
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.column, y.column))
	})
}
