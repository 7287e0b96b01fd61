package match_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The reference matcher is slow and obvious: it decodes pattern and object with encoding/json, lists every leaf with the
// array elements that it is in, and tries every way to choose one leaf (or absence) for each field. It knows
// valid patterns only.

type refLeaf struct {
	path  string
	value any         // string, float64, bool, nil
	in    map[int]int // element by array
}

// refChoice is a leaf, or absence when leaf is nil.
type refChoice struct {
	path string
	leaf *refLeaf
}

func referenceMatch(t testing.TB, pattern, object string) bool {
	t.Helper()
	leaves := referenceLeaves(t, object)
	return slices.ContainsFunc(referenceConjunctions(t, pattern), func(c map[string][]any) bool {
		return referenceConjunction(c, leaves)
	})
}

func referenceConjunction(c map[string][]any, leaves []refLeaf) bool {
	paths := slices.Sorted(maps.Keys(c))
	var choose func(i int, chosen []refChoice) bool
	choose = func(i int, chosen []refChoice) bool {
		if i == len(paths) {
			return referenceAbsent(chosen, leaves)
		}
		for _, want := range c[paths[i]] {
			if referenceIs(want, "exists", false) && choose(i+1, append(chosen, refChoice{path: paths[i]})) {
				return true
			}
			for j := range leaves {
				l := &leaves[j]
				if l.path == paths[i] && referenceHolds(want, l.value) && referenceTogether(l, chosen) &&
					choose(i+1, append(chosen, refChoice{path: paths[i], leaf: l})) {
					return true
				}
			}
		}
		return false
	}
	return choose(0, nil)
}

// referenceAbsent says whether the fields chosen to be absent have no leaf that goes together with the chosen ones.
func referenceAbsent(chosen []refChoice, leaves []refLeaf) bool {
	for _, c := range chosen {
		if c.leaf != nil {
			continue
		}
		for i := range leaves {
			if leaves[i].path == c.path && referenceTogether(&leaves[i], chosen) {
				return false
			}
		}
	}
	return true
}

func referenceTogether(l *refLeaf, chosen []refChoice) bool {
	for _, c := range chosen {
		if c.leaf == nil {
			continue
		}
		for array, index := range l.in {
			if other, ok := c.leaf.in[array]; ok && other != index {
				return false
			}
		}
	}
	return true
}

func referenceIs(want any, operator string, operand any) bool {
	m, ok := want.(map[string]any)
	return ok && m[operator] == operand && len(m) == 1
}

// referenceLeaves lists the leaves of an object. encoding/json would drop repeated keys, so the decoder's tokens are used.
func referenceLeaves(t testing.TB, object string) []refLeaf {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	d.UseNumber()
	var out []refLeaf
	var arrays refArrays
	elements := 0
	var walk func(path []string, in map[int]int)
	walk = func(path []string, in map[int]int) {
		switch tok := refToken(t, d); tok {
		case json.Delim('{'):
			for d.More() {
				walk(append(slices.Clip(path), refToken(t, d).(string)), in)
			}
			refToken(t, d)
		case json.Delim('['):
			array := arrays.number(fmt.Sprint(in), strings.Join(path, ".")+".")
			for d.More() {
				next := in
				if rest := strings.TrimLeft(object[d.InputOffset():], " \t\r\n,"); rest[0] == '{' || rest[0] == '[' {
					elements++
					next = maps.Clone(in)
					next[array] = elements
				}
				walk(path, next)
			}
			refToken(t, d)
		default:
			if n, ok := tok.(json.Number); ok {
				tok, _ = strconv.ParseFloat(n.String(), 64) // past the range it is an infinity
			}
			out = append(out, refLeaf{path: strings.Join(path, "."), value: tok, in: in})
		}
	}
	walk(nil, map[int]int{})
	for i := range out {
		in := map[int]int{}
		for array, element := range out[i].in {
			in[arrays.same[array]] = element
		}
		out[i].in = in
	}
	return out
}

// refArrays numbers arrays. Those in the same element whose paths lie on one line get the same number in the end.
type refArrays struct {
	where, path []string
	same        []int
}

func (a *refArrays) number(where, path string) int {
	n := len(a.same)
	a.where, a.path, a.same = append(a.where, where), append(a.path, path), append(a.same, n)
	for i := range n {
		if a.where[i] == where && (strings.HasPrefix(a.path[i], path) || strings.HasPrefix(path, a.path[i])) {
			was := a.same[i]
			for j := range a.same {
				if a.same[j] == was {
					a.same[j] = n
				}
			}
		}
	}
	return n
}

func refToken(t testing.TB, d *json.Decoder) json.Token {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatalf("read token: %v", err)
	}
	return tok
}

// referenceConjunctions multiplies out a pattern: each result maps paths to alternatives.
func referenceConjunctions(t testing.TB, pattern string) []map[string][]any {
	t.Helper()
	var p map[string]any
	d := json.NewDecoder(strings.NewReader(pattern))
	if err := d.Decode(&p); err != nil {
		t.Fatalf("decode %s: %v", pattern, err)
	}
	return referenceObject(p, "", []map[string][]any{{}})
}

func referenceObject(p map[string]any, prefix string, all []map[string][]any) []map[string][]any {
	for name, v := range p {
		list, isList := v.([]any)
		switch {
		case name == "$or" && isList && referenceOr(list):
			var out []map[string][]any
			for _, alternative := range list {
				out = append(out, referenceObject(alternative.(map[string]any), prefix, all)...)
			}
			all = out
		case isList:
			next := make([]map[string][]any, len(all))
			for i, c := range all {
				next[i] = maps.Clone(c)
				next[i][prefix+name] = list
			}
			all = next
		default:
			all = referenceObject(v.(map[string]any), prefix+name+".", all)
		}
	}
	return all
}

func referenceOr(list []any) bool {
	operator := regexp.MustCompile(`^(exactly|equals-ignore-case|prefix|suffix|anything-but|exists|wildcard|numeric|cidr)$`)
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok || slices.ContainsFunc(slices.Collect(maps.Keys(m)), operator.MatchString) {
			return false
		}
	}
	return len(list) >= 2
}

// referenceHolds says whether a value satisfies one alternative.
func referenceHolds(want, v any) bool {
	m, ok := want.(map[string]any)
	if !ok {
		return want == v
	}
	s, isString := v.(string)
	n, isNumber := v.(float64)
	for operator, operand := range m {
		nested, isNested := operand.(map[string]any)
		switch operator {
		case "exactly":
			return operand == v
		case "exists":
			return operand == true
		case "equals-ignore-case":
			return isString && strings.EqualFold(s, operand.(string))
		case "prefix", "suffix":
			text, flags := "", "(?s)"
			if isNested {
				text, flags = nested["equals-ignore-case"].(string), "(?is)"
			} else {
				text = operand.(string)
			}
			expression := flags + "^" + regexp.QuoteMeta(text)
			if operator == "suffix" {
				expression = flags + regexp.QuoteMeta(text) + "$"
			}
			return isString && regexp.MustCompile(expression).MatchString(s)
		case "wildcard":
			return isString && referenceWildcard(operand.(string)).MatchString(s)
		case "numeric":
			return isNumber && referenceNumeric(operand.([]any), n)
		case "cidr":
			a, err := netip.ParseAddr(s)
			return isString && err == nil && netip.MustParsePrefix(operand.(string)).Contains(a.Unmap())
		case "anything-but":
			inner := ""
			if isNested {
				for inner, operand = range nested {
				}
			}
			list, isList := operand.([]any)
			if !isList {
				list = []any{operand}
			}
			return !slices.ContainsFunc(list, func(one any) bool {
				if inner != "" {
					return referenceHolds(map[string]any{inner: one}, v)
				}
				return one == v
			})
		}
	}
	return false
}

func referenceWildcard(s string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
			b.WriteString(regexp.QuoteMeta(s[i : i+1]))
		case s[i] == '*':
			b.WriteString(".*")
		default:
			b.WriteString(regexp.QuoteMeta(s[i : i+1]))
		}
	}
	return regexp.MustCompile(b.String() + "$")
}

func referenceNumeric(terms []any, n float64) bool {
	for i := 0; i < len(terms); i += 2 {
		bound := terms[i+1].(float64)
		holds := map[string]bool{"=": n == bound, "<": n < bound, "<=": n <= bound, ">": n > bound, ">=": n >= bound}
		if !holds[terms[i].(string)] {
			return false
		}
	}
	return true
}
