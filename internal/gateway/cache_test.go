package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// clock is a time that moves when a test says so.
type clock struct{ past atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.past.Load()))
}
func (c *clock) pass(d time.Duration) { c.past.Add(int64(d)) }
func (c *clock) set(o *Options)       { o.Now = c.now }

// counting answers with how often it was asked, and with what else the test says.
type counting struct {
	mu     sync.Mutex
	calls  int
	status int
	header http.Header
	err    error
	seen   *http.Request
	gate   chan struct{} // nil = it answers at once
}

func (f *counting) Invoke(_ context.Context, c fleet.Call) (*function.Result, error) {
	f.mu.Lock()
	f.calls++
	f.seen = c.Invocation.Request
	body, status, h, err, gate := fmt.Sprintf("answer %d", f.calls), f.status, f.header.Clone(), f.err, f.gate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return nil, err
	}
	if status == 0 {
		status = 200
	}
	if h == nil {
		h = http.Header{}
	}
	if h["Content-Type"] == nil {
		h.Set("Content-Type", "text/plain")
	}
	outcome := function.Succeeded
	if status >= 500 {
		outcome = function.Failed
	}
	if tag := h.Get("ETag"); tag != "" && c.Invocation.Request.Header.Get("If-None-Match") == tag {
		return &function.Result{Outcome: outcome, Status: 304, Header: h}, nil
	}
	return &function.Result{Outcome: outcome, Status: status, Header: h, Body: []byte(body)}, nil
}

func (f *counting) says(pairs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.header = http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		f.header.Add(pairs[i], pairs[i+1])
	}
}

func (f *counting) set(change func(*counting)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *counting) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// cached is a route for all methods with a cache.
func cached(c function.Cache) function.Trigger {
	t := route("r", "", "/x")
	if c.MaxSize == 0 {
		c.MaxSize = 1 << 20
	}
	t.Route.Cache = &c
	return t
}

func minutes(n int) function.Duration { return function.Duration(time.Duration(n) * time.Minute) }

// anonymous are the header pairs of a request without the token, which a function could know its sender by.
func anonymous(more ...string) []string { return append([]string{"Authorization", ""}, more...) }

func (n *node) get(path string, more ...string) got {
	return n.send("GET", path, "", anonymous(more...)...)
}

func wantAnswer(t *testing.T, what string, g got, body, status string) {
	t.Helper()
	if said := g.header.Get("Cache-Status"); g.body != body || !strings.HasPrefix(said, "dalamb; "+status) {
		t.Errorf("%s = %d %q, Cache-Status %q; want %q, dalamb; %s...", what, g.status, g.body, said, body, status)
	}
}

func TestAnAnswerIsKeptForItsTime(t *testing.T) {
	f, c := &counting{}, &clock{}
	n := start(t, f, c.set)
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	wantAnswer(t, "first", n.get("/x"), "answer 1", "fwd=uri-miss; stored")
	c.pass(20 * time.Second)
	g := n.get("/x")
	wantAnswer(t, "second", g, "answer 1", "hit; ttl=40")
	if g.header.Get("Age") != "20" || g.header.Get("Content-Type") != "text/plain" || g.header.Get(runHeader) != "" {
		t.Errorf("header of an answer from the cache = %v, want an Age of 20 and no run", g.header)
	}
	if g := n.send("HEAD", "/x", "", anonymous()...); g.status != 200 || g.body != "" || g.header.Get("Content-Length") != "8" {
		t.Errorf("HEAD of what is kept = %d %q %v", g.status, g.body, g.header)
	}
	wantAnswer(t, "other query", n.get("/x?a=1"), "answer 2", "fwd=uri-miss; stored")
	wantAnswer(t, "other host", n.get("/x", "Host", "other.example"), "answer 3", "fwd=uri-miss; stored")
	c.pass(41 * time.Second)
	wantAnswer(t, "past its time", n.get("/x"), "answer 4", "fwd=stale; stored")
	if n.metric("dalamb_gateway_cache_total") != 6 {
		t.Errorf("requests counted = %v, want 6", n.metric("dalamb_gateway_cache_total"))
	}
}

func TestWhatIsNotForEverybodyIsNotGivenToAnother(t *testing.T) {
	for name, c := range map[string]struct {
		header  []string // of the function's answer
		request []string
		kept    bool
	}{
		"nothing said":                  {nil, nil, true},
		"private":                       {[]string{"Cache-Control", "private, max-age=60"}, nil, false},
		"no-store":                      {[]string{"Cache-Control", "no-store"}, nil, false},
		"a cookie is set":               {[]string{"Set-Cookie", "session=1"}, nil, false},
		"a cookie is set and public":    {[]string{"Set-Cookie", "session=1", "Cache-Control", "public, max-age=60"}, nil, false},
		"varies with everything":        {[]string{"Vary", "*"}, nil, false},
		"events":                        {[]string{"Content-Type", "text/event-stream"}, nil, false},
		"with a cookie":                 {nil, []string{"Cookie", "session=1"}, false},
		"with a cookie, public":         {[]string{"Cache-Control", "public"}, []string{"Cookie", "session=1"}, true},
		"with a password":               {nil, []string{"Authorization", "Basic eDp5"}, false},
		"with a password, for a time":   {[]string{"Cache-Control", "max-age=60"}, []string{"Authorization", "Basic eDp5"}, false},
		"with a password, shared":       {[]string{"Cache-Control", "s-maxage=60"}, []string{"Authorization", "Basic eDp5"}, true},
		"a client that wants none kept": {nil, []string{"Cache-Control", "no-store"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &counting{}
			f.says(c.header...)
			n := start(t, f)
			n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
			n.get("/x", c.request...)
			n.get("/x", c.request...)
			if asked := f.asked(); (asked == 1) != c.kept {
				t.Errorf("of two requests %d reached the function, want the second kept: %v", asked, c.kept)
			}
		})
	}
}

func TestAnAnswerForOneCallerIsNotAnothers(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	n.deploy("f", guardedAndCached(n, "ann", "bob"))
	as := func(token string) got { return n.send("GET", "/x", "", "Authorization", "Bearer "+token) }
	wantAnswer(t, "ann", as("ann-token"), "answer 1", "fwd=uri-miss; stored")
	wantAnswer(t, "bob", as("bob-token"), "answer 2", "fwd=uri-miss; stored")
	wantAnswer(t, "ann again", as("ann-token"), "answer 1", "hit")
	if g := n.get("/x"); g.status != 401 {
		t.Errorf("nobody = %d %s, want 401 whatever is kept", g.status, g.body)
	}
	f.says("Cache-Control", "public, max-age=60")
	n.deploy("f", guardedAndCached(n)) // the same again
	n.send("POST", "/x", "", "Authorization", "Bearer ann-token")
	wantAnswer(t, "ann, for everybody", as("ann-token"), "answer 4", "fwd=uri-miss; stored")
	wantAnswer(t, "bob gets it too", as("bob-token"), "answer 4", "hit")
}

// guardedAndCached is a route for who has a token, which it gives out.
func guardedAndCached(n *node, tokens ...string) function.Trigger {
	for _, name := range tokens {
		n.giveToken(name, name+"-token")
	}
	t := cached(function.Cache{TTL: minutes(1)})
	t.Route.Auth = &function.Auth{Token: &function.TokenAuth{Names: []string{"ann", "bob"}}}
	return t
}

func TestWhatIsInNoKeyReachesNoFunction(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	n.deploy("f", cached(function.Cache{TTL: minutes(1), Vary: []string{"accept-language"}}))
	poison := []string{
		"X-Forwarded-Host", "evil.example", "X-Forwarded-Scheme", "http", "X-Forwarded-Proto", "gopher", "Forwarded", "host=evil.example", "X-Host", "evil.example",
		"X-Original-URL", "/admin", "X-Rewrite-URL", "/admin", "X-HTTP-Method-Override", "DELETE", "User-Agent", "<script>", "Referer", "https://evil.example", "Origin", "https://evil.example",
		"Accept", "text/evil", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", "If-None-Match", `"evil"`, "Cache-Control", "no-cache", "Pragma", "no-cache",
	}
	g := n.get("/x", append(poison, "Accept-Language", "de")...)
	wantAnswer(t, "the first request", g, "answer 1", "fwd=uri-miss; stored")
	for i := 0; i < len(poison); i += 2 {
		if v := f.seen.Header.Get(poison[i]); v != "" {
			t.Errorf("the function sees %s: %s, by which answers are not told apart", poison[i], v)
		}
	}
	if f.seen.Header.Get("Accept-Language") != "de" {
		t.Errorf("the function sees %v, want Accept-Language", f.seen.Header)
	}
	wantAnswer(t, "the same language", n.get("/x", "Accept-Language", "de"), "answer 1", "hit")
	wantAnswer(t, "another language", n.get("/x", "Accept-Language", "en"), "answer 2", "fwd=uri-miss; stored")
	wantAnswer(t, "no language", n.get("/x"), "answer 3", "fwd=uri-miss; stored")
	wantAnswer(t, "a body", n.send("GET", "/x", "evil", anonymous("Accept-Language", "de")...), "answer 4", "fwd=bypass")
	wantAnswer(t, "after the body", n.get("/x", "Accept-Language", "de"), "answer 1", "hit")
}

func TestPathsThatAreSpelledDifferentlyShareNothing(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	r := cached(function.Cache{TTL: minutes(1)})
	r.Route.Path = "/{rest...}"
	n.deploy("f", r)
	seen := map[string]string{}
	for _, path := range []string{"/a", "/%61", "/a%2fb", "/a/b", "/a?", "/a?b", "/a?%62", "/A"} {
		g := n.get(path)
		if other, twice := seen[g.body]; twice {
			t.Errorf("%s is given the answer to %s", path, other)
		}
		seen[g.body] = path
	}
}

func TestStaleIsBetterThanAnError(t *testing.T) {
	down := fault.New(fault.Unavailable, "no instance")
	for name, c := range map[string]struct {
		fail    func(*counting)
		says    string // Cache-Control of the answer that is kept
		cache   function.Cache
		late    time.Duration
		instead bool
	}{
		"the node cannot":          {func(f *counting) { f.err = down }, "", function.Cache{StaleIfError: minutes(60)}, time.Hour, true},
		"as many as may be":        {func(f *counting) { f.err = fault.New(fault.Exhausted, "full") }, "", function.Cache{StaleIfError: minutes(60)}, time.Hour, true},
		"the function says so":     {func(f *counting) { f.status = 503 }, "", function.Cache{StaleIfError: minutes(60)}, time.Hour, true},
		"the function fails":       {func(f *counting) { f.status = 500 }, "", function.Cache{StaleIfError: minutes(60)}, time.Hour, true},
		"too late":                 {func(f *counting) { f.err = down }, "", function.Cache{StaleIfError: minutes(60)}, 2 * time.Hour, false},
		"never":                    {func(f *counting) { f.err = down }, "", function.Cache{}, 61 * time.Second, false},
		"the answer forbids":       {func(f *counting) { f.err = down }, "max-age=60, must-revalidate", function.Cache{StaleIfError: minutes(60)}, 61 * time.Second, false},
		"the answer itself allows": {func(f *counting) { f.err = down }, "max-age=60, stale-if-error=600", function.Cache{}, 5 * time.Minute, true},
		"gone is no failure":       {func(f *counting) { f.status = 404 }, "", function.Cache{StaleIfError: minutes(60)}, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, now := &counting{}, &clock{}
			n := start(t, f, now.set)
			if c.says != "" {
				f.says("Cache-Control", c.says)
			}
			c.cache.TTL = minutes(1)
			n.deploy("f", cached(c.cache))
			n.get("/x")
			f.set(c.fail)
			now.pass(c.late)
			g := n.get("/x")
			if !c.instead {
				if g.status < 400 {
					t.Errorf("answer = %d %q, want the error", g.status, g.body)
				}
				return
			}
			wantAnswer(t, "in place of the error", g, "answer 1", "fwd=stale")
			wantAnswer(t, "in the next moment", n.get("/x"), "answer 1", "hit")
			if f.asked() != 2 {
				t.Errorf("a function that has just failed was asked %d times, want 2", f.asked())
			}
			f.set(func(f *counting) { f.err, f.status = nil, 0 })
			now.pass(2 * time.Second)
			wantAnswer(t, "when it works again", n.get("/x"), "answer 3", "fwd=stale; stored")
		})
	}
}

func TestAStaleAnswerIsGivenWhileANewOneIsFetched(t *testing.T) {
	f, now := &counting{}, &clock{}
	n := start(t, f, now.set)
	n.deploy("f", cached(function.Cache{TTL: minutes(1), StaleWhileRevalidate: minutes(1)}))
	n.get("/x")
	now.pass(90 * time.Second)
	gate := make(chan struct{})
	f.set(func(f *counting) { f.gate = gate })
	for range 3 {
		wantAnswer(t, "while it is fetched", n.get("/x"), "answer 1", "hit; ttl=-30")
	}
	close(gate)
	n.requests(2)
	n.refetches.working.Wait()
	wantAnswer(t, "then", n.get("/x"), "answer 2", "hit; ttl=60")
	if f.asked() != 2 {
		t.Errorf("the function was asked %d times, want once more than at first", f.asked())
	}
	now.pass(3 * time.Minute)
	wantAnswer(t, "too late for that", n.get("/x"), "answer 3", "fwd=stale; stored")
}

func TestOneOfManyMissesAsks(t *testing.T) {
	f := &counting{gate: make(chan struct{})}
	n := start(t, f)
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	const clients = 20
	answers := make(chan got, clients)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { answers <- n.get("/x") })
	}
	n.until(func() bool { return n.followers() == clients-1 })
	close(f.gate)
	all.Wait()
	close(answers)
	collapsed := 0
	for g := range answers {
		if g.status != 200 || g.body != "answer 1" {
			t.Errorf("answer = %d %q, want the first for all", g.status, g.body)
		}
		if strings.Contains(g.header.Get("Cache-Status"), "; collapsed") {
			collapsed++
		}
	}
	if f.asked() != 1 || collapsed != clients-1 {
		t.Errorf("the function was asked %d times, %d answers were collapsed; want 1 and %d", f.asked(), collapsed, clients-1)
	}
}

func TestWhatIsNotKeptHoldsUpNobody(t *testing.T) {
	for name, change := range map[string]func(*counting){
		"private": func(f *counting) { f.header = http.Header{"Cache-Control": {"private"}} },
		"failing": func(f *counting) { f.status = 500 },
	} {
		t.Run(name, func(t *testing.T) {
			f := &counting{}
			change(f)
			n := start(t, f)
			n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
			n.get("/x")
			gate := make(chan struct{})
			f.set(func(f *counting) { f.gate = gate })
			const clients = 5
			var all sync.WaitGroup
			for range clients {
				all.Go(func() { n.get("/x") })
			}
			n.until(func() bool { return f.asked() == 1+clients || name == "failing" && n.followers() == clients-1 })
			close(gate)
			all.Wait()
			if f.asked() != 1+clients {
				t.Errorf("the function was asked %d times, want by each client", f.asked())
			}
		})
	}
}

func TestAnAnswerIsConfirmedByTheFunction(t *testing.T) {
	f, now := &counting{}, &clock{}
	f.says("ETag", `"1"`, "Cache-Control", "max-age=60")
	n := start(t, f, now.set)
	n.deploy("f", cached(function.Cache{}))
	n.get("/x")
	now.pass(2 * time.Minute)
	wantAnswer(t, "confirmed", n.get("/x"), "answer 1", "fwd=stale; fwd-status=304")
	wantAnswer(t, "fresh again", n.get("/x"), "answer 1", "hit; ttl=60")
	now.pass(2 * time.Minute)
	f.says("ETag", `"2"`, "Cache-Control", "max-age=60")
	wantAnswer(t, "another one", n.get("/x"), "answer 3", "fwd=stale; stored")
	if g := n.get("/x", "If-None-Match", `"0", W/"2"`); g.status != 304 || g.body != "" {
		t.Errorf("to who has it = %d %q, want 304", g.status, g.body)
	}
	if g := n.get("/x", "Range", "bytes=0-5"); g.status != 206 || g.body != "answer" || g.header.Get("Content-Range") != "bytes 0-5/8" {
		t.Errorf("a range = %d %q %v, want 206", g.status, g.body, g.header)
	}
	if g := n.get("/x", "Range", "bytes=90-"); g.status != 416 {
		t.Errorf("a range behind the end = %d %q, want 416", g.status, g.body)
	}
}

func TestWhatIsChangedIsNotKept(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	other := route("w", "", "/y")
	n.deploy("g", other)
	n.get("/x")
	n.get("/x?page=2")
	n.send("OPTIONS", "/x", "", anonymous()...)
	wantAnswer(t, "after what only reads", n.get("/x"), "answer 1", "hit")
	f.set(func(f *counting) { f.status = 500 })
	n.send("POST", "/x", "", anonymous()...)
	f.set(func(f *counting) { f.status = 0 })
	wantAnswer(t, "after what failed", n.get("/x"), "answer 1", "hit")
	n.send("POST", "/x", "", anonymous()...)
	wantAnswer(t, "after a change", n.get("/x"), "answer 6", "fwd=uri-miss; stored")
	wantAnswer(t, "all queries of it", n.get("/x?page=2"), "answer 7", "fwd=uri-miss; stored")
}

func TestAChangeWhileTheAnswerIsUnderWayIsNotForgotten(t *testing.T) {
	f := &counting{gate: make(chan struct{})}
	n := start(t, f)
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	var first sync.WaitGroup
	first.Go(func() { n.get("/x") })
	n.until(func() bool { return f.asked() == 1 })
	n.routes.Load().caches[0].purge(placesOf("", "/x").path)
	close(f.gate)
	first.Wait()
	wantAnswer(t, "what was asked for before", n.get("/x"), "answer 2", "fwd=uri-miss; stored")
}

func TestANewVersionAnswersItself(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	r := cached(function.Cache{TTL: minutes(10), StaleWhileRevalidate: minutes(10), StaleIfError: minutes(10)})
	n.deploy("f", r)
	n.get("/x")
	n.deploy("f", r, route("other", "GET", "/other"))
	f.set(func(f *counting) { f.status = 500 })
	wantAnswer(t, "a new version that fails", n.get("/x"), "answer 1", "fwd=stale; fwd-status=500")
	f.set(func(f *counting) { f.status = 0 })
	n.routes.Load().caches[0].recent = map[digest]recent{}
	wantAnswer(t, "a new version", n.get("/x"), "answer 3", "fwd=stale; stored")
}

func TestOnlyWhatIsKeptIsAskedFor(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	if g := n.get("/x", "Cache-Control", "only-if-cached"); g.status != 504 || f.asked() != 0 {
		t.Errorf("answer = %d %s after %d calls, want 504 and none", g.status, g.body, f.asked())
	}
	n.get("/x")
	wantAnswer(t, "kept", n.get("/x", "Cache-Control", "only-if-cached"), "answer 1", "hit")
}

func TestAFloodOfRequestsTakesNoMoreThanTheRouteMay(t *testing.T) {
	big := strings.Repeat("x", 4<<10)
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Vary": {strings.Repeat("a, ", 2000)}}, Body: []byte(big)}, nil
	}), func(o *Options) { o.Limits.Cache = 96 << 10 })
	a, b := cached(function.Cache{TTL: minutes(1), MaxSize: 64 << 10}), cached(function.Cache{TTL: minutes(1), MaxSize: 128 << 10})
	b.Name, b.Route.Path = "b", "/y"
	n.deploy("f", a, b)
	for i := range 200 {
		n.get(fmt.Sprintf("/x?%d", i))
		n.get(fmt.Sprintf("/y?%d", i))
	}
	total := uint64(0)
	for _, c := range n.routes.Load().caches {
		c.kept.CleanUp()
		if held := c.kept.WeightedSize(); held > c.kept.GetMaximum() || held == 0 {
			t.Errorf("a cache holds %d bytes, may %d", held, c.kept.GetMaximum())
		}
		total += c.kept.GetMaximum()
	}
	if total > 96<<10 {
		t.Errorf("all caches may hold %d bytes, the node %d", total, 96<<10)
	}
	n.holdsNothing(t)
}

// TestAClientCannotEmptyWhatItDoesNotName: neither with a host of its own, nor with more paths than anything could remember.
func TestAClientCannotEmptyWhatItDoesNotName(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	n.deploy("g", route("w", "POST", "/{any...}"))
	n.get("/x", "Host", "a.example")
	n.get("/x", "Host", "b.example")
	n.send("POST", "/x", "", append(anonymous(), "Host", "b.example")...)
	wantAnswer(t, "the path of another host", n.get("/x", "Host", "a.example"), "answer 1", "hit")
	wantAnswer(t, "the host's own", n.get("/x", "Host", "B.example"), "answer 4", "fwd=uri-miss; stored")
	rs := n.routesNow()
	for i := range 20_000 {
		rs.invalidate("a.example", "POST", fmt.Sprintf("/%d", i), 200)
	}
	wantAnswer(t, "after 20000 changes of other paths", n.get("/x", "Host", "a.example"), "answer 1", "hit")
	a := rs.caches[0]
	if got := len(a.places); got != 3 { // a path, of two hosts
		t.Errorf("%d places are remembered, want 3", got)
	}
	a.purgeAll()
	if got := len(a.places); got != 0 {
		t.Errorf("%d places are remembered of an empty cache, want none", got)
	}
}

func TestAPurgeEmptiesWhatItNames(t *testing.T) {
	f := &counting{}
	n := start(t, f)
	n.Purge("f", "", "") // nobody has asked for anything
	a, b := cached(function.Cache{TTL: minutes(1)}), cached(function.Cache{TTL: minutes(1)})
	b.Name, b.Route.Path = "b", "/y/{id}"
	n.deploy("f", a, b)
	for i, c := range []struct {
		function, trigger, path string
		asked                   int // of the three requests
	}{{"g", "", "", 0}, {"f", "", "", 3}, {"f", "b", "", 2}, {"f", "r", "/y/1", 0}, {"f", "", "/y/1", 1}, {"f", "b", "/y/1", 1}, {"f", "", "/y", 0}} {
		fill := func() { n.get("/x"); n.get("/y/1?a=b"); n.get("/y/2") }
		fill()
		before := f.asked()
		n.Purge(c.function, c.trigger, c.path)
		if fill(); f.asked()-before != c.asked {
			t.Errorf("purge %d of %q %q %q: %d of three reach the function again, want %d", i, c.function, c.trigger, c.path, f.asked()-before, c.asked)
		}
	}
}
