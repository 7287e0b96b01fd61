package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/yamlfault"
)

// Source says what Load reads, the weaker first: the defaults, the file, then Set.
type Source struct {
	File string            // path of a YAML file; "" = none
	Set  map[string]string // by Setting.Key, as the flags gave them
}

// Problem is one thing wrong with the configuration.
type Problem struct {
	Where string // file:line:column, or --flag
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
	n := Default()
	l := &loader{node: n, settings: Settings(), from: map[string]string{}}
	if s.File != "" {
		data, err := readFile(s.File)
		if err != nil {
			return nil, err
		}
		n.Sources = append(n.Sources, s.File)
		l.file(s.File, data)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Set)) {
		l.flag(key, s.Set[key])
	}
	if len(l.problems) == 0 {
		l.check()
	}
	if len(l.problems) == 0 {
		return n, nil
	}
	first := l.problems[0]
	f := fault.New(fault.Invalid, "%w", l.problems)
	if first.Hint != "" {
		return nil, f.WithHint("%s", first.Hint)
	}
	return nil, f.WithHint("`dalamb up --help` and docs/reference/configuration.md list all settings")
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "configuration file: %w", err).WithHint("check the path given with --config")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "configuration file: %w", err).WithHint("--config takes a file")
	}
	if len(data) > maxFile {
		return nil, fault.New(fault.Invalid, "configuration file %s is larger than 1Mi", path).WithHint("check the path given with --config")
	}
	return data, nil
}

// loader gathers values and what is wrong with them.
type loader struct {
	node     *Node
	settings []Setting
	from     map[string]string // setting -> where its value came from
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
	l.from[key] = where
	l.node.Sources = append(l.node.Sources, where)
	if err := s.set(l.node, text); err != nil {
		l.wrong(where, key, hint(s, err), "%v", err)
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
		l.wrong(at(name, root), "", "", "is not a mapping of settings")
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
		where := at(name, k)
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
	where := at(name, v)
	l.from[s.Key] = where
	text := v.Value
	switch {
	case v.Kind == yaml.AliasNode:
		l.wrong(where, s.Key, "", "is an alias; write the value out")
		return
	case s.List && v.Kind == yaml.SequenceNode:
		items := make([]string, len(v.Content))
		for i, item := range v.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				l.wrong(at(name, item), s.Key, form(s), "has an item that is no plain text")
				return
			}
			items[i] = item.Value
		}
		text = strings.Join(items, ",")
	case v.Kind != yaml.ScalarNode || v.Tag == "!!null":
		l.wrong(where, s.Key, form(s), "has no value that fits")
		return
	}
	if err := s.set(l.node, text); err != nil {
		l.wrong(where, s.Key, hint(s, err), "%v", err)
	}
}

// check holds every value to its rule, in the table's order. It runs when each could be read.
func (l *loader) check() {
	for _, s := range l.settings {
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

func at(name string, n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", name, n.Line, n.Column) }
