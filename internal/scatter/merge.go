package scatter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Array is all parts as one JSON array, in their order. In the place of a missing one is null, so that each stands where it belongs.
func Array(parts []Part) []byte {
	b := []byte{'['}
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		if p.Missing != "" {
			b = append(b, "null"...)
		} else {
			b = append(b, p.Body...)
		}
	}
	return append(b, ']')
}

// Concat is one JSON array of what the parts list: a part that is no list is one of its items, and null nothing.
func Concat(parts []Part) []byte {
	b := []byte{'['}
	for _, p := range parts {
		items := p.Body
		if len(items) > 0 && items[0] == '[' {
			items = bytes.TrimSpace(items[1 : len(items)-1])
		}
		if p.Missing != "" || len(items) == 0 || string(p.Body) == "null" {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, items...)
	}
	return append(b, ']')
}

// Object is the parts that are there as one JSON object, by the names of their leaves.
func Object(parts []Part) []byte { return object(nil, parts) }

// Document is what a function gets that makes one answer of the parts: {"parts": {"a": ...}, "missing": {"b": "timeout"}}.
func Document(parts []Part) []byte {
	missing := map[string]string{}
	for _, p := range parts {
		if p.Missing != "" {
			missing[p.Leaf] = p.Missing
		}
	}
	b := object([]byte(`{"parts":`), parts)
	b = append(b, `,"missing":`...)
	return append(append(b, text(missing)...), '}')
}

func object(b []byte, parts []Part) []byte {
	b = append(b, '{')
	first := true
	for _, p := range parts {
		if p.Missing != "" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(append(b, text(p.Leaf)...), ':')
		b = append(b, p.Body...)
	}
	return append(b, '}')
}

// text is a value as JSON that has no way not to be.
func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

// Missing names the leaves that gave no part, and why, as a list of structured fields: b;reason=timeout, c;reason=502. "" = all did. RFC 8941, section
// 3.1: a name that is a function's is a token there, a number an integer.
func Missing(parts []Part) string {
	var all []string
	for _, p := range parts {
		if p.Missing != "" {
			all = append(all, p.Leaf+";reason="+p.Missing)
		}
	}
	return strings.Join(all, ", ")
}

// Fates is the same for people: b (timeout), c (502).
func Fates(parts []Part) string {
	var all []string
	for _, p := range parts {
		if p.Missing != "" {
			all = append(all, p.Leaf+" ("+p.Missing+")")
		}
	}
	return strings.Join(all, ", ")
}
