package function

import (
	"encoding"
	"encoding/json"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// value knows how one kind of value is read from YAML and how a JSON Schema describes it, so the two cannot drift apart.
// read checks the type only; what a value may be is for Spec.check to say.
type value[T any] struct {
	schema map[string]any
	read   func(p *parser, n *yaml.Node, field string, into *T)
}

// member is one field of a mapping that becomes a T.
type member[T any] struct {
	name, doc string
	schema    map[string]any
	read      func(p *parser, n *yaml.Node, field string, into *T)
}

func field[T, V any](name, doc string, v value[V], get func(*T) *V) member[T] {
	return member[T]{name, doc, v.schema, func(p *parser, n *yaml.Node, at string, into *T) { v.read(p, n, at, get(into)) }}
}

func object[T any](required []string, members ...member[T]) value[T] {
	properties := map[string]any{}
	names := make([]string, len(members))
	byName := map[string]member[T]{}
	for i, m := range members {
		s := map[string]any{"description": m.doc}
		for k, v := range m.schema {
			s[k] = v
		}
		properties[m.name], names[i], byName[m.name] = s, m.name, m
	}
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		schema["required"] = required
	}
	return value[T]{schema, func(p *parser, n *yaml.Node, at string, into *T) {
		p.mapping(n, at, func(key, v *yaml.Node) {
			if m, ok := byName[key.Value]; ok {
				m.read(p, v, join(at, key.Value), into)
			} else {
				p.unknown(key, at, names)
			}
		})
	}}
}

func (p *parser) mapping(n *yaml.Node, at string, each func(key, v *yaml.Node)) {
	m, ok := p.enter(n, at)
	if !ok {
		return
	}
	defer p.leave()
	if m.Kind != yaml.MappingNode {
		p.wrongType(m, at, "a mapping of fields")
		return
	}
	for key, v := range p.members(m, at) {
		each(key, v)
	}
}

// scalar reads a value that is one word, of one of the YAML types in tags.
func scalar[T any](want string, schema map[string]any, set func(text string, into *T) error, tags ...string) value[T] {
	return value[T]{schema, func(p *parser, n *yaml.Node, at string, into *T) {
		s, ok := p.enter(n, at)
		if !ok {
			return
		}
		defer p.leave()
		tag := s.ShortTag()
		for _, t := range tags {
			if s.Kind == yaml.ScalarNode && tag == t {
				if err := set(s.Value, into); err != nil {
					p.report(n, at, err.Error(), "")
				}
				return
			}
		}
		p.report(n, at, fmt.Sprintf("is %s, not %s", describe(s), want), "")
	}}
}

func typeSchema(name string) map[string]any { return map[string]any{"type": name} }

func text[T ~string](allowed ...T) value[T] {
	schema := typeSchema("string")
	if allowed != nil {
		schema["enum"] = allowed
	}
	return scalar("text", schema, func(s string, into *T) error { *into = T(s); return nil }, "!!str", "!!timestamp")
}

// word is text that may be written like a number or a truth value: an argument, an environment variable.
func word() value[string] {
	schema := map[string]any{"type": []string{"string", "number", "boolean"}}
	return scalar("text", schema, func(s string, into *string) error { *into = s; return nil }, "!!str", "!!timestamp", "!!int", "!!float", "!!bool")
}

func whole() value[int] {
	return scalar("a whole number", typeSchema("integer"), func(s string, into *int) error {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number in range", clip(s))
		}
		*into = int(n)
		return nil
	}, "!!int")
}

// count is a whole number of which 0 is not said: to leave it out means that there is no bound, and 0 could be read as none at all.
func count() value[int] {
	v := whole()
	read := v.read
	v.schema = map[string]any{"type": "integer", "minimum": 1}
	v.read = func(p *parser, n *yaml.Node, at string, into *int) {
		before := len(p.problems)
		if read(p, n, at, into); *into == 0 && len(p.problems) == before {
			p.report(n, at, "0 is out of range", "from 1; leave it out for no bound")
		}
	}
	return v
}

func number() value[float64] {
	return scalar("a number", typeSchema("number"), func(s string, into *float64) error {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", clip(s))
		}
		*into = f
		return nil
	}, "!!int", "!!float")
}

func truth() value[bool] {
	return scalar("true or false", typeSchema("boolean"), func(s string, into *bool) (err error) {
		*into, err = strconv.ParseBool(s)
		return err
	}, "!!bool")
}

// unit is a Duration or a Bytes, which read themselves.
func unit[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](want string, examples ...string) value[T] {
	schema := map[string]any{"type": []string{"string", "integer"}, "examples": examples}
	return scalar(want, schema, func(s string, into *T) error { return P(into).UnmarshalText([]byte(s)) }, "!!str", "!!int", "!!float")
}

func list[T any](item value[T], fresh func() T) value[[]T] {
	return value[[]T]{map[string]any{"type": "array", "items": item.schema}, func(p *parser, n *yaml.Node, at string, into *[]T) {
		l, ok := p.enter(n, at)
		if !ok {
			return
		}
		defer p.leave()
		if l.Kind != yaml.SequenceNode {
			p.wrongType(l, at, "a list")
			return
		}
		for i, c := range l.Content {
			v := fresh()
			item.read(p, c, fmt.Sprintf("%s[%d]", at, i), &v)
			*into = append(*into, v)
		}
	}}
}

func mapOf[T any](item value[T]) value[map[string]T] {
	return value[map[string]T]{map[string]any{"type": "object", "additionalProperties": item.schema}, func(p *parser, n *yaml.Node, at string, into *map[string]T) {
		p.mapping(n, at, func(key, v *yaml.Node) {
			var t T
			item.read(p, v, join(at, key.Value), &t)
			if *into == nil {
				*into = map[string]T{}
			}
			(*into)[key.Value] = t
		})
	}}
}

func pointer[T any](v value[T], fresh func() T) value[*T] {
	return value[*T]{v.schema, func(p *parser, n *yaml.Node, at string, into **T) {
		t := fresh()
		*into = &t
		v.read(p, n, at, *into)
	}}
}

// pattern keeps a filter as the JSON that it means.
func pattern() value[json.RawMessage] {
	return value[json.RawMessage]{typeSchema("object"), func(p *parser, n *yaml.Node, at string, into *json.RawMessage) {
		before := len(p.problems)
		b := p.appendJSON(nil, n, at)
		if len(p.problems) == before && !p.aborted {
			*into = b
		}
	}}
}
