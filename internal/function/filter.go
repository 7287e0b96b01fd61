package function

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// appendJSON adds the JSON that a YAML value means: mappings with their keys sorted, numbers digit for digit.
func (p *parser) appendJSON(b []byte, n *yaml.Node, at string) []byte {
	v, ok := p.enter(n, at)
	if !ok {
		return b
	}
	defer p.leave()
	switch v.Kind {
	case yaml.MappingNode:
		type entry struct{ key, value *yaml.Node }
		var entries []entry
		for key, value := range p.members(v, at) {
			entries = append(entries, entry{key, value})
		}
		slices.SortFunc(entries, func(x, y entry) int { return bytes.Compare([]byte(x.key.Value), []byte(y.key.Value)) })
		b = append(b, '{')
		for i, e := range entries {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, e.key.Value), ':')
			b = p.appendJSON(b, e.value, join(at, e.key.Value))
		}
		return append(b, '}')
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, c := range v.Content {
			if i > 0 {
				b = append(b, ',')
			}
			b = p.appendJSON(b, c, at+"["+strconv.Itoa(i)+"]")
		}
		return append(b, ']')
	}
	return p.appendScalar(b, v, at)
}

func (p *parser) appendScalar(b []byte, v *yaml.Node, at string) []byte {
	switch v.ShortTag() {
	case "!!null":
		return append(b, "null"...)
	case "!!bool":
		truth, _ := strconv.ParseBool(v.Value) // the tag says that it is one
		return strconv.AppendBool(b, truth)
	case "!!str", "!!timestamp":
		return appendString(b, v.Value)
	case "!!int":
		if json.Valid([]byte(v.Value)) {
			return append(b, v.Value...)
		}
		if i, ok := new(big.Int).SetString(v.Value, 0); ok {
			return i.Append(b, 10)
		}
	case "!!float":
		if json.Valid([]byte(v.Value)) {
			return append(b, v.Value...)
		}
		if f, err := strconv.ParseFloat(v.Value, 64); err == nil && f-f == 0 { // neither infinite nor NaN
			return strconv.AppendFloat(b, f, 'g', -1, 64)
		}
	}
	p.report(v, at, describe(v)+" has no JSON form", "")
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	q, _ := json.Marshal(s) // as a Spec's own JSON has it, <, > and & escaped: so the bytes stay the same on the wire
	return append(b, q...)
}
