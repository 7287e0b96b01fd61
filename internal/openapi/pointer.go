package openapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pointer is a place in a document, or in a JSON value. RFC 6901.
type pointer []string

// with is a copy with one more part.
func (p pointer) with(part string) pointer { return append(slices.Clip(p), part) }

func (p pointer) text() string {
	var b strings.Builder
	for _, part := range p {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return b.String()
}

// fragment is how a reference writes it. RFC 6901, section 6.
func (p pointer) fragment() string { return "#" + (&url.URL{Fragment: p.text()}).EscapedFragment() }

// parsePointer reads what a reference writes; false = it is an anchor.
func parsePointer(ref string) (pointer, bool) {
	text, err := url.PathUnescape(strings.TrimPrefix(ref, "#"))
	if text == "" && err == nil {
		return nil, true
	}
	if err != nil || text[0] != '/' {
		return nil, false
	}
	parts := strings.Split(text[1:], "/")
	for i, part := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
	}
	return parts, true
}

// find is what stands at a place of a value; nil = nothing.
func find(in any, at pointer) any {
	for _, part := range at {
		switch v := in.(type) {
		case map[string]any:
			in = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			in = v[i]
		default:
			return nil
		}
	}
	return in
}

func (d *Document) lookup(at pointer) any { return find(d.root, at) }

// maxChain is how many references may stand behind each other.
const maxChain = 16

// resolve follows an object's references to what it means, and says where that stands; nil = it is no object.
func (d *Document) resolve(at pointer) (map[string]any, pointer) {
	for range maxChain {
		object, _ := d.lookup(at).(map[string]any)
		ref, is := object["$ref"].(string)
		if !is {
			return object, at
		}
		next, is := parsePointer(ref)
		if !is {
			return nil, at
		}
		at = next
	}
	return nil, at
}

// lineOf is where a place stands in the text, or the closest thing around it.
func lineOf(n *yaml.Node, at pointer) int {
	line := max(1, n.Line)
	for _, part := range at {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == part {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Content) {
				next = n.Content[i]
				line = next.Line
			}
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}
