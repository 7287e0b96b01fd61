package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

func is(text string) function.Condition { return function.Condition{{Is: &text}} }

func begins(text string) function.Condition { return function.Condition{{Prefix: &text}} }

func conditional(name, method, path string, headers, query function.Conditions) function.Trigger {
	t := route(name, method, path)
	t.Route.Headers, t.Route.Query = headers, query
	return t
}

// TestRoutesOfOnePathByWhatARequestCarries: the narrower one takes it, and what fits none is for the most specific path that takes all.
func TestRoutesOfOnePathByWhatARequestCarries(t *testing.T) {
	n := start(t, script(named))
	n.deploy("a",
		conditional("two", "", "/x/{id}", function.Conditions{"X-Version": begins("2")}, nil),
		conditional("beta", "", "/x/{id}", function.Conditions{"x-version": begins("2")}, function.Conditions{"beta": is("1")}),
		conditional("new", "GET", "/x/new", nil, function.Conditions{"beta": is("1")}),
		conditional("alone", "", "/alone", function.Conditions{"X-Version": is("2")}, nil),
	)
	n.deploy("b", route("all", "", "/x/{id}"), route("rest", "", "/y/{rest...}"), conditional("some", "", "/y/z", nil, function.Conditions{"beta": is("1")}))
	for _, c := range []struct {
		path, version, want string
	}{
		{"/x/1", "", "b/all"},
		{"/x/1", "2.1", "a/two"},
		{"/x/1?beta=1", "2.1", "a/beta"},
		{"/x/1?beta=1", "3", "b/all"},
		{"/x/new?beta=1", "2", "a/new"},
		{"/x/new", "2", "b/all"}, // what it carries is asked at the most specific path alone
		{"/y/z?beta=1", "", "b/some"},
		{"/y/z", "", "b/rest"},
	} {
		g := n.send("GET", c.path, "", "Authorization", "", "X-Version", c.version)
		if g.body != c.want {
			t.Errorf("GET %s of version %q = %d %s, want %s", c.path, c.version, g.status, g.body, c.want)
		}
		if varies := strings.HasPrefix(c.path, "/x/1"); varies != (g.header.Get("Vary") == "X-Version") {
			t.Errorf("GET %s: Vary = %q", c.path, g.header.Get("Vary"))
		}
	}
	if g := n.send("GET", "/alone", ""); g.status != 404 || g.fault(t).Kind != "not found" {
		t.Errorf("what fits no route: %d %s, want 404", g.status, g.body)
	}
	if g := n.send("POST", "/alone", "", "X-Version", "2"); g.body != "a/alone" {
		t.Errorf("what fits: %d %s", g.status, g.body)
	}

	// Two nodes can take contending routes at the same moment.
	n.deploy("c", conditional("late", "", "/x/{id}", function.Conditions{"X-Version": begins("2")}, nil))
	if g := n.send("GET", "/x/1", "", "X-Version", "2"); g.body != "a/two" || !strings.Contains(n.said.String(), "trigger=late") {
		t.Errorf("with a contending route: %s, and the log says %s; want the first by name, and the other in the log", g.body, n.said)
	}
}

// TestAQuestionIsPutToTheRouteThatIsMeant: a browser says which fields it will send, not what is in them.
func TestAQuestionIsPutToTheRouteThatIsMeant(t *testing.T) {
	n := start(t, script(named))
	two, all := conditional("two", "GET", "/x", function.Conditions{"X-Version": is("2")}, nil), route("all", "GET", "/x")
	two.Route.CORS = &function.CORS{Origins: []string{"https://two.example"}, Headers: []string{"X-Version"}}
	all.Route.CORS = &function.CORS{Origins: []string{"https://all.example"}}
	n.deploy("f", two, all, conditional("none", "GET", "/none", function.Conditions{"X-Version": is("2")}, nil))
	for _, c := range []struct {
		path, origin, fields string
		status               int
		allowed              bool
	}{
		{"/x", "https://two.example", "x-version", 204, true},
		{"/x", "https://two.example", "", 204, false},
		{"/x", "https://all.example", "", 204, true},
		{"/none", "https://two.example", "", 405, false},
	} {
		g := n.send("OPTIONS", c.path, "", "Origin", c.origin, "Access-Control-Request-Method", http.MethodGet, "Access-Control-Request-Headers", c.fields)
		if g.status != c.status || (g.header.Get("Access-Control-Allow-Origin") != "") != c.allowed {
			t.Errorf("%s asks for %s with %q: %d %v, want %d, allowed %v", c.origin, c.path, c.fields, g.status, g.header, c.status, c.allowed)
		}
	}
}

func TestWhatAnAnswerVariesWith(t *testing.T) {
	own := []string{"Accept"}
	for _, c := range []struct {
		function, varies []string
		want             string
	}{
		{own, []string{"X-Version"}, "Accept|X-Version"},
		{[]string{"accept, X-VERSION"}, []string{"X-Version"}, "accept, X-VERSION"},
		{[]string{"*"}, []string{"X-Version"}, "*"},
		{nil, nil, ""},
	} {
		x := &exchange{ResponseWriter: &record200{header: http.Header{}}, varies: c.varies}
		if c.function != nil {
			x.Header()["Vary"] = c.function
		}
		x.tellVariance()
		if got := strings.Join(x.Header()["Vary"], "|"); got != c.want {
			t.Errorf("%q with %q = %q, want %q", c.function, c.varies, got, c.want)
		}
	}
	if len(own) != 1 {
		t.Errorf("the function's own header was changed: %q", own)
	}
}
