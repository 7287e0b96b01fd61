package match

import (
	"fmt"
	"slices"
	"strings"
)

// The bounds of a pattern; doc.go states them.
const (
	maxPattern      = 64 << 10 // bytes
	maxDepth        = 32       // fields
	maxFields       = 64       // of one conjunction; consistency keeps a set of them in a uint64
	maxConjunctions = 256      // of one pattern
	maxStars        = 16       // of one wildcard
)

const orName = "$or"

// reserved says whether name, as a key within an "$or", shows that no "$or" is meant. The list is event-ruler's.
func reserved(name string) bool {
	switch name {
	case "exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
		"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
		"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
		"ip-address-in-range", "ip-address-not-in-range":
		return true
	}
	return false
}

// parse reads a pattern into its conjunctions. `{}` is one conjunction of nothing.
func parse(text []byte) ([]conjunction, error) {
	v, err := readPattern(text)
	if err != nil {
		return nil, err
	}
	start := []conjunction{nil}
	if len(v.members) == 0 {
		return start, nil
	}
	return parseObject(&v, nil, start, false)
}

// parseObject adds the fields of v, which stands at path, to each conjunction of any.
func parseObject(v *value, path []string, any []conjunction, inOr bool) ([]conjunction, error) {
	if len(v.members) == 0 {
		return nil, &PatternError{Path: strings.Join(path, "."), Reason: "an empty object says nothing; name a field in it, or leave it out"}
	}
	for i := range v.members {
		name := v.members[i].name
		if slices.ContainsFunc(v.members[:i], func(m member) bool { return m.name == name }) {
			return nil, namedTwice(strings.Join(append(slices.Clip(path), name), "."))
		}
		var err error
		if any, err = parseMember(&v.members[i], path, any, inOr); err != nil {
			return nil, err
		}
	}
	return any, nil
}

func parseMember(m *member, path []string, any []conjunction, inOr bool) ([]conjunction, error) {
	if m.name == orName && isOr(&m.value) {
		return parseOr(&m.value, path, any)
	}
	path = append(slices.Clip(path), m.name)
	at := strings.Join(path, ".")
	switch {
	case inOr && reserved(m.name):
		return nil, &PatternError{Path: at, Operator: m.name, Reason: `the name of an operator cannot be a field within "$or"`}
	case strings.Count(at, ".") >= maxDepth:
		return nil, &PatternError{Path: at, Reason: fmt.Sprintf("nested more than %d deep", maxDepth)}
	case m.value.isObject():
		return parseObject(&m.value, path, any, inOr)
	case m.value.isArray():
		f, err := parseField(&m.value, at)
		if err != nil {
			return nil, err
		}
		return addField(any, f)
	case reserved(m.name):
		return nil, &PatternError{Path: at, Operator: m.name,
			Reason: fmt.Sprintf(`an operator stands in an object in the field's array: [{%q: ...}]`, m.name)}
	}
	return nil, &PatternError{Path: at, Reason: fmt.Sprintf("must be an array of alternatives or an object, not %s; write [%s]", m.value.what(), m.value.text())}
}

// addField puts f into every conjunction. The slices are clipped, because conjunctions of one "$or" share their beginning.
func addField(any []conjunction, f *field) ([]conjunction, error) {
	out := make([]conjunction, len(any))
	for i, c := range any {
		if slices.ContainsFunc(c, func(o *field) bool { return o.path == f.path }) {
			return nil, namedTwice(f.path)
		}
		if len(c) == maxFields {
			return nil, &PatternError{Path: f.path, Reason: fmt.Sprintf("more than %d fields that must all match", maxFields)}
		}
		out[i] = append(slices.Clip(c), f)
	}
	return out, nil
}

func namedTwice(path string) *PatternError {
	return &PatternError{Path: path, Reason: "named twice; put what it stands for into one place"}
}

// isOr says whether the value of a "$or" makes it the operator: two objects or more, without an operator's name as key.
func isOr(v *value) bool {
	if !v.isArray() || len(v.items) < 2 {
		return false
	}
	for i := range v.items {
		if !v.items[i].isObject() {
			return false
		}
		if slices.ContainsFunc(v.items[i].members, func(m member) bool { return reserved(m.name) }) {
			return false
		}
	}
	return true
}

func parseOr(v *value, path []string, any []conjunction) ([]conjunction, error) {
	var out []conjunction
	for i := range v.items {
		more, err := parseObject(&v.items[i], path, any, true)
		if err != nil {
			return nil, err
		}
		if out = append(out, more...); len(out) > maxConjunctions {
			return nil, &PatternError{Path: strings.Join(path, "."), Operator: orName,
				Reason: fmt.Sprintf("multiplied out, the pattern has more than %d conjunctions", maxConjunctions)}
		}
	}
	return out, nil
}
