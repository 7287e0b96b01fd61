package openapi

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Wanted says which of the answers that a document describes is asked for.
type Wanted struct {
	Status  int    // 0 = the first that is a success
	Example string // the name of one of its examples; "" = any
}

// Made is an answer that a document's own words make up.
type Made struct {
	Status int
	Type   string // media type; "" = there is no body
	Body   []byte
}

// Answer makes up an answer to the operation: an example of the document, else a value that fits the schema. The same question has the same answer.
func (m *Match) Answer(w Wanted) (Made, error) {
	status, b := m.choose(w.Status)
	if b == nil {
		return Made{}, fault.New(fault.Invalid, "%s %s has no answer with status %d in the document", m.Method, m.Path, w.Status).WithHint("it has %s", strings.Join(sortedKeys(m.answers), ", "))
	}
	made := Made{Status: status}
	t := b.first()
	if t == nil || status == http.StatusNoContent || status == http.StatusNotModified {
		return made, nil
	}
	made.Type = t.name
	if strings.HasSuffix(made.Type, "*") {
		made.Type = "application/json"
	}
	v, err := m.doc.example(t, w.Example)
	if err != nil {
		return Made{}, err
	}
	if text, is := v.(string); is && !isJSON(made.Type) {
		made.Body = []byte(text)
		return made, nil
	}
	if made.Body, err = json.Marshal(v); err != nil {
		return Made{}, fmt.Errorf("encode an example: %w", err)
	}
	return made, nil
}

// choose finds the description of a status; of none that of the first success, else the default's.
func (op *Operation) choose(status int) (int, *body) {
	if status != 0 {
		return status, op.answer(status)
	}
	for _, key := range sortedKeys(op.answers) {
		if key[0] == '2' {
			status, err := strconv.Atoi(key)
			if err != nil { // 2XX
				status = http.StatusOK
			}
			return status, op.answers[key]
		}
	}
	if b := op.answers["DEFAULT"]; b != nil || len(op.answers) == 0 {
		if b == nil {
			b = &body{}
		}
		return http.StatusOK, b
	}
	key := sortedKeys(op.answers)[0]
	status, err := strconv.Atoi(strings.ReplaceAll(key, "X", "0"))
	if err != nil { // keys are statuses
		status = http.StatusOK
	}
	return status, op.answers[key]
}

// first is the media type that an answer is made up in: JSON, where there is that.
func (b *body) first() *mediaType {
	if len(b.types) == 0 {
		return nil
	}
	i := slices.IndexFunc(b.types, func(t mediaType) bool { return isJSON(t.name) })
	return &b.types[max(0, i)]
}

// example is one of a media type's own, the one with a name where that is said, else a value of its schema.
func (d *Document) example(t *mediaType, name string) (any, error) {
	media, _ := d.lookup(t.at).(map[string]any)
	examples, _ := media["examples"].(map[string]any)
	if name != "" {
		if examples[name] == nil {
			return nil, fault.New(fault.Invalid, "the document has no example %q there", fault.Clip(name)).WithHint("it has: %s", strings.Join(sortedKeys(examples), ", "))
		}
		return d.exampleAt(t.at.with("examples").with(name)), nil
	}
	if v, has := media["example"]; has {
		return v, nil
	}
	if names := sortedKeys(examples); len(names) > 0 {
		return d.exampleAt(t.at.with("examples").with(names[0])), nil
	}
	return (&maker{d: d}).make(t.at.with("schema"), 0), nil
}

func (d *Document) exampleAt(at pointer) any {
	object, _ := d.resolve(at)
	return object["value"]
}

// Bounds of a value that is made up.
const (
	maxMadeDepth  = 8
	fullDepth     = 3 // down to which properties are there that need not be
	maxMadeLength = 1000
	maxMadeValues = 10_000
)

type maker struct {
	d      *Document
	values int
}

// make makes up a value of a schema.
func (m *maker) make(at pointer, depth int) any {
	s, at := m.d.resolve(at)
	if m.values++; s == nil || depth > maxMadeDepth || m.values > maxMadeValues {
		return nil
	}
	if v, has := given(s); has {
		return v
	}
	types := typesOf(s)
	switch {
	case slices.Contains(types, "object") || s["properties"] != nil || s["allOf"] != nil && len(types) == 0:
		return m.object(s, at, depth)
	case slices.Contains(types, "array") || s["items"] != nil:
		list := []any{}
		n := 1
		if depth >= fullDepth {
			n = 0 // a list of lists of lists ends
		}
		n = min(maxMadeLength, max(n, whole(s["minItems"], n)))
		if most, has := s["maxItems"]; has {
			n = min(n, whole(most, n))
		}
		for range n {
			list = append(list, m.make(at.with("items"), depth+1))
		}
		return list
	case slices.Contains(types, "integer") || slices.Contains(types, "number"):
		return numberOf(s, slices.Contains(types, "integer"))
	case slices.Contains(types, "boolean"):
		return true
	case slices.Contains(types, "string"):
		return textOf(s)
	}
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		if list, _ := s[key].([]any); len(list) > 0 {
			return m.make(at.with(key).with("0"), depth+1)
		}
	}
	if slices.Contains(types, "null") || depth > fullDepth {
		return nil
	}
	return map[string]any{}
}

// given is what a schema itself has of values.
func given(s map[string]any) (any, bool) {
	for _, key := range []string{"example", "const", "default"} {
		if v, has := s[key]; has {
			return v, true
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if list, _ := s[key].([]any); len(list) > 0 {
			return list[0], true
		}
	}
	return nil, false
}

// object has the properties of a schema and of all that it is made of.
func (m *maker) object(s map[string]any, at pointer, depth int) any {
	object := map[string]any{}
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		list, _ := s[key].([]any)
		if key != "allOf" {
			list = list[:min(1, len(list))]
		}
		for i := range list {
			part, _ := m.make(at.with(key).with(strconv.Itoa(i)), depth).(map[string]any)
			for name, v := range part {
				object[name] = v
			}
		}
	}
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range sortedKeys(properties) {
		property, _ := m.d.resolve(at.with("properties").with(name))
		if only, _ := property["writeOnly"].(bool); only || depth >= fullDepth && !slices.Contains(required, any(name)) {
			continue
		}
		object[name] = m.make(at.with("properties").with(name), depth+1)
	}
	return object
}

func whole(v any, otherwise int) int {
	n, is := v.(json.Number)
	if !is {
		return otherwise
	}
	i, err := strconv.Atoi(string(n))
	if err != nil {
		return otherwise
	}
	return i
}

// numberOf is the least number that a schema takes, or 1.
func numberOf(s map[string]any, integer bool) json.Number {
	bound := func(key string) (*big.Rat, bool) {
		n, is := s[key].(json.Number)
		if !is {
			return nil, false
		}
		return new(big.Rat).SetString(string(n))
	}
	v, one := big.NewRat(1, 1), big.NewRat(1, 1)
	if least, has := bound("minimum"); has && v.Cmp(least) < 0 {
		v = least
		if above, _ := s["exclusiveMinimum"].(bool); above {
			v = new(big.Rat).Add(least, one)
		}
	}
	if least, has := bound("exclusiveMinimum"); has && v.Cmp(least) <= 0 {
		v = new(big.Rat).Add(least, one)
	}
	if most, has := bound("maximum"); has && v.Cmp(most) > 0 {
		v = most
	}
	if most, has := bound("exclusiveMaximum"); has && v.Cmp(most) >= 0 {
		v = new(big.Rat).Sub(most, one)
	}
	if of, has := bound("multipleOf"); has && of.Sign() > 0 {
		times := new(big.Rat).Quo(v, of)
		up := new(big.Int).Add(times.Num(), new(big.Int).Sub(times.Denom(), big.NewInt(1)))
		v = new(big.Rat).Mul(new(big.Rat).SetInt(up.Div(up, times.Denom())), of)
	}
	if integer || v.IsInt() {
		f, _ := v.Float64()
		if v.IsInt() {
			return json.Number(v.Num().String())
		}
		return json.Number(strconv.FormatFloat(math.Ceil(f), 'f', 0, 64))
	}
	f, _ := v.Float64()
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
