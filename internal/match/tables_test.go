package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/match"
)

// Many rules over one field, by one operator or a few: the structures behind the edges agree with the reference.
func TestTablesAgreeWithReference(t *testing.T) {
	word := rapid.StringMatching(`[abB]{0,4}`)
	small := rapid.IntRange(-4, 8)
	operators := map[string]func(*rapid.T) string{
		"prefix": func(t *rapid.T) string { return fmt.Sprintf(`{"prefix":%q}`, word.Draw(t, "word")) },
		"suffix": func(t *rapid.T) string { return fmt.Sprintf(`{"suffix":%q}`, word.Draw(t, "word")) },
		"prefix, ignore case": func(t *rapid.T) string {
			return fmt.Sprintf(`{"prefix":{"equals-ignore-case":%q}}`, word.Draw(t, "word"))
		},
		"suffix, ignore case": func(t *rapid.T) string {
			return fmt.Sprintf(`{"suffix":{"equals-ignore-case":%q}}`, word.Draw(t, "word"))
		},
		"equals-ignore-case": func(t *rapid.T) string { return fmt.Sprintf(`{"equals-ignore-case":%q}`, word.Draw(t, "word")) },
		"wildcard": func(t *rapid.T) string {
			return fmt.Sprintf(`{"wildcard":%q}`, strings.Join(rapid.SliceOfN(rapid.StringMatching(`[ab]{1,3}`), 1, 3).Draw(t, "parts"), "*")+
				rapid.SampledFrom([]string{"", "*"}).Draw(t, "end"))
		},
		"wildcard, inner": func(t *rapid.T) string {
			return fmt.Sprintf(`{"wildcard":"*%s*"}`, rapid.StringMatching(`[ab]{1,4}`).Draw(t, "word"))
		},
		"numeric": func(t *rapid.T) string {
			low := small.Draw(t, "low")
			return fmt.Sprintf(`{"numeric":[%q,%d,%q,%d]}`, rapid.SampledFrom([]string{">", ">="}).Draw(t, "lower"), low,
				rapid.SampledFrom([]string{"<", "<="}).Draw(t, "upper"), low+rapid.IntRange(1, 6).Draw(t, "width"))
		},
		"numeric, one bound": func(t *rapid.T) string {
			return fmt.Sprintf(`{"numeric":[%q,%d]}`, rapid.SampledFrom([]string{">", ">=", "<", "<=", "="}).Draw(t, "comparison"), small.Draw(t, "bound"))
		},
		"anything-but": func(t *rapid.T) string {
			return fmt.Sprintf(`{"anything-but":["a",%q]}`, word.Draw(t, "word"))
		},
		"anything-but, number": func(t *rapid.T) string { return fmt.Sprintf(`{"anything-but":%d}`, small.Draw(t, "number")) },
		"anything-but, prefix": func(t *rapid.T) string {
			return fmt.Sprintf(`{"anything-but":{"prefix":%q}}`, rapid.StringMatching(`[ab]`).Draw(t, "word"))
		},
		"cidr": func(t *rapid.T) string {
			return fmt.Sprintf(`{"cidr":"10.%d.0.0/%d"}`, rapid.IntRange(0, 3).Draw(t, "net"), rapid.IntRange(7, 16).Draw(t, "bits"))
		},
		"string": func(t *rapid.T) string { return fmt.Sprintf("%q", word.Draw(t, "word")) },
		"number": func(t *rapid.T) string { return fmt.Sprint(small.Draw(t, "number")) },
		"exists": func(t *rapid.T) string { return fmt.Sprintf(`{"exists":%t}`, rapid.Bool().Draw(t, "exists")) },
	}
	names := make([]string, 0, len(operators))
	for name := range operators {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(rt *rapid.T) {
		used := rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(rt, "operators")
		var sources []string
		for range rapid.IntRange(1, 40).Draw(rt, "rules") {
			alternatives := make([]string, rapid.IntRange(1, 2).Draw(rt, "alternatives"))
			for i := range alternatives {
				alternatives[i] = operators[rapid.SampledFrom(used).Draw(rt, "operator")](rt)
			}
			s := fmt.Sprintf(`"a":[%s]`, strings.Join(alternatives, ","))
			if rapid.Bool().Draw(rt, "with b") {
				s += fmt.Sprintf(`,"b":[%s]`, operators[rapid.SampledFrom(used).Draw(rt, "operator")](rt))
			}
			sources = append(sources, "{"+s+"}")
		}
		set := newSet(t, sources)
		value := rapid.Custom(func(t *rapid.T) string {
			switch rapid.IntRange(0, 4).Draw(t, "value") {
			case 0, 1:
				return fmt.Sprintf("%q", rapid.StringMatching(`[abB]{0,6}`).Draw(t, "word"))
			case 2:
				return fmt.Sprint(small.Draw(t, "number"))
			case 3:
				return fmt.Sprintf(`"10.%d.0.%d"`, rapid.IntRange(0, 4).Draw(t, "net"), rapid.IntRange(0, 256).Draw(t, "host"))
			}
			return rapid.SampledFrom([]string{"null", "true", "[]", "{}", `["a","b"]`, `[0,"a"]`, `[["ab"],{"a":1}]`}).Draw(t, "other")
		})
		for range 4 {
			object := fmt.Sprintf(`{"a":%s,"b":%s}`, value.Draw(rt, "a"), value.Draw(rt, "b"))
			var want []int
			for i, s := range sources {
				if referenceMatch(t, s, object) {
					want = append(want, i)
				}
			}
			if got, err := set.MatchJSON([]byte(object), nil); err != nil || !slices.Equal(got, want) {
				rt.Fatalf("%q MatchJSON(%s) = %v, %v, want %v", sources, object, got, err, want)
			}
		}
	})
}

// Rules with long, overlapping lists would multiply in a decision tree; it is cut off, and still right.
func TestLongListsStayBounded(t *testing.T) {
	const rules, values = 300, 60
	random := rand.New(rand.NewPCG(1, 2))
	sources := make([]string, rules)
	for i := range sources {
		var fields []string
		for f := range 6 {
			var list []string
			for v := range values {
				if random.IntN(4) != 0 {
					list = append(list, fmt.Sprintf(`"v%d"`, v))
				}
			}
			fields = append(fields, fmt.Sprintf(`"f%d":[%s]`, f, strings.Join(list, ",")))
		}
		sources[i] = "{" + strings.Join(fields, ",") + "}"
	}
	set := newSet(t, sources)
	for v := range values {
		var members []string
		for f := range 6 {
			members = append(members, fmt.Sprintf(`"f%d":"v%d"`, f, (v*(f+1))%values))
		}
		object := "{" + strings.Join(members, ",") + "}"
		var want []int
		for i, s := range sources {
			if referenceMatch(t, s, object) {
				want = append(want, i)
			}
		}
		if got, err := set.MatchJSON([]byte(object), nil); err != nil || !slices.Equal(got, want) {
			t.Fatalf("MatchJSON(%s) = %v, %v, want %v", object, got, err, want)
		}
	}
}

// An event with a great many elements is settled in time that grows with it, not with its square.
func TestManyElements(t *testing.T) {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, `{"a":1,"n":%d},{"b":1,"n":%d},{"c":1},`, i, i)
	}
	object := fmt.Sprintf(`{"x":[%[1]s0],"y":[%[1]s0]}`, b.String())
	for pattern, want := range map[string]bool{
		`{"x":{"a":[1],"b":[1],"c":[1]}}`:                                             false,
		`{"x":{"a":[1],"n":[19999]}}`:                                                 true,
		`{"x":{"a":[1],"n":[20000]}}`:                                                 false,
		`{"x":{"a":[1],"n":[19999]},"y":{"b":[1],"n":[3]}}`:                           true,
		`{"x":{"a":[1],"b":[1]},"y":{"b":[1],"n":[3]}}`:                               false,
		`{"x":{"n":[5],"b":[{"exists":false}]},"y":{"c":[1],"a":[{"exists":false}]}}`: true,
	} {
		if got, err := mustParse(t, pattern).MatchJSON([]byte(object)); err != nil || got != want {
			t.Errorf("%s MatchJSON of %d bytes = %v, %v, want %v", pattern, len(object), got, err, want)
		}
	}
	set := match.NewSet([]match.Rule[int]{{Pattern: mustParse(t, `{"x":{"a":[1],"b":[1]}}`)}, {Pattern: mustParse(t, `{"y":{"c":[1]}}`), Value: 1}})
	if got, err := set.MatchJSON([]byte(object), nil); err != nil || !slices.Equal(got, []int{1}) {
		t.Errorf("Set.MatchJSON = %v, %v, want [1]", got, err)
	}
}
