package match_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/dalamb/dalamb/internal/match"
)

var fuzzPatterns = []string{
	`{}`, `{"a":["x",1,true,null]}`, `{"a":{"b.c":[{"exists":false}]},"$or":[{"x":[1]},{"y":[{"numeric":[">",0,"<=",5]}]}]}`,
	`{"a":[{"prefix":{"equals-ignore-case":"é"}},{"suffix":"x"},{"wildcard":"a\\*b*c"},{"cidr":"::/0"},{"cidr":"10.0.0.0/8"}]}`,
	`{"a":[{"anything-but":{"wildcard":["*x*","y"]}},{"anything-but":[1,2]},{"equals-ignore-case":"K"},{"exactly":"z"}]}`,
	`{"$or":[{"prefix":"x"}]}`, `{"a":"x"}`, `[`, `{"a":[{"numeric":["<",1e999]}]}`,
}

func FuzzParse(f *testing.F) {
	for _, p := range fuzzPatterns {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := match.Parse([]byte(text))
		var e *match.PatternError
		switch {
		case err != nil && (!errors.As(err, &e) || e.Reason == "" || p != nil):
			t.Fatalf("Parse(%q) = %v, %#v, want a PatternError with a reason", text, p, err)
		case err == nil && !json.Valid([]byte(text)):
			t.Fatalf("Parse(%q) takes what is not JSON", text)
		case err == nil:
			if _, err := p.MatchJSON([]byte(`{"a":[{"b":1},"x"],"$or":"x"}`)); err != nil {
				t.Fatalf("MatchJSON: %v", err)
			}
		}
	})
}

// What is read agrees with encoding/json on what is valid, and with the reference on what matches.
func FuzzMatchJSON(f *testing.F) {
	for _, object := range []string{
		`{"a":"x"}`, ` { "a" : [ { "b" : 1 } , "x" , null ] } `, `{"a":{"b.c":-0.5e+3},"x":1,"y":5}`, `{"a":"\ud83d\ude00\u00e9\n\/","a":"K"}`,
		"{\"a\":\"\xff\xfe\"}", `{"a":"\ud800"}`, `{"a":[[{"b":{"c":1}}],[{"x":2}]]}`, `{"a":1e400}`, `{"a":tru}`, `[{"a":1}]`, `{"a":"10.1.2.3"}`, `{`,
	} {
		f.Add(object)
	}
	var sources []string
	var rules []match.Rule[string]
	for _, s := range fuzzPatterns {
		if p, err := match.Parse([]byte(s)); err == nil {
			sources = append(sources, s)
			rules = append(rules, match.Rule[string]{Pattern: p, Value: s})
		}
	}
	set := match.NewSet(rules)
	f.Fuzz(func(t *testing.T, object string) {
		var decoded map[string]json.RawMessage
		valid := json.Unmarshal([]byte(object), &decoded) == nil && decoded != nil
		got, err := set.MatchJSON([]byte(object), nil)
		if (err == nil) != valid {
			t.Fatalf("MatchJSON(%q) = %v, want valid %v", object, err, valid)
		}
		if !valid {
			return
		}
		for _, s := range sources {
			want := referenceMatch(t, s, object)
			if len(got) > 0 && got[0] == s {
				got = got[1:]
				if !want {
					t.Fatalf("%s matches %q, want not", s, object)
				}
			} else if want {
				t.Fatalf("%s does not match %q, want a match", s, object)
			}
		}
	})
}
