package openapi

import "slices"

// direction is whose words a schema is about: some properties stand in answers alone, some in requests alone.
type direction int

const (
	inbound  direction = iota // a request
	outbound                  // an answer
)

// meterFormat is the format of every schema while it is compiled: it is what counts how many are looked at.
const meterFormat = "dalamb-meter"

// dialect makes JSON Schemas of draft 2020-12 of the schemas of a document. OpenAPI 3.0.3, section 4.7.24; 3.1.0, section 4.8.24.
func (d *Document) dialect(to direction) map[string]any {
	root := clone(d.root).(map[string]any) // what is cloned is of the same type
	walk(root, func(n node) {
		if n.schema {
			d.convert(n.value, to)
		}
	})
	return root
}

func (d *Document) convert(s map[string]any, to direction) {
	delete(s, "$schema")
	if d.legacy {
		modern(s)
	}
	d.relax(s, to)
	if format, is := s["format"].(string); is {
		also, _ := s["allOf"].([]any)
		s["allOf"] = append(slices.Clip(also), map[string]any{"format": format})
	} else if s["format"] != nil {
		return // which the compiler tells of
	}
	s["format"] = meterFormat
}

// modern makes a schema of 3.1 of one of 3.0.
func modern(s map[string]any) {
	if ref, is := s["$ref"].(string); is {
		clear(s) // what stands beside a reference does not count there
		s["$ref"] = ref
	}
	exclusive(s, "exclusiveMinimum", "minimum")
	exclusive(s, "exclusiveMaximum", "maximum")
	nullable(s)
}

// exclusive makes the number of a truth value.
func exclusive(s map[string]any, key, bound string) {
	is, given := s[key].(bool)
	if !given {
		return
	}
	delete(s, key)
	if limit, has := s[bound]; is && has {
		s[key] = limit
		delete(s, bound)
	}
}

// nullable lets null be a value.
func nullable(s map[string]any) {
	is, _ := s["nullable"].(bool)
	delete(s, "nullable")
	if t, has := s["type"].(string); is && has {
		s["type"] = []any{t, "null"}
		if values, has := s["enum"].([]any); has && !slices.Contains(values, nil) {
			s["enum"] = append(slices.Clip(values), nil)
		}
	}
}

// relax asks for no property that stands in the other direction alone.
func (d *Document) relax(s map[string]any, to direction) {
	other := "readOnly"
	if to == outbound {
		other = "writeOnly"
	}
	required, _ := s["required"].([]any)
	properties, _ := s["properties"].(map[string]any)
	if len(required) == 0 || len(properties) == 0 {
		return
	}
	s["required"] = slices.DeleteFunc(slices.Clone(required), func(name any) bool {
		text, _ := name.(string)
		property, _ := properties[text].(map[string]any)
		for range maxChain {
			if only, _ := property[other].(bool); only {
				return true
			}
			ref, _ := property["$ref"].(string)
			at, is := parsePointer(ref)
			if ref == "" || !is {
				return false
			}
			property, _ = d.lookup(at).(map[string]any)
		}
		return false
	})
}
