package function

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestWhatARouteAsksFor(t *testing.T) {
	s, err := routeOf(t, `headers: {x-version: [2, {prefix: "3."}]}, query: {beta: {exists: true}, old: {exists: false}}`)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Triggers[0].Route
	if got, want := r.Text(), `/x where x-version is "2" or begins with "3.", ?beta is there, ?old is not there`; got != want {
		t.Errorf("Text = %s, want %s", got, want)
	}
	for _, c := range []struct {
		version []string
		query   string
		fits    bool
	}{
		{[]string{"2"}, "beta=1", true},
		{[]string{"3.1", "4"}, "beta", true},
		{[]string{"4", "2"}, "beta=1", false},
		{[]string{"3"}, "beta=1", false},
		{nil, "beta=1", false},
		{[]string{"2"}, "", false},
		{[]string{"2"}, "beta=1&old=", false},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Fits(http.Header{"X-Version": c.version}, q); got != c.fits {
			t.Errorf("X-Version %q and ?%s fit: %v, want %v", c.version, c.query, got, c.fits)
		}
	}
}

func TestConditionsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"headers: {X: []}":                                "headers.X: has 0 values",
		"headers: {X: {}}":                                "headers.X: has a value that says 0 things",
		"headers: {X: [{prefix: a, exists: true}]}":       "headers.X: has a value that says 2 things",
		"headers: {X: {suffix: a}}":                       "headers.X.suffix",
		"headers: {X: [[a]]}":                             "headers.X[0]",
		"headers: {'X Y': a}":                             `headers.X Y: "X Y" is no name for a header`,
		"headers: {host: a}":                              "headers.host: the host of a request",
		"headers: {X-A: a, x-a: b}":                       `"x-a" is the same header as "X-A"`,
		"query: {'': a}":                                  `query: "" is no name`,
		"query: [a]":                                      "query",
		"query: {" + strings.Repeat("a", 257) + ": b}":    "is no name for a parameter",
		"query: {b: [" + strings.Repeat("x, ", 65) + "]}": "query.b: has 65 values",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}

// TestRoutesOfOnePath: of two that some request fits one is the narrower, or they contend.
func TestRoutesOfOnePath(t *testing.T) {
	for _, c := range []struct {
		a, b     string
		contends bool
		narrower string // which of both
	}{
		{"headers: {V: 2}", "", false, "a"},
		{"headers: {V: 2}", "headers: {V: 3}", false, ""},
		{"headers: {V: 2}", "headers: {v: 2}", true, ""},
		{"headers: {V: 2}", "headers: {V: [2, 3]}", false, "a"},
		{"headers: {V: [2, 3]}", "headers: {V: [3, 4]}", true, ""},
		{"headers: {V: '2.1'}", "headers: {V: {prefix: '2.'}}", false, "a"},
		{"headers: {V: {prefix: '2.1'}}", "headers: {V: {prefix: '2.'}}", false, "a"},
		{"headers: {V: {prefix: '2.'}}", "headers: {V: {prefix: '3.'}}", false, ""},
		{"headers: {V: {exists: true}}", "headers: {V: {prefix: '3.'}}", false, "b"},
		{"headers: {V: {exists: false}}", "headers: {V: {prefix: '3.'}}", false, ""},
		{"headers: {V: [{exists: false}, 1]}", "headers: {V: 1}", false, "b"},
		{"headers: {V: 2}", "query: {beta: 1}", true, ""},
		{"headers: {V: 2}, query: {beta: 1}", "query: {beta: 1}", false, "a"},
		{"headers: {V: 2}, query: {beta: 1}", "query: {beta: {exists: true}}", false, "a"},
		{"headers: {V: 2}, query: {beta: 1}", "headers: {V: [2, 3]}, query: {beta: 2}", false, ""},
	} {
		read := func(more string) *Route {
			s, err := routeOf(t, strings.TrimSuffix(more, ", "))
			if err != nil {
				t.Fatal(err)
			}
			return s.Triggers[0].Route
		}
		a, b := read(c.a), read(c.b)
		if a.Conflicts(b) != c.contends || b.Conflicts(a) != c.contends || a.Narrower(b) != (c.narrower == "a") || b.Narrower(a) != (c.narrower == "b") {
			t.Errorf("{%s} and {%s}: conflict %v, the first is narrower %v, the second %v; want %v, %q", c.a, c.b, a.Conflicts(b), a.Narrower(b), b.Narrower(a), c.contends, c.narrower)
		}
		if err := RouteConflict([]RouteOf{{"f", "a", *a}, {"g", "b", *b}}); (err != nil) != c.contends {
			t.Errorf("{%s} and {%s}: %v, want an error: %v", c.a, c.b, err, c.contends)
		}
	}
}
