package match

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
)

// parseField reads the alternatives of one field.
func parseField(v *value, path string) (*field, error) {
	if len(v.items) == 0 {
		return nil, &PatternError{Path: path, Reason: "an empty array matches nothing; name an alternative"}
	}
	f := &field{path: path, source: v.text()}
	for i := range v.items {
		t, err := parseTest(&v.items[i])
		if err != nil {
			err.Path = path
			return nil, err
		}
		f.absent = f.absent || t.op == opAbsent
		f.tests = append(f.tests, t)
	}
	return f, nil
}

func parseTest(v *value) (test, *PatternError) {
	switch {
	case v.isArray():
		return test{}, &PatternError{Reason: "an alternative is a string, a number, true, false, null or an operator, not an array"}
	case v.isObject():
		return parseOperator(v)
	}
	return parseScalar(v)
}

// parseScalar reads what is matched by being equal.
func parseScalar(v *value) (test, *PatternError) {
	switch t := v.token.(type) {
	case string:
		return test{op: opString, text: t}, nil
	case json.Number:
		n, err := parseFinite(t)
		return test{op: opNumber, num: n}, err
	case bool:
		if t {
			return test{op: opTrue}, nil
		}
		return test{op: opFalse}, nil
	}
	return test{op: opNull}, nil
}

func parseFinite(n json.Number) (float64, *PatternError) {
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil {
		return 0, &PatternError{Reason: fmt.Sprintf("%s is outside the range of numbers (IEEE 754 double)", n)}
	}
	return f, nil
}

// parseOperator reads {"operator": operand}.
func parseOperator(v *value) (test, *PatternError) {
	if len(v.members) != 1 {
		e := &PatternError{Reason: fmt.Sprintf("an operator is an object with one key, not %d", len(v.members))}
		if len(v.members) > 1 {
			e.Operator = v.members[0].name
		}
		return test{}, e
	}
	name, operand := v.members[0].name, &v.members[0].value
	t, err := parseOperand(name, operand)
	if err != nil && err.Operator == "" {
		err.Operator = name
	}
	return t, err
}

func parseOperand(name string, v *value) (test, *PatternError) {
	switch name {
	case "exactly":
		return parseText(v, opString)
	case "equals-ignore-case":
		return parseText(v, opFold)
	case "prefix":
		return parseAffix(v, opPrefix, opPrefixFold)
	case "suffix":
		return parseAffix(v, opSuffix, opSuffixFold)
	case "wildcard":
		return parseText(v, opWildcard)
	case "anything-but":
		return parseNot(v)
	case "numeric":
		return parseNumeric(v)
	case "cidr":
		return parseCIDR(v)
	case "exists":
		if there, ok := v.token.(bool); !ok {
			return test{}, &PatternError{Reason: "needs true or false, not " + v.what()}
		} else if there {
			return test{op: opExists}, nil
		}
		return test{op: opAbsent}, nil
	}
	return test{}, &PatternError{Reason: "unknown; there are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr and exists"}
}

// parseText reads a string operand.
func parseText(v *value, o op) (test, *PatternError) {
	s, ok := v.token.(string)
	if !ok {
		return test{}, &PatternError{Reason: "needs a string, not " + v.what()}
	}
	switch o {
	case opWildcard:
		parts, err := parseWildcard(s)
		if err != nil {
			return test{}, &PatternError{Reason: err.Error()}
		}
		return test{op: o, parts: parts}, nil
	case opFold, opPrefixFold, opSuffixFold:
		s = string(appendFold(nil, []byte(s)))
	}
	return test{op: o, text: s}, nil
}

// parseAffix reads the operand of prefix and suffix: a string or {"equals-ignore-case": string}.
func parseAffix(v *value, plain, fold op) (test, *PatternError) {
	if !v.isObject() {
		return parseText(v, plain)
	}
	if len(v.members) != 1 || v.members[0].name != "equals-ignore-case" {
		return test{}, &PatternError{Reason: `needs a string or {"equals-ignore-case": string}`}
	}
	return parseText(&v.members[0].value, fold)
}

// parseNot reads the operand of anything-but.
func parseNot(v *value) (test, *PatternError) {
	o, named := opString, false
	if v.isObject() {
		if len(v.members) != 1 {
			return test{}, &PatternError{Reason: "needs one key in its object: prefix, suffix, wildcard or equals-ignore-case"}
		}
		switch v.members[0].name {
		case "prefix":
			o = opPrefix
		case "suffix":
			o = opSuffix
		case "wildcard":
			o = opWildcard
		case "equals-ignore-case":
			o = opFold
		default:
			return test{}, &PatternError{Reason: fmt.Sprintf("cannot take %q; it takes prefix, suffix, wildcard and equals-ignore-case", v.members[0].name)}
		}
		v, named = &v.members[0].value, true
	}
	items := []value{*v}
	if v.isArray() {
		items = v.items
	}
	if len(items) == 0 {
		return test{}, &PatternError{Reason: "needs at least one value in its list"}
	}
	t := test{op: opNot}
	for i := range items {
		one, err := parseNotItem(&items[i], o, named)
		if err != nil {
			return test{}, err
		}
		if one.op != opNumber && len(t.not) > 0 && t.not[0].op == opNumber || one.op == opNumber && len(t.not) > 0 && t.not[0].op != opNumber {
			return test{}, &PatternError{Reason: "needs a list of strings only or of numbers only"}
		}
		t.not = append(t.not, one)
	}
	return t, nil
}

func parseNotItem(v *value, o op, named bool) (test, *PatternError) {
	switch t := v.token.(type) {
	case string:
		if t == "" && (o == opPrefix || o == opSuffix) {
			return test{}, &PatternError{Reason: `"" is in every string, so nothing would match`}
		}
		return parseText(v, o)
	case json.Number:
		if !named {
			return parseScalar(v)
		}
	}
	if named {
		return test{}, &PatternError{Reason: "needs a string or a list of strings in its object, not " + v.what()}
	}
	return test{}, &PatternError{Reason: "needs a string, a number or a list of either, not " + v.what()}
}

// parseNumeric reads ["=", n], one bound, or a lower and then an upper bound.
func parseNumeric(v *value) (test, *PatternError) {
	if !v.isArray() || len(v.items) != 2 && len(v.items) != 4 {
		return test{}, &PatternError{Reason: `needs a list such as ["=", 1], ["<", 5] or [">", 0, "<=", 5]`}
	}
	s := span{low: math.Inf(-1), high: math.Inf(1)}
	for i := 0; i < len(v.items); i += 2 {
		n, ok := v.items[i+1].token.(json.Number)
		if !ok {
			return test{}, &PatternError{Reason: "compares with a number, not with " + v.items[i+1].what()}
		}
		bound, err := parseFinite(n)
		if err != nil {
			return test{}, err
		}
		switch c, _ := v.items[i].token.(string); {
		case c == "=" && len(v.items) == 2:
			return test{op: opNumber, num: bound}, nil
		case (c == ">" || c == ">=") && i == 0:
			s.low, s.openLow = bound, c == ">"
		case (c == "<" || c == "<=") && i == len(v.items)-2:
			s.high, s.openHigh = bound, c == "<"
		case len(v.items) == 4:
			return test{}, &PatternError{Reason: "a range is a lower bound (> or >=) and then an upper one (< or <=)"}
		default:
			return test{}, &PatternError{Reason: fmt.Sprintf("unknown comparison %s; there are =, <, <=, > and >=", v.items[i].text())}
		}
	}
	if s.low >= s.high {
		return test{}, &PatternError{Reason: "the lower bound of a range must be below the upper one"}
	}
	return test{op: opRange, span: s}, nil
}

func parseCIDR(v *value) (test, *PatternError) {
	s, ok := v.token.(string)
	if !ok {
		return test{}, &PatternError{Reason: "needs a string, not " + v.what()}
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return test{}, &PatternError{Reason: fmt.Sprintf("%q is not a network such as 10.0.0.0/8 or 2001:db8::/32", s)}
	}
	if p.Addr().Is4In6() {
		return test{}, &PatternError{Reason: fmt.Sprintf("%q is IPv4 in IPv6; write the IPv4 network", s)}
	}
	return test{op: opCIDR, net: p.Masked()}, nil
}
