package fleet

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/dalamb/dalamb/internal/function"
)

// Caller is an instance that asks for other functions.
type Caller struct {
	Version  *function.Version
	Instance string
	// Chain is what a request of the instance belongs to, by the request's header, and the trace of that.
	Chain func(h http.Header) (chain function.Chain, trace string)
}

// Calls serves what an instance asks for, at a listener in its sandbox, until that is closed.
type Calls func(c Caller, l net.Listener)

// serveCalls gives a sandbox's listener to who answers. Every sandbox of an instance has one.
func (f *Fleet) serveCalls(i *instance) func(net.Listener) {
	fn := i.pool.version.Function()
	c := Caller{Version: i.pool.version, Instance: i.id, Chain: func(h http.Header) (function.Chain, string) { return i.underway.chain(fn, h) }}
	return func(l net.Listener) {
		f.lives.Go(func() { f.o.Calls(c, l) })
	}
}

// underway are the invocations that an instance works on.
type underway struct {
	mu  sync.Mutex
	all []*function.Invocation
}

func (u *underway) begin(inv *function.Invocation) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, inv)
}

func (u *underway) end(inv *function.Invocation) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := slices.Index(u.all, inv); n >= 0 {
		u.all = slices.Delete(u.all, n, n+1)
	}
}

// chain is what a request of function fn belongs to, and its trace. Of several runs under way it is the one that the request names, by its run or its
// trace. A request that names none has no cause then, and counts as what comes of the longest chain, so that no loop hides there.
func (u *underway) chain(fn string, h http.Header) (chain function.Chain, trace string) {
	from := u.find(h.Get("Dalamb-Run"), traceID(h.Get("Traceparent")))
	if from != nil {
		chain, trace = from.Chain, from.TraceParent
		chain.Cause, chain.Correlation = from.Run, cmp.Or(chain.Correlation, from.Run)
	} else {
		chain = u.longest()
		chain.Cause, chain.Correlation = "", ""
	}
	chain.Hops++
	chain.Waiting = append(slices.Clip(chain.Waiting), fn)
	return chain, trace
}

// find gives the invocation of a run or else of a trace, or the only one; nil = nobody knows.
func (u *underway) find(run, trace string) *function.Invocation {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) == 1 {
		return u.all[0]
	}
	named := slices.IndexFunc(u.all, func(inv *function.Invocation) bool { return run != "" && inv.Run == run })
	if named < 0 && trace != "" {
		same := func(inv *function.Invocation) bool { return traceID(inv.TraceParent) == trace }
		if named = slices.IndexFunc(u.all, same); named >= 0 && slices.ContainsFunc(u.all[named+1:], func(inv *function.Invocation) bool { return same(inv) && inv.Run != u.all[named].Run }) {
			named = -1
		}
	}
	if named < 0 {
		return nil
	}
	return u.all[named]
}

// longest is the longest chain; the zero one where nothing is under way.
func (u *underway) longest() (c function.Chain) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, inv := range u.all {
		if inv.Chain.Hops >= c.Hops {
			c = inv.Chain
		}
	}
	return c
}

// traceID is the part of a traceparent that the spans of a trace share; "" = it is none. W3C Trace Context, section 3.2.2.
func traceID(parent string) string {
	if len(parent) < 36 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	return parent[3:35]
}
