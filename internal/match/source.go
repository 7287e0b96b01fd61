package match

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// value is a JSON value of a pattern, with the members of objects in their order and repeats kept.
type value struct {
	token   json.Token // json.Delim '{' or '[', string, json.Number, bool or nil
	members []member
	items   []value
}

type member struct {
	name  string
	value value
}

func (v *value) isObject() bool { return v.token == json.Delim('{') }
func (v *value) isArray() bool  { return v.token == json.Delim('[') }

// what names the JSON type of v for messages.
func (v *value) what() string {
	switch t := v.token.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "an array"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case nil:
		return "null"
	}
	return "a boolean"
}

// readPattern decodes the text of a pattern, which is one JSON object within the bounds.
func readPattern(text []byte) (value, error) {
	if len(text) > maxPattern {
		return value{}, &PatternError{Reason: fmt.Sprintf("%d bytes, more than the %d that a pattern may have", len(text), maxPattern)}
	}
	var check json.RawMessage
	if err := json.Unmarshal(text, &check); err != nil {
		return value{}, &PatternError{Reason: "not valid JSON: " + err.Error()}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := readValue(d, nil)
	if err != nil {
		return value{}, err
	}
	if !v.isObject() {
		return value{}, &PatternError{Reason: "a pattern is a JSON object, not " + v.what()}
	}
	return v, nil
}

func readValue(d *json.Decoder, path []string) (value, error) {
	// Arrays, operators and "$or" nest too; fields alone are counted when the tree is compiled.
	if len(path) > 4*maxDepth {
		return value{}, &PatternError{Path: strings.Join(path, "."), Reason: fmt.Sprintf("nested more than %d deep", maxDepth)}
	}
	t, err := d.Token()
	if err != nil {
		return value{}, &PatternError{Reason: "not valid JSON: " + err.Error()}
	}
	v := value{token: t}
	switch t {
	case json.Delim('{'):
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return value{}, &PatternError{Reason: "not valid JSON: " + err.Error()}
			}
			m := member{name: name.(string)}
			if m.value, err = readValue(d, append(path, m.name)); err != nil {
				return value{}, err
			}
			v.members = append(v.members, m)
		}
		_, err = d.Token()
	case json.Delim('['):
		for d.More() {
			item, err := readValue(d, append(path, strconv.Itoa(len(v.items))))
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, item)
		}
		_, err = d.Token()
	}
	if err != nil {
		return value{}, &PatternError{Reason: "not valid JSON: " + err.Error()}
	}
	return v, nil
}

// text renders v as JSON, for messages.
func (v *value) text() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v *value) write(b *strings.Builder) {
	switch {
	case v.isObject():
		b.WriteByte('{')
		for i := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			writeScalar(b, v.members[i].name)
			b.WriteByte(':')
			v.members[i].value.write(b)
		}
		b.WriteByte('}')
	case v.isArray():
		b.WriteByte('[')
		for i := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			v.items[i].write(b)
		}
		b.WriteByte(']')
	default:
		writeScalar(b, v.token)
	}
}

func writeScalar(b *strings.Builder, scalar any) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(scalar); err != nil {
		fmt.Fprintf(b, "%v", scalar)
		return
	}
	b.Write(bytes.TrimSpace(out.Bytes()))
}
