package fleet

import (
	"net"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestARequestOfAnInstanceBelongsToARun(t *testing.T) {
	const traceA, traceB = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-1111111111111111-00", "00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-1111111111111111-00"
	a := &function.Invocation{ID: "a2", Run: "a", TraceParent: traceA}
	b := &function.Invocation{ID: "b", Run: "b", TraceParent: traceB, Chain: function.Chain{Cause: "z", Correlation: "y", Hops: 2, Waiting: []string{"first", "second"}}}
	twin := &function.Invocation{ID: "c", Run: "c", TraceParent: traceB}
	again := &function.Invocation{ID: "b2", Run: "b", TraceParent: traceB[:36] + "2222222222222222-00", Chain: b.Chain}
	ofA := function.Chain{Cause: "a", Correlation: "a", Hops: 1, Waiting: []string{"shop"}}
	ofB := function.Chain{Cause: "b", Correlation: "y", Hops: 3, Waiting: []string{"first", "second", "shop"}}
	unknown := function.Chain{Hops: 3, Waiting: []string{"first", "second", "shop"}}
	for name, c := range map[string]struct {
		underway   []*function.Invocation
		run, trace string
		want       function.Chain
		wantTrace  string
	}{
		"none is under way":              {nil, "a", traceA, function.Chain{Hops: 1, Waiting: []string{"shop"}}, ""},
		"the only one":                   {[]*function.Invocation{a}, "", "", ofA, traceA},
		"the only one, in a chain":       {[]*function.Invocation{b}, "", traceA, ofB, traceB},
		"of two the one that it names":   {[]*function.Invocation{a, b}, "a", traceB, ofA, traceA},
		"by its trace, in another span":  {[]*function.Invocation{a, b}, "", "00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-9999999999999999-01", ofB, traceB},
		"of two it names none":           {[]*function.Invocation{b, a}, "", "", unknown, ""},
		"of two it names another":        {[]*function.Invocation{b, a}, "nobody's", "nobody's", unknown, ""},
		"two attempts of one run":        {[]*function.Invocation{b, again, a}, "", traceB, ofB, traceB},
		"two of one trace":               {[]*function.Invocation{b, twin}, "", traceB, unknown, ""},
		"two of one trace, and it names": {[]*function.Invocation{b, twin}, "c", traceB, function.Chain{Cause: "c", Correlation: "c", Hops: 1, Waiting: []string{"shop"}}, traceB},
	} {
		var u underway
		for _, inv := range c.underway {
			u.begin(inv)
		}
		h := http.Header{}
		h.Set("Dalamb-Run", c.run)
		h.Set("Traceparent", c.trace)
		if got, trace := u.chain("shop", h); !reflect.DeepEqual(got, c.want) || trace != c.wantTrace {
			t.Errorf("%s: chain = %+v, %q; want %+v, %q", name, got, trace, c.want, c.wantTrace)
		}
		for _, inv := range c.underway {
			u.end(inv)
		}
		if got, _ := u.chain("shop", h); got.Hops != 1 || got.Cause != "" {
			t.Errorf("%s: when all have ended a request belongs to %+v", name, got)
		}
	}
	if !reflect.DeepEqual(b.Chain.Waiting, []string{"first", "second"}) {
		t.Errorf("the invocation's own chain has become %v", b.Chain.Waiting)
	}
}

// nowhere is a listener that nobody connects to.
type nowhere struct{}

func (nowhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nowhere) Close() error              { return nil }
func (nowhere) Addr() net.Addr            { return nil }

// TestACallOfAFunctionThatRunsIsFinishedToo: what runs is finished with all that it asks for, and nothing else begins.
func TestACallOfAFunctionThatRunsIsFinishedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *Fleet
		asked := make(chan Caller, 1)
		s := &fakeStarter{work: func(c *fakeConn, inv *function.Invocation) (*function.Result, error) {
			time.Sleep(time.Second)
			if c.key.name == "pay" {
				return done(c.start.ID)
			}
			c.start.Calls(nowhere{})
			who := <-asked
			inner := call("pay")
			inner.Invocation.Chain, _ = who.Chain(http.Header{})
			if want := (function.Chain{Cause: "run", Correlation: "run", Hops: 1, Waiting: []string{"shop"}}); who.Instance != c.start.ID || !reflect.DeepEqual(inner.Invocation.Chain, want) {
				t.Errorf("instance %s asks in the chain %+v, want %s and %+v", who.Instance, inner.Invocation.Chain, c.start.ID, want)
			}
			r, err := f.Invoke(t.Context(), inner)
			if err != nil || r.Outcome != function.Succeeded {
				t.Errorf("what the function called = %+v, %v", r, err)
			}
			return done(c.start.ID)
		}}
		f = start(t, s, newShop(version("shop", scale(0, 1)), version("pay", scale(0, 1))), func(o *Options) {
			o.Calls = func(c Caller, _ net.Listener) { asked <- c }
		})
		outer := call("shop")
		outer.Invocation.ID, outer.Invocation.Run = "id", "run"
		running := begin(t.Context(), f, outer)
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- f.Drain(t.Context()) }()
		synctest.Wait()
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Invoke while draining = %v, want Unavailable", err)
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
		if a := <-running; a.err != nil || a.r.Outcome != function.Succeeded {
			t.Errorf("the call that ran = %+v", a)
		}
		late := call("pay")
		late.Invocation.Chain.Waiting = []string{"shop"}
		if _, err := f.Invoke(t.Context(), late); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Invoke when all was finished = %v, want Unavailable", err)
		}
	})
}
