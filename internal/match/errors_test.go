package match_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/match"
)

// Every error names the path and the operator that are wrong.
func TestParseErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 33) + `["x"]` + strings.Repeat(`}`, 33)
	tests := []struct{ pattern, path, operator, reason string }{
		{``, "", "", "not valid JSON"},
		{`{"a":["x"]`, "", "", "not valid JSON"},
		{`{"a":["x"]} x`, "", "", "not valid JSON"},
		{`[1]`, "", "", "not an array"},
		{`null`, "", "", "not null"},
		{`"x"`, "", "", "not a string"},
		{`{"a":"x"}`, "a", "", `not a string; write ["x"]`},
		{`{"d":{"a":1}}`, "d.a", "", `not a number; write [1]`},
		{`{"a":null}`, "a", "", "not null"},
		{`{"a":true}`, "a", "", "not a boolean"},
		{`{"a":{}}`, "a", "", "empty object"},
		{`{"a":[]}`, "a", "", "empty array"},
		{`{"a":[["x"]]}`, "a", "", "not an array"},
		{`{"a":[{}]}`, "a", "", "one key, not 0"},
		{`{"a":{"prefix":"x"}}`, "a.prefix", "prefix", `[{"prefix": ...}]`},
		{`{"a":[{"foo":"x"}]}`, "a", "foo", "unknown"},
		{`{"a":[{"prefix":"x","suffix":"y"}]}`, "a", "prefix", "one key, not 2"},
		{`{"a":[1e400]}`, "a", "", "outside the range"},
		{`{"a":["x"],"a":["y"]}`, "a", "", "named twice"},
		{`{"d":{"a":{"b":["x"]},"a":{"c":["y"]}}}`, "d.a", "", "named twice"},
		{`{"a":{"b":["x"]},"a.b":["y"]}`, "a.b", "", "named twice"},
		{`{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}`, "a", "", "named twice"},
		{`{"a":[{"exactly":33}]}`, "a", "exactly", "not a number"},
		{`{"a":[{"prefix":3}]}`, "a", "prefix", "not a number"},
		{`{"a":[{"prefix":["x"]}]}`, "a", "prefix", "not an array"},
		{`{"a":[{"prefix":{"foo":"x"}}]}`, "a", "prefix", "equals-ignore-case"},
		{`{"a":[{"prefix":{"equals-ignore-case":["x"]}}]}`, "a", "prefix", "not an array"},
		{`{"a":[{"suffix":{"equals-ignore-case":"x","y":1}}]}`, "a", "suffix", "equals-ignore-case"},
		{`{"a":[{"suffix":null}]}`, "a", "suffix", "not null"},
		{`{"a":[{"equals-ignore-case":["x"]}]}`, "a", "equals-ignore-case", "not an array"},
		{`{"a":[{"wildcard":5}]}`, "a", "wildcard", "not a number"},
		{`{"a":[{"wildcard":"a**b"}]}`, "a", "wildcard", "**"},
		{`{"a":[{"wildcard":"a\\b"}]}`, "a", "wildcard", "backslash"},
		{`{"a":[{"wildcard":"a\\"}]}`, "a", "wildcard", "backslash"},
		{`{"a":[{"wildcard":"` + strings.Repeat("*a", 17) + `"}]}`, "a", "wildcard", "more than 16"},
		{`{"a":[{"anything-but":null}]}`, "a", "anything-but", "not null"},
		{`{"a":[{"anything-but":[true]}]}`, "a", "anything-but", "not a boolean"},
		{`{"a":[{"anything-but":[]}]}`, "a", "anything-but", "at least one"},
		{`{"a":[{"anything-but":["x",1]}]}`, "a", "anything-but", "strings only"},
		{`{"a":[{"anything-but":[1,"x"]}]}`, "a", "anything-but", "strings only"},
		{`{"a":[{"anything-but":{"foo":"x"}}]}`, "a", "anything-but", `"foo"`},
		{`{"a":[{"anything-but":{"prefix":""}}]}`, "a", "anything-but", "nothing would match"},
		{`{"a":[{"anything-but":{"suffix":["x",""]}}]}`, "a", "anything-but", "nothing would match"},
		{`{"a":[{"anything-but":{"prefix":1}}]}`, "a", "anything-but", "not a number"},
		{`{"a":[{"anything-but":{"wildcard":"**"}}]}`, "a", "anything-but", "**"},
		{`{"a":[{"anything-but":{"prefix":"x","suffix":"y"}}]}`, "a", "anything-but", "one key"},
		{`{"a":[{"numeric":5}]}`, "a", "numeric", "needs a list"},
		{`{"a":[{"numeric":["="]}]}`, "a", "numeric", "needs a list"},
		{`{"a":[{"numeric":["=","5"]}]}`, "a", "numeric", "not with a string"},
		{`{"a":[{"numeric":["==",5]}]}`, "a", "numeric", `unknown comparison "=="`},
		{`{"a":[{"numeric":[5,5]}]}`, "a", "numeric", `unknown comparison 5`},
		{`{"a":[{"numeric":["<",5,">",1]}]}`, "a", "numeric", "lower bound"},
		{`{"a":[{"numeric":["=",5,"=",1]}]}`, "a", "numeric", "lower bound"},
		{`{"a":[{"numeric":[">",5,"<",5]}]}`, "a", "numeric", "below the upper"},
		{`{"a":[{"numeric":["<",1e999]}]}`, "a", "numeric", "outside the range"},
		{`{"a":[{"cidr":"10.0.0.1"}]}`, "a", "cidr", "not a network"},
		{`{"a":[{"cidr":"10.0.0.0/33"}]}`, "a", "cidr", "not a network"},
		{`{"a":[{"cidr":"::ffff:10.0.0.0/104"}]}`, "a", "cidr", "IPv4 in IPv6"},
		{`{"a":[{"cidr":1}]}`, "a", "cidr", "not a number"},
		{`{"a":[{"exists":"true"}]}`, "a", "exists", "not a string"},
		{`{"a":[{"exists":null}]}`, "a", "exists", "not null"},
		{`{"$or":[{"a":["x"]}]}`, "$or", "a", "unknown"},
		{`{"$or":[{"a":["x"]},{"prefix":"y"}]}`, "$or", "a", "unknown"},
		{`{"$or":[{"a":["x"]},{}]}`, "", "", "empty object"},
		{`{"$or":[{"a":["x"]},{"b":{"prefix":["y"]}}]}`, "b.prefix", "prefix", `within "$or"`},
		{`{"d":{"$or":` + strings.ReplaceAll(`[{"a":["x"]},{"$or":#}]`, "#", `[{"b":[1]},{"c":2}]`) + `}}`, "d.c", "", "write [2]"},
		{orPattern(9), "", "$or", "more than 256"},
		{fieldsPattern(65), "f64", "", "more than 64"},
		{deep, strings.Repeat("a.", 32) + "a", "", "more than 32 deep"},
		{`{"a":[` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]}`, "", "", "more than 32 deep"},
		{`{"a":["` + strings.Repeat("x", 64<<10) + `"]}`, "", "", "more than the 65536"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.60s", tt.pattern), func(t *testing.T) {
			_, err := match.Parse([]byte(tt.pattern))
			var e *match.PatternError
			if !errors.As(err, &e) {
				t.Fatalf("Parse = %v, want a PatternError", err)
			}
			if tt.path != "" && e.Path != tt.path || e.Operator != tt.operator || !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("Parse = %+v, want path %q, operator %q, reason with %q", *e, tt.path, tt.operator, tt.reason)
			}
			for _, part := range []string{"pattern", e.Path, e.Operator, e.Reason} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Error() = %q, want %q in it", err, part)
				}
			}
		})
	}
}

func TestParseBoundsAreReachable(t *testing.T) {
	for _, p := range []string{
		orPattern(8), fieldsPattern(64), `{"a":[{"wildcard":"` + strings.Repeat("*a", 16) + `"}]}`,
		strings.Repeat(`{"a":`, 32) + `["x"]` + strings.Repeat(`}`, 32),
	} {
		if _, err := match.Parse([]byte(p)); err != nil {
			t.Errorf("Parse(%.40s) = %v, want none", p, err)
		}
	}
}

// orPattern has n times "$or" of two, so 2 to the n conjunctions.
func orPattern(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"d%d":{"$or":[{"a":[1]},{"b":[2]}]}`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func fieldsPattern(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"f%d":[1]`, i)
	}
	return "{" + b.String()[1:] + "}"
}
