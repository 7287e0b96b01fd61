package function

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds that no honest manifest meets. They keep aliases, which can repeat and contain themselves, from growing without end.
const (
	maxNodes    = 50_000
	maxDepth    = 64
	maxProblems = 100
)

// parser walks the nodes of one file and remembers where each field stands and what is wrong.
type parser struct {
	file      string
	most      int               // values that are read
	elsewhere map[string]string // by fields that are looked for at the top, and are none there: what to do
	problems  []Problem
	positions map[string]*yaml.Node // of the document being read, by field
	nodes     int
	depth     int
	aborted   bool
}

func (p *parser) err() error {
	if len(p.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(p.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &ManifestError{Problems: p.problems}
}

func (p *parser) report(at *yaml.Node, field, message, hint string) {
	if len(p.problems) == maxProblems {
		return
	}
	if at == nil {
		at = &yaml.Node{}
	}
	p.problems = append(p.problems, Problem{
		File: p.file, Line: max(1, at.Line), Column: max(1, at.Column), Field: field, Message: message, Hint: hint,
	})
}

func (p *parser) reportAt(field, message, hint string) { p.report(p.at(field), field, message, hint) }

// at is where a field stands, or the closest thing around it that stands somewhere.
func (p *parser) at(field string) *yaml.Node {
	for {
		if n := p.positions[field]; n != nil {
			return n
		}
		i := strings.LastIndexAny(field, ".[")
		if i < 0 {
			return p.positions[""]
		}
		field = field[:i]
	}
}

func (p *parser) given(field string) bool { return p.positions[field] != nil }

// enter resolves an alias and counts; the caller calls leave when ok. The position kept is the alias's own.
func (p *parser) enter(n *yaml.Node, field string) (target *yaml.Node, ok bool) {
	if p.aborted {
		return nil, false
	}
	if field != "" {
		p.positions[field] = n
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	p.nodes++
	if p.nodes > p.most || p.depth == maxDepth {
		p.aborted = true
		p.report(p.positions[field], field, "the file nests too deeply or repeats too much by aliases",
			fmt.Sprintf("at most %d levels and %d values", maxDepth, p.most))
		return nil, false
	}
	p.depth++
	return n, true
}

func (p *parser) leave() { p.depth-- }

// members yields the entries of a mapping, and reports keys that are no text or stand twice.
func (p *parser) members(n *yaml.Node, field string) func(yield func(key *yaml.Node, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		lines := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
				p.report(key, field, "a key must be text", "")
				continue
			}
			if line, twice := lines[key.Value]; twice {
				p.report(key, join(field, key.Value), "is given twice", fmt.Sprintf("first in line %d", line))
				continue
			}
			lines[key.Value] = key.Line
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func (p *parser) wrongType(n *yaml.Node, field, want string) {
	p.report(n, field, fmt.Sprintf("is %s, not %s", describe(n), want), "")
}

func (p *parser) unknown(key *yaml.Node, field string, known []string) {
	hint := "known here: " + strings.Join(known, ", ")
	if near := fault.Nearest(key.Value, known); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	if where := p.elsewhere[key.Value]; where != "" && field == "" {
		hint = where
	}
	if key.Value == "<<" {
		hint = "merge keys are not supported; a whole value can be repeated by an alias"
	}
	p.report(key, join(field, key.Value), "unknown field", hint)
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!bool":
		return "the truth value " + clip(n.Value)
	}
	return fmt.Sprintf("the text %q", clip(n.Value))
}

func clip(s string) string { return fault.Clip(s) }
