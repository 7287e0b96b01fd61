package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// leaves is a fleet whose functions each do what the test says, by their names.
type leaves map[string]func(fleet.Call) (*function.Result, error)

func (l leaves) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) {
	return script(func(context.Context, fleet.Call) (*function.Result, error) { return l[c.Function](c) }).Invoke(ctx, c)
}

// together is a route of f whose answers have parts.
func together(s function.Scatter, change ...func(*function.Route)) function.Trigger {
	return enduring("", func(r *function.Route) {
		r.Scatter = &s
		for _, c := range change {
			c(r)
		}
	})
}

func abc() []string { return []string{"a", "b", "c"} }

func TestSeveralFunctionsAnswerTogether(t *testing.T) {
	empty := &function.Result{Outcome: function.Succeeded, Status: 204, Header: http.Header{}}
	crashed := &function.Result{Outcome: function.Crashed, Failure: &function.Failure{Message: "a secret of the inside"}}
	hidden := refuses(fault.New(fault.Unavailable, "a secret of the inside"))
	for name, c := range map[string]struct {
		a, b, c func(fleet.Call) (*function.Result, error)
		rule    function.Scatter
		status  int
		body    string // a part of it
		missing string
	}{
		"all":                     {gives(ok(`{"x": 1}`)), gives(ok(" [2]\n")), gives(ok(`"3"`)), function.Scatter{}, 200, `{"a":{"x": 1},"b":[2],"c":"3"}`, ""},
		"as a list":               {gives(ok("1")), gives(bad(500)), gives(ok("3")), function.Scatter{Merge: function.ScatterMerge{Form: "array"}}, 200, `[1,null,3]`, "b;reason=500"},
		"nothing is an answer":    {gives(ok("1")), gives(empty), gives(ok("3")), function.Scatter{}, 200, `{"a":1,"b":null,"c":3}`, ""},
		"one fails":               {gives(crashed), gives(bad(404)), gives(ok("3")), function.Scatter{}, 200, `{"c":3}`, "a;reason=failed, b;reason=404"},
		"one is not there":        {hidden, gives(ok("2")), gives(&function.Result{Outcome: function.InitError, Failure: &function.Failure{}}), function.Scatter{}, 200, `{"b":2}`, "a;reason=unavailable, c;reason=unavailable"},
		"one took too long":       {gives(&function.Result{Outcome: function.TimedOut, Failure: &function.Failure{}}), gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=timeout"},
		"no JSON":                 {gives(ok("hello")), gives(ok("")), gives(ok("\"\xff\"")), function.Scatter{Quorum: 1}, 502, "a (not-json), b (not-json), c (not-json)", "a;reason=not-json, b;reason=not-json, c;reason=not-json"},
		"too much":                {gives(ok(`"` + strings.Repeat("x", maxParts/3) + `"`)), gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=too-large"},
		"more than there is room": {gives(&function.Result{Outcome: function.BadAnswer, Failure: &function.Failure{Type: function.AnswerTooLarge}}), gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=too-large"},
		"it only says so":         {gives(&function.Result{Outcome: function.Failed, Failure: &function.Failure{Type: function.AnswerTooLarge}}), gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=failed"},
		"too few":                 {gives(ok("1")), gives(bad(500)), gives(bad(503)), function.Scatter{Quorum: 2}, 502, "1 of 3 parts of the answer came in time, and the route wants 2: b (500), c (503)", "b;reason=500, c;reason=503"},
		"enough":                  {gives(ok("1")), gives(ok("2")), gives(bad(503)), function.Scatter{Quorum: 2}, 200, `{"a":1,"b":2}`, "c;reason=503"},
		"too few in time":         {gives(ok("1")), gives(bad(500)), gives(&function.Result{Outcome: function.TimedOut, Failure: &function.Failure{}}), function.Scatter{Quorum: 3}, 504, "b (500), c (timeout)", "b;reason=500, c;reason=timeout"},
		"the request is wrong":    {gives(bad(422)), gives(bad(422)), gives(bad(422)), function.Scatter{}, 422, "a (422), b (422), c (422)", "a;reason=422, b;reason=422, c;reason=422"},
		"a status that is none":   {gives(&function.Result{Outcome: function.Succeeded, Status: 99, Header: http.Header{}}), gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=failed"},
		"a redirect is no part":   {gives(&function.Result{Outcome: function.Succeeded, Status: 302, Header: http.Header{}}), gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=302"},
		"a mistake of this node":  {func(fleet.Call) (*function.Result, error) { panic("a mistake") }, gives(ok("2")), gives(ok("3")), function.Scatter{}, 200, `{"b":2,"c":3}`, "a;reason=failed"},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, leaves{"a": c.a, "b": c.b, "c": c.c})
			c.rule.Functions = abc()
			n.deploy("f", together(c.rule))
			g := n.send("POST", "/x", "the body")
			if g.status != c.status || !strings.Contains(g.body, c.body) || g.header.Get(missingHeader) != c.missing || strings.Contains(g.body, "secret") {
				t.Errorf("answer = %d %s, missing %q; want %d %s, %q", g.status, g.body, g.header.Get(missingHeader), c.status, c.body, c.missing)
			}
			if got := g.header.Get("Cache-Control"); (got == "no-store") != (c.missing != "") {
				t.Errorf("Cache-Control = %q where %q is missing", got, c.missing)
			}
			if g.header.Get("Content-Type") != "application/json" || g.header.Get("X-Function") != "" || g.header.Get(runHeader) == "" {
				t.Errorf("header = %v", g.header)
			}
			n.background.Wait()
			n.holdsNothing(t)
			if got := n.metric("dalamb_gateway_scatter_parts_total"); got != 3 {
				t.Errorf("%v parts are counted, want 3", got)
			}
		})
	}
}

func TestALeafThatIsLateHoldsNobody(t *testing.T) {
	until := make(chan struct{})
	n := start(t, leaves{"a": gives(ok("1")), "b": hangs(until, ok("2")), "c": hangs(until, ok("3"))})
	n.deploy("f", together(function.Scatter{Functions: abc(), Deadline: 30e6}))
	g := n.send("POST", "/x", "the body")
	if g.status != 200 || g.body != `{"a":1}` || g.header.Get(missingHeader) != "b;reason=timeout, c;reason=timeout" {
		t.Errorf("answer = %d %s %v", g.status, g.body, g.header)
	}
	close(until)
	n.requests(3) // what they have begun runs to its end, and is recorded
	for _, e := range n.events(function.TopicRequests) {
		if run := g.header.Get(runHeader); e.Extension(event.ExtCausationID) != run || e.Extension(event.ExtCorrelationID) != run || e.ID == run {
			t.Errorf("the record of %s is %s, caused by %q; want the request %s", e.Subject, e.ID, e.Extension(event.ExtCausationID), run)
		}
	}
	traces := map[string]bool{}
	for _, e := range n.events(function.TopicRequests) {
		traces[e.Extension(event.ExtTraceParent)] = true
	}
	if len(traces) != 1 {
		t.Errorf("the parts are of the traces %v, want one", traces)
	}
	n.background.Wait()
	n.holdsNothing(t)
}

func TestWhatLeavesAreAsked(t *testing.T) {
	seen := make(chan fleet.Call, 3)
	see := func(c fleet.Call) (*function.Result, error) {
		b, err := io.ReadAll(c.Invocation.Request.Body)
		seen <- c
		return ok(fmt.Sprintf("%q", b)), err
	}
	n := start(t, leaves{"a": see, "b": see, "c": see})
	n.deploy("f", together(function.Scatter{Functions: abc()}, func(r *function.Route) { r.Sticky = &function.Sticky{Header: "X-Client"} }))
	if g := n.send("HEAD", "/x?q=1", ""); g.status != 200 || g.header.Get("Content-Length") != "22" {
		t.Errorf("HEAD = %d %v", g.status, g.header)
	}
	for range 3 {
		if r := (<-seen).Invocation.Request; r.Method != "GET" {
			t.Errorf("a leaf got %s, whose answer has no body", r.Method)
		}
	}
	g := n.send("POST", "/x?q=1", "the body", "Range", "bytes=0-1", "If-None-Match", "*", "Accept-Encoding", "gzip", "If-Match", `"1"`, "X-Client", "ann",
		function.HeaderShard, "1/2", function.ShadowHeader, "1", function.HeaderAuthID, "eve")
	if g.status != 200 || g.body != `{"a":"the body","b":"the body","c":"the body"}` {
		t.Errorf("answer = %d %s", g.status, g.body)
	}
	ids := map[string]bool{}
	for range 3 {
		c := <-seen
		r := c.Invocation.Request
		for _, name := range []string{"Range", "If-None-Match", "Accept-Encoding", "Authorization", function.HeaderShard, function.ShadowHeader, function.HeaderAuthID} {
			if r.Header[http.CanonicalHeaderKey(name)] != nil {
				t.Errorf("%s got %s: %q", c.Function, name, r.Header.Get(name))
			}
		}
		if r.URL.RawQuery != "q=1" || r.Header.Get("If-Match") == "" || c.Key != "ann" || c.Invocation.Attempt != 1 || c.Invocation.MaxAnswer != maxParts/3 || c.Invocation.Run != c.Invocation.ID {
			t.Errorf("%s got %s %v as %+v", c.Function, r.URL, r.Header, c.Invocation)
		}
		ids[c.Invocation.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("the leaves were told %d ids", len(ids))
	}
}

func TestShardsOfARequest(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		return ok(fmt.Sprintf("%q", c.Function+" "+c.Invocation.Request.Header.Get(function.HeaderShard))), nil
	}))
	own := func(by *function.ScatterKey) function.Scatter { return function.Scatter{Shards: 4, By: by} }
	other := own(nil)
	other.Function, other.Merge.Form = "g", function.MergeObject
	routes := []function.Trigger{together(own(nil)), together(other), together(own(&function.ScatterKey{Query: "id"})), together(own(&function.ScatterKey{Header: "X-Id"})), together(own(&function.ScatterKey{Path: "id"}))}
	for i, path := range []string{"/own", "/other", "/query", "/header", "/path/{id}"} {
		routes[i].Name, routes[i].Route.Path = path[1:4], path
	}
	n.deploy("f", routes...)
	all := `["f 0/4","f 1/4","f 2/4","f 3/4"]`
	of := func(keys ...string) string {
		var shards []string
		for i := range int32(4) {
			if slices.ContainsFunc(keys, func(k string) bool { return eventlog.PartitionFor([]byte(k), 4) == i }) {
				shards = append(shards, fmt.Sprintf(`"f %d/4"`, i))
			}
		}
		return "[" + strings.Join(shards, ",") + "]"
	}
	for _, c := range []struct{ path, header, want string }{
		{"/own", "", all},
		{"/other", "", `{"0":"g 0/4","1":"g 1/4","2":"g 2/4","3":"g 3/4"}`},
		{"/query", "", all},
		{"/query?id=7", "", of("7")},
		{"/query?id=7&id=12&id=7", "", of("7", "12")},
		{"/query?id=", "", of("")},
		{"/header", "", all},
		{"/header", "7", of("7")},
		{"/path/7", "", of("7")},
	} {
		if g := n.send("GET", c.path, "", "X-Id", c.header); g.status != 200 || g.body != c.want {
			t.Errorf("GET %s with the key %q = %d %s, want %s", c.path, c.header, g.status, g.body, c.want)
		}
	}
}

// TestEachShardHasItsOwnKeys: a request is split, and lists are joined.
func TestEachShardHasItsOwnKeys(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		r := c.Invocation.Request
		b, err := io.ReadAll(r.Body)
		if int64(len(b)) != r.ContentLength {
			t.Errorf("a body of %d bytes is said to have %d", len(b), r.ContentLength)
		}
		return ok(fmt.Sprintf("[%q]", strings.Join([]string{r.Header.Get(function.HeaderShard), r.URL.RawQuery, strings.Join(r.Header["X-Id"], ";"), string(b)}, " "))), err
	}), func(o *Options) { o.Limits.Held = 1 << 20 })
	by := func(name, path string, k function.ScatterKey, merge string) function.Trigger {
		k.Split = true
		r := together(function.Scatter{Shards: 4, By: &k, Merge: function.ScatterMerge{Form: merge}})
		r.Name, r.Route.Path = name, path
		return r
	}
	n.deploy("f", by("q", "/query", function.ScatterKey{Query: "id"}, ""), by("h", "/header", function.ScatterKey{Header: "X-Id"}, function.MergeConcat),
		by("b", "/body", function.ScatterKey{Body: "ids"}, function.MergeConcat))
	keys := []string{"7", "12", "a", "b", "c"}
	shards := func(one func(shard int, own []string) string) (all []string) {
		for i := range 4 {
			var own []string
			for _, k := range keys {
				if int(eventlog.PartitionFor([]byte(k), 4)) == i {
					own = append(own, k)
				}
			}
			if own != nil {
				all = append(all, one(i, own))
			}
		}
		return all
	}
	list := strings.Join(keys, ",")
	for _, c := range []struct{ method, path, header, body, want string }{
		{"GET", "/query?x=1&id=" + list, "", "", "[" + strings.Join(shards(func(i int, own []string) string {
			return fmt.Sprintf("[%q]", fmt.Sprintf("%d/4 x=1&id=%s  ", i, strings.Join(own, ",")))
		}), ",") + "]"},
		{"GET", "/query?x=1", "", "", `[["0/4 x=1  "],["1/4 x=1  "],["2/4 x=1  "],["3/4 x=1  "]]`},
		{"GET", "/header", list, "", "[" + strings.Join(shards(func(i int, own []string) string {
			return fmt.Sprintf("%q", fmt.Sprintf("%d/4  %s ", i, strings.Join(own, ",")))
		}), ",") + "]"},
		{"POST", "/body", "", `{"ids":["` + strings.Join(keys, `","`) + `"],"x":1}`, "[" + strings.Join(shards(func(i int, own []string) string {
			return fmt.Sprintf("%q", fmt.Sprintf(`%d/4   {"ids":["%s"],"x":1}`, i, strings.Join(own, `","`)))
		}), ",") + "]"},
	} {
		if g := n.send(c.method, c.path, c.body, "X-Id", c.header); g.status != 200 || g.body != c.want {
			t.Errorf("%s %s = %d %s, want %s", c.method, c.path, g.status, g.body, c.want)
		}
	}
	if g := n.send("POST", "/body", `{"ids":[{}]}`); g.status != 400 || !strings.Contains(g.body, "the field ids of the body is not a key") {
		t.Errorf("answer = %d %s, want 400 and what is wrong", g.status, g.body)
	}
	long := `{"ids":["` + strings.Join(keys, `","`) + `"],"x":"` + strings.Repeat("x", 400<<10) + `"}`
	if g := n.send("POST", "/body", long); g.status != 503 || !strings.Contains(g.body, "as many request bodies as it may") {
		t.Errorf("answer = %d %.200s, want 503: there is no room for a body of each shard's own", g.status, g.body)
	}
	n.background.Wait()
	n.holdsNothing(t)
}

func TestAFunctionMergesTheParts(t *testing.T) {
	var merged fleet.Call
	n := start(t, leaves{"a": gives(ok("1")), "b": gives(bad(503)), "c": gives(ok("3")), "m": func(c fleet.Call) (*function.Result, error) {
		merged = c
		b, err := io.ReadAll(c.Invocation.Request.Body)
		r := ok(string(b))
		r.Header.Set("X-Merged", "yes")
		r.Status = 206
		return r, err
	}})
	rule := function.Scatter{Functions: abc(), Merge: function.ScatterMerge{Function: "m"}}
	enough := rule
	enough.Quorum = 3
	strict := together(enough)
	strict.Name, strict.Route.Path = "strict", "/strict"
	n.deploy("f", together(rule), strict)
	g := n.send("GET", "/x?q=1", "")
	if g.status != 206 || g.body != `{"parts":{"a":1,"c":3},"missing":{"b":"503"}}` || g.header.Get("X-Merged") != "yes" || g.header.Get(missingHeader) != "b;reason=503" {
		t.Errorf("answer = %d %s %v", g.status, g.body, g.header)
	}
	r := merged.Invocation.Request
	if r.Method != "POST" || r.URL.RawQuery != "q=1" || r.Header.Get("Content-Type") != "application/json" || merged.Invocation.ID != g.header.Get(runHeader) || r.Header["Authorization"] != nil {
		t.Errorf("the function got %s %s %v as %s", r.Method, r.URL, r.Header, merged.Invocation.ID)
	}
	merged = fleet.Call{}
	if g := n.send("GET", "/strict", ""); g.status != 502 || merged.Function != "" {
		t.Errorf("answer = %d %s; want that of too few parts nothing is made", g.status, g.body)
	}
}

func TestASlowLeafIsAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		method, body string
		attempts     int
	}{
		"GET":  {"GET", `{"a":"quick","b":2}`, 3},
		"POST": {"POST", `{"b":2}`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			until := make(chan struct{})
			a := inTurn(hangs(until, ok(`"slow"`)), gives(ok(`"quick"`)))
			n := start(t, leaves{"b": gives(ok("2")), "a": func(c fleet.Call) (*function.Result, error) { return a.Invoke(t.Context(), c) }})
			n.deploy("f", together(function.Scatter{Functions: []string{"a", "b"}, Deadline: function.Duration(100 * time.Millisecond),
				Hedge: &function.Hedge{After: function.HedgeAfter{Time: 5e6}, Budget: 100}}))
			if g := n.send(c.method, "/x", ""); g.status != 200 || g.body != c.body {
				t.Errorf("answer = %d %s, want %s", g.status, g.body, c.body)
			}
			close(until)
			second := 0
			for _, q := range n.requests(c.attempts) {
				if q.Attempt == 2 && q.Function == "a" && q.Run != "" && q.Run != q.ID {
					second++
				}
			}
			if second != c.attempts-2 {
				t.Errorf("%d second attempts of a are recorded, want %d", second, c.attempts-2)
			}
		})
	}
}

func TestPoliciesHoldForAllPartsTogether(t *testing.T) {
	t.Run("retry", func(t *testing.T) {
		a := inTurn(gives(bad(503)), gives(ok("1")))
		n := start(t, leaves{"b": gives(bad(500)), "a": func(c fleet.Call) (*function.Result, error) { return a.Invoke(t.Context(), c) }})
		n.deploy("f", together(function.Scatter{Functions: []string{"a", "b"}}, retry(function.RouteRetry{})))
		if g := n.send("GET", "/x", ""); g.status != 200 || g.body != `{"a":1}` {
			t.Errorf("answer = %d %s, want that of the second attempt", g.status, g.body)
		}
	})
	t.Run("fallback", func(t *testing.T) {
		n := start(t, leaves{"a": gives(bad(500)), "b": gives(bad(500))})
		n.deploy("f", together(function.Scatter{Functions: []string{"a", "b"}}, func(r *function.Route) { r.Fallback = &function.Fallback{Body: "nothing"} }))
		if g := n.send("GET", "/x", ""); g.status != 200 || g.body != "nothing" || g.header.Get(missingHeader) != "" {
			t.Errorf("answer = %d %s %v, want the fallback's", g.status, g.body, g.header)
		}
	})
	t.Run("cache", func(t *testing.T) {
		b := inTurn(gives(bad(500)), gives(ok("2")), gives(ok("3")))
		n := start(t, leaves{"a": gives(ok("1")), "b": func(c fleet.Call) (*function.Result, error) { return b.Invoke(t.Context(), c) }})
		n.deploy("f", together(function.Scatter{Functions: []string{"a", "b"}}, func(r *function.Route) {
			r.Cache = &function.Cache{TTL: 60e9, MaxSize: 1 << 20}
		}))
		for i, want := range []string{`{"a":1}`, `{"a":1,"b":2}`, `{"a":1,"b":2}`} {
			if g := n.send("GET", "/x", "", "Authorization", ""); g.body != want {
				t.Errorf("answer %d = %d %s, want %s: what is not whole is not kept", i, g.status, g.body, want)
			}
		}
	})
	t.Run("a long body", func(t *testing.T) {
		n := start(t, leaves{"a": func(c fleet.Call) (*function.Result, error) {
			b, err := io.ReadAll(c.Invocation.Request.Body)
			return ok(fmt.Sprint(len(b))), err
		}, "b": gives(ok("2"))}, func(o *Options) { o.Limits.Request = 1 << 10 })
		n.deploy("f", together(function.Scatter{Functions: []string{"a", "b"}}, func(r *function.Route) { r.Timeout = &function.RouteTimeout{Total: 60e9} }))
		for size, want := range map[int]int{1 << 10: 200, 1<<10 + 1: 413} {
			req, err := http.NewRequest("POST", n.url+"/x", io.MultiReader(strings.NewReader(strings.Repeat("x", size)))) // of a length that is not announced
			if err != nil {
				t.Fatal(err)
			}
			if g := n.do(req); g.status != want {
				t.Errorf("a body of %d bytes: %d %s, want %d", size, g.status, g.body, want)
			}
		}
	})
}

func TestLeavesOfAnEnvironmentHaveTheirPlainNames(t *testing.T) {
	n := start(t, leaves{"staging.a": gives(ok("1")), "staging.b": gives(bad(500))})
	s := function.Spec{Name: "f", Triggers: []function.Trigger{together(function.Scatter{Functions: []string{"a", "b"}})}}
	n.deploy("staging.f", s.Place("staging", func(string) bool { return true }).Triggers...)
	if g := n.send("GET", "/x", "", "Host", "staging.example"); g.body != `{"a":1}` || g.header.Get(missingHeader) != "b;reason=500" {
		t.Errorf("answer = %d %s %v", g.status, g.body, g.header)
	}
}
