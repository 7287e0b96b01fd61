package match_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/match"
)

// Few names and values, so that patterns and objects meet; the values lie about the edges of the operators.
var (
	names   = rapid.SampledFrom([]string{"a", "b", "c", "a.b", "b.c", "$or", "é"})
	texts   = rapid.SampledFrom([]string{"", "a", "A", "ab", "AB", "abc", "abcabc", "bc", "x*y", `x\y`, "é", "É", "k", "\u212a", "a\nb", "10.0.0.1", "10.1.0.0", "2001:db8::1", "::ffff:10.0.0.1"})
	numbers = rapid.SampledFrom([]string{"0", "-0.0", "1", "1.0", "1e0", "10e-1", "-1", "2.5", "100", "1e2", "123456789012345678", "1e17"})
)

func drawText(t *rapid.T) string {
	out, err := json.Marshal(texts.Draw(t, "text"))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func drawScalar(t *rapid.T) string {
	switch rapid.IntRange(0, 5).Draw(t, "scalar") {
	case 0, 1, 2:
		return drawText(t)
	case 3, 4:
		return numbers.Draw(t, "number")
	}
	return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
}

func drawObject(t *rapid.T, depth int) string {
	var b strings.Builder
	for i := range rapid.IntRange(0, 4).Draw(t, "members") {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", names.Draw(t, "name"), drawValue(t, depth))
	}
	return "{" + b.String() + "}"
}

func drawValue(t *rapid.T, depth int) string {
	what := rapid.IntRange(0, 5).Draw(t, "value")
	switch {
	case depth == 0 || what <= 1:
		return drawScalar(t)
	case what <= 3:
		return drawObject(t, depth-1)
	}
	items := make([]string, rapid.IntRange(0, 3).Draw(t, "items"))
	for i := range items {
		items[i] = drawValue(t, depth-1)
	}
	return "[" + strings.Join(items, ",") + "]"
}

func drawPattern(t *rapid.T, depth int) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 3).Draw(t, "fields") {
		if i > 0 {
			b.WriteByte(',')
		}
		switch what := rapid.IntRange(0, 5).Draw(t, "field"); {
		case depth > 0 && what == 0:
			fmt.Fprintf(&b, `"$or":[%s,%s]`, drawPattern(t, depth-1), drawPattern(t, depth-1))
		case depth > 0 && what <= 2:
			fmt.Fprintf(&b, "%q:%s", names.Draw(t, "name"), drawPattern(t, depth-1))
		default:
			alternatives := make([]string, rapid.IntRange(1, 3).Draw(t, "alternatives"))
			for j := range alternatives {
				alternatives[j] = drawAlternative(t)
			}
			fmt.Fprintf(&b, "%q:[%s]", names.Draw(t, "name"), strings.Join(alternatives, ","))
		}
	}
	return "{" + b.String() + "}"
}

func drawAlternative(t *rapid.T) string {
	switch rapid.IntRange(0, 11).Draw(t, "alternative") {
	case 0, 1, 2:
		return drawScalar(t)
	case 3:
		return fmt.Sprintf(`{"exists":%t}`, rapid.Bool().Draw(t, "exists"))
	case 4:
		return fmt.Sprintf(`{%q:%s}`, rapid.SampledFrom([]string{"prefix", "suffix"}).Draw(t, "affix"), drawText(t))
	case 5:
		return fmt.Sprintf(`{%q:{"equals-ignore-case":%s}}`, rapid.SampledFrom([]string{"prefix", "suffix"}).Draw(t, "affix"), drawText(t))
	case 6:
		return fmt.Sprintf(`{%q:%s}`, rapid.SampledFrom([]string{"exactly", "equals-ignore-case"}).Draw(t, "equal"), drawText(t))
	case 7:
		return fmt.Sprintf(`{"wildcard":%s}`, drawWildcard(t))
	case 8:
		return fmt.Sprintf(`{"numeric":%s}`, rapid.SampledFrom([]string{
			`["=",1]`, `["<",1]`, `["<=",1]`, `[">",1]`, `[">=",1]`, `[">",0,"<",2.5]`, `[">=",1,"<=",100]`, `[">",-1,"<=",1]`}).Draw(t, "numeric"))
	case 9:
		return fmt.Sprintf(`{"cidr":%q}`, rapid.SampledFrom([]string{"10.0.0.0/8", "10.0.0.0/16", "10.0.0.1/32", "0.0.0.0/0", "2001:db8::/32", "::/0"}).Draw(t, "cidr"))
	case 10:
		list := []string{drawText(t), drawText(t)}
		if rapid.Bool().Draw(t, "of numbers") {
			list = []string{numbers.Draw(t, "number"), numbers.Draw(t, "number")}
		}
		return fmt.Sprintf(`{"anything-but":%s}`, drawList(t, list))
	}
	operator := rapid.SampledFrom([]string{"prefix", "suffix", "wildcard", "equals-ignore-case"}).Draw(t, "operator")
	list := []string{drawText(t), drawText(t)}
	if operator == "wildcard" {
		list = []string{drawWildcard(t), drawWildcard(t)}
	}
	return fmt.Sprintf(`{"anything-but":{%q:%s}}`, operator, drawList(t, list))
}

// drawList is the first of list by itself, or all of it.
func drawList(t *rapid.T, list []string) string {
	if rapid.Bool().Draw(t, "scalar") {
		return list[0]
	}
	return "[" + strings.Join(list, ",") + "]"
}

func drawWildcard(t *rapid.T) string {
	s := rapid.SampledFrom([]string{"", "*", "a*", "*a", "*b*", "*abc*", "a*c", "ab*bc", `x\**`, `x\\*`, `*\**`, "*a*b*", "abc", "*.0.*"}).Draw(t, "wildcard")
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// drawValid draws patterns until one is valid: names may meet that may not stand together.
func drawValid(t *rapid.T) (string, *match.Pattern) {
	for {
		s := drawPattern(t, 2)
		if p, err := match.Parse([]byte(s)); err == nil {
			return s, p
		}
	}
}

// The index and the reference agree on every pattern, whether alone or among others.
func TestMatchAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sources := make([]string, rapid.IntRange(1, 12).Draw(rt, "rules"))
		rules := make([]match.Rule[int], len(sources))
		for i := range rules {
			rules[i].Value = i
			sources[i], rules[i].Pattern = drawValid(rt)
		}
		set := match.NewSet(rules)
		for range 4 {
			object := drawObject(rt, 4)
			var want []int
			for i, s := range sources {
				holds := referenceMatch(t, s, object)
				if holds {
					want = append(want, i)
				}
				if got, err := rules[i].Pattern.MatchJSON([]byte(object)); err != nil || got != holds {
					rt.Fatalf("%s MatchJSON(%s) = %v, %v, want %v", s, object, got, err, holds)
				}
				if _, _, got, err := rules[i].Pattern.Explain([]byte(object)); err != nil || got != holds {
					rt.Fatalf("%s Explain(%s) = %v, %v, want %v", s, object, got, err, holds)
				}
			}
			if got, err := set.MatchJSON([]byte(object), nil); err != nil || !slices.Equal(got, want) {
				rt.Fatalf("%q MatchJSON(%s) = %v, %v, want %v", sources, object, got, err, want)
			}
		}
	})
}
