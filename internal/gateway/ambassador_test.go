package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// sandbox is the listener of an instance of shop, as its function sees it.
type sandbox struct {
	*node
	at string
}

// tells is a fleet whose functions say what they were asked, and by whom.
func tells() script {
	return func(_ context.Context, c fleet.Call) (*function.Result, error) {
		inv := c.Invocation
		r := inv.Request
		text := fmt.Sprintf("%s %s %s %s%s by %s %s from %s, %d hops after %v", c.Function, inv.Trigger, r.Method, r.Host, r.URL.RequestURI(),
			r.Header.Get(function.HeaderAuthType), r.Header.Get(function.HeaderAuthID), r.RemoteAddr, inv.Chain.Hops, inv.Chain.Waiting)
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Run-Of-Caller": r.Header["Dalamb-Run"], "Trace": {inv.TraceParent}}, Body: []byte(text), Version: 1}, nil
	}
}

const traceOfCaller = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-1111111111111111-00"

// instance serves the calls of an instance of function shop, which calls these.
func (n *node) instance(spec *function.Spec, chain function.Chain) *sandbox {
	n.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		n.ServeCalls(fleet.Caller{Version: &function.Version{Number: 1, Spec: *spec}, Instance: "shop-1", Chain: func(http.Header) (function.Chain, string) {
			return chain, traceOfCaller
		}}, l)
	})
	n.t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return &sandbox{n, "http://" + l.Addr().String()}
}

// asks sends a request to a function's host, without any token.
func (s *sandbox) asks(host, method, path string, header ...string) got {
	s.t.Helper()
	req, err := http.NewRequest(method, s.at+path, strings.NewReader(""))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return s.do(req)
}

func inRun() function.Chain {
	return function.Chain{Cause: "run-of-shop", Correlation: "first", Hops: 2, Waiting: []string{"desk", "shop"}}
}

func TestAFunctionReachesThoseThatItCalls(t *testing.T) {
	n := start(t, tells())
	token, hosted := route("token", "GET", "/closed/{id}"), route("hosted", "POST", "/here")
	token.Route.Auth = &function.Auth{Token: &function.TokenAuth{Names: []string{"ci"}}}
	hosted.Route.Host = "orders.example.org"
	rest := route("rest", "GET", "/rest/{$}")
	n.deploy("orders", token, hosted, rest)
	n.deploy("billing")
	one, two := route("one", "GET", "/{x}/orders"), route("two", "GET", "/public/{y}") // without their hosts they would contend
	one.Route.Host, two.Route.Host = "a.example.org", "b.example.org"
	n.deploy("hosts", one, two)
	n.deploy("other")
	n.deploy("staging.orders")
	s := n.instance(&function.Spec{Name: "shop", Calls: []string{"orders", "billing", "hosts"}}, inRun())
	staging := n.instance(&function.Spec{Name: "staging.shop", Calls: []string{"staging.orders"}}, inRun())
	const by = " by function shop from shop, 2 hops after [desk shop]"
	for _, c := range []struct {
		from               *sandbox
		host, method, path string
		status             int
		want               string
	}{
		{s, "orders.dalamb", "GET", "/closed/7?x=1", 200, "orders token GET orders.dalamb/closed/7?x=1" + by},
		{s, "orders.dalamb", "POST", "/here", 200, "orders hosted POST orders.dalamb/here" + by},
		{s, "ORDERS.Dalamb.:80", "POST", "/here", 200, "orders hosted POST orders.dalamb/here" + by},
		{s, "orders.dalamb", "DELETE", "/here", 200, "orders  DELETE orders.dalamb/here" + by},
		{s, "orders.dalamb", "GET", "/nowhere/a%2Fb", 200, "orders  GET orders.dalamb/nowhere/a%2Fb" + by},
		{s, "orders.dalamb", "GET", "/rest", 307, ""}, // to the route's /rest/, as it is outside
		{s, "billing.dalamb", "PUT", "//as/it/is", 200, "billing  PUT billing.dalamb//as/it/is" + by},
		{s, "hosts.dalamb", "GET", "/a/orders", 200, "hosts one GET hosts.dalamb/a/orders" + by},
		{s, "hosts.dalamb", "GET", "/public/a", 200, "hosts two GET hosts.dalamb/public/a" + by},
		{s, "hosts.dalamb", "GET", "/elsewhere", 200, "hosts  GET hosts.dalamb/elsewhere" + by},
		{staging, "orders.dalamb", "GET", "/x", 200, "staging.orders  GET orders.dalamb/x by function staging.shop from staging.shop, 2 hops after [desk shop]"},
		{s, "other.dalamb", "GET", "/", 403, `function shop may not call \"other\"","hint":"the field calls of its manifest names`},
		{s, "staging.orders.dalamb", "GET", "/", 403, `may not call \"staging.orders\"`},
		{staging, "staging.orders.dalamb", "GET", "/", 403, `may not call \"staging.orders\"`},
		{s, ".dalamb", "GET", "/", 403, "may not call"},
		{s, "orders", "GET", "/", 400, `\"orders\" is no name of a function`},
		{s, "127.0.0.80", "GET", "/", 400, "is no name of a function"},
		{s, "orders.dalamb", "GET", "/_/events", 404, "there is no path"},
		{s, "orders.dalamb", "POST", "/_/fn/other", 404, "there is no path"},
		{s, "orders.dalamb", "GET", "/_/runs/x", 404, "there is no run"},
	} {
		g := c.from.asks(c.host, c.method, c.path)
		if g.status != c.status || !strings.Contains(g.body, c.want) {
			t.Errorf("%s %s%s = %d %s, want %d %s", c.method, c.host, c.path, g.status, g.body, c.status, c.want)
		}
	}
}

// TestWhoAsksIsForTheNodeToSay: what a request says of who sends it, of where it comes from and of its run is the function's word alone.
func TestWhoAsksIsForTheNodeToSay(t *testing.T) {
	n := start(t, tells(), func(o *Options) { o.Proxies.Proxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} })
	n.deploy("orders", route("any", "", "/"))
	s := n.instance(&function.Spec{Name: "shop", Calls: []string{"orders"}}, inRun())
	g := s.asks("orders.dalamb", "GET", "/", "Dalamb-Auth-Type", "user", "Dalamb-Auth-Id", "root", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil", "Dalamb-Run", "another")
	if want := "by function shop from shop, "; !strings.Contains(g.body, want) || !strings.Contains(g.body, "orders.dalamb/") || g.header.Get("Run-Of-Caller") != "" {
		t.Errorf("the function was told %s %v, want %s", g.body, g.header, want)
	}
	if got := g.header.Get("Trace"); got != traceOfCaller {
		t.Errorf("the trace is %s, want the caller's", got)
	}
	const own = "00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-2222222222222222-01"
	if got := s.asks("orders.dalamb", "GET", "/", "Traceparent", own).header.Get("Trace"); got != own {
		t.Errorf("the trace is %s, want the one that the function has passed on", got)
	}
	if outside := n.send("GET", "/", "", "Dalamb-Auth-Type", "function", "Dalamb-Auth-Id", "shop"); strings.Contains(outside.body, "function shop") {
		t.Errorf("somebody outside is taken for a function: %s", outside.body)
	}
}

func TestACallIsRecordedBehindItsCause(t *testing.T) {
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		r, err := says("x")(ctx, c)
		r.Events = []*event.Event{{Type: "order.seen"}}
		return r, err
	}))
	emits, late := route("emits", "", "/emits"), route("late", "", "/late")
	emits.Emit, late.Route.Async = &function.Emit{Topic: "orders"}, function.LaterAlways
	n.deploy("orders", emits, late)
	s := n.instance(&function.Spec{Name: "shop", Calls: []string{"orders"}}, inRun())
	g := s.asks("orders.dalamb", "GET", "/emits")
	run := g.header.Get("Dalamb-Run")
	if got := s.asks("orders.dalamb", "GET", "/late"); got.status != 202 {
		t.Fatalf("a request that is answered later = %d %s", got.status, got.body)
	} else if again := s.asks("orders.dalamb", "GET", got.header.Get("Location")); again.status != 200 {
		t.Errorf("its run = %d %s", again.status, again.body)
	} else if other := n.instance(&function.Spec{Name: "mail", Calls: []string{"orders"}}, inRun()).asks("orders.dalamb", "GET", got.header.Get("Location")); other.status != 404 {
		t.Errorf("its run for another function = %d %s, want 404", other.status, other.body)
	}
	for topic, want := range map[string][]any{
		function.TopicRequests: {"run-of-shop", "first", int32(2)}, function.TopicInvoke: {"run-of-shop", "first", int32(2)}, "orders": {run, "first", int32(3)},
	} {
		es := n.events(topic)
		if len(es) != 1 {
			t.Fatalf("%s has %d events, want 1", topic, len(es))
		}
		x := es[0].Extensions
		if got := []any{x[event.ExtCausationID], x[event.ExtCorrelationID], x[event.ExtHops]}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: cause, correlation and hops are %v, want %v", topic, got, want)
		}
		if topic != "orders" && (x[event.ExtAuthType] != "function" || x[event.ExtAuthID] != "shop") {
			t.Errorf("%s: it was caused by %v %v, want function shop", topic, x[event.ExtAuthType], x[event.ExtAuthID])
		}
	}
}

// TestAnAwaitedCallBeginsAnewWhatIsTold: what answers it is known by the correlation of its own event.
func TestAnAwaitedCallBeginsAnewWhatIsTold(t *testing.T) {
	n := start(t, tells())
	route := &function.Route{Path: "/x", Await: &function.Await{Pattern: []byte(`{"type": ["x"]}`)}}
	c := &Call{Function: "orders", Trigger: &catalog.Trigger{Function: "orders", Trigger: function.Trigger{Name: "r", Route: route}}, Request: httptest.NewRequest("POST", "/x", nil), Chain: inRun()}
	run, err := n.accept(c, event.NewID())
	if err != nil {
		t.Fatal(err)
	}
	x := n.events(function.TopicInvoke)[0].Extensions
	if x[event.ExtCausationID] != "run-of-shop" || x[event.ExtCorrelationID] != run.name.id || x[event.ExtHops] != int32(2) {
		t.Errorf("the request's event has %v, want its cause, and its own id %s for what follows", x, run.name.id)
	}
}

func TestALoopOfCallsEnds(t *testing.T) {
	n := start(t, tells())
	n.deploy("orders", route("any", "", "/"))
	chain := inRun()
	chain.Hops = event.MaxHops
	spec := &function.Spec{Name: "shop", Calls: []string{"orders"}}
	if g := n.instance(spec, chain).asks("orders.dalamb", "GET", "/"); g.status != 200 {
		t.Errorf("the last call of a chain = %d %s", g.status, g.body)
	}
	chain.Hops++
	g := n.instance(spec, chain).asks("orders.dalamb", "GET", "/")
	if g.status != http.StatusLoopDetected || !strings.Contains(g.body, "number 65 of its chain") || !strings.Contains(g.body, "desk -\\u003e shop") {
		t.Errorf("one beyond it = %d %s, want 508, which names the way", g.status, g.body)
	}
}

// TestACallThatWaitsForItselfEnds: all instances of a function may wait for one more of it.
func TestACallThatWaitsForItselfEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := fault.New(fault.Exhausted, "no instance was free: %w", fleet.ErrOwnBound)
		c := &Caller{quotas: noQuotas{}, queue: 30 * time.Second, now: time.Now, fleet: script(func(ctx context.Context, _ fleet.Call) (*function.Result, error) {
			<-ctx.Done()
			return nil, full
		})}
		for name, want := range map[string]struct {
			after time.Duration
			text  string
		}{"desk": {10 * time.Second, "waits for it (desk -> shop -> desk)"}, "orders": {30 * time.Second, "no instance was free"}} {
			began := time.Now()
			_, err := c.Do(t.Context(), Call{Function: name, Request: httptest.NewRequest("GET", "/", nil), Chain: inRun()})
			if took := time.Since(began); took != want.after || !strings.Contains(err.Error(), want.text) || !errors.Is(err, fleet.ErrOwnBound) {
				t.Errorf("%s: %v after %s, want %q after %s", name, err, took, want.text, want.after)
			}
		}
	})
}

func TestALimitCountsAFunctionByItsName(t *testing.T) {
	n := start(t, tells())
	few := route("few", "", "/few")
	few.Route.Limit = &function.RateLimit{Rate: function.Rate{Count: 1, Per: time.Hour}, By: function.LimitByIP}
	n.deploy("orders", few)
	var statuses []int
	for _, who := range []string{"shop", "shop", "mail", "shop"} {
		s := n.instance(&function.Spec{Name: who, Calls: []string{"orders"}}, inRun())
		statuses = append(statuses, s.asks("orders.dalamb", "GET", "/few").status)
	}
	if want := []int{200, 429, 200, 429}; !slices.Equal(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
}

// TestAPausedRouteIsClosedToFunctions too: by name they would get past its policies.
func TestAPausedRouteIsClosedToFunctions(t *testing.T) {
	n := start(t, tells())
	n.deploy("pay", route("web", "", "/pay"))
	if _, err := n.catalog.Submit(t.Context(), catalog.Pause{Function: "pay", Trigger: "web", Paused: true}); err != nil {
		t.Fatal(err)
	}
	s := n.instance(&function.Spec{Name: "shop", Calls: []string{"pay"}}, function.Chain{})
	if g := s.asks("pay"+function.CallsDomain, "GET", "/pay"); g.status != 404 || !strings.Contains(g.body, "the route is paused") {
		t.Errorf("answer = %d %s, want that the route is paused", g.status, g.body)
	}
	if g := s.asks("pay"+function.CallsDomain, "GET", "/other"); g.status != 200 {
		t.Errorf("answer = %d %s of a path that no route has, want the function's", g.status, g.body)
	}
}
