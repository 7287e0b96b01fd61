package gateway

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// ambassador answers what an instance of a function asks of other functions. Who asks is known by the sandbox that the connection comes out
// of, so a request needs no token, and nobody else can be taken for the function.
type ambassador struct {
	g       *Gateway
	who     fleet.Caller
	answers sync.WaitGroup // under way
}

// errLoop is what a chain of functions that call each other ends with.
var errLoop = errors.New("the functions call each other in a loop")

// ServeCalls answers at the listener of an instance, until that is closed and no answer is under way.
func (g *Gateway) ServeCalls(who fleet.Caller, l net.Listener) {
	a := &ambassador{g: g, who: who}
	s := Public(a, g.logger)
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		g.logger.Warn("functions cannot be called", "function", who.Version.Function(), "instance", who.Instance, "err", err)
	}
	_ = s.Close() // what it was to listen at is closed
	a.answers.Wait()
}

func (a *ambassador) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.answers.Add(1)
	defer a.answers.Done()
	x := &exchange{ResponseWriter: w, kind: kindCall, start: a.g.now(), slow: a.g.slow}
	x.expectBody(r)
	endHop(r)
	r.RemoteAddr = a.who.Version.Function() // it has no address that means anything out here; as no proxy it is not believed what it says of one
	a.g.locate(r)
	x.identify(r)
	defer a.g.answered(x, r, r.Method)
	if err := a.serve(x, r); err != nil {
		a.g.fail(x, err)
	}
}

// serve finds the function and calls it.
func (a *ambassador) serve(x *exchange, r *http.Request) error {
	callee, err := a.called(r)
	if err != nil {
		return err
	}
	chain, trace := a.who.Chain(r.Header)
	if chain.Hops > event.MaxHops {
		return fault.New(fault.Exhausted, "%w: this call of %s would be number %d of its chain", errLoop, callee, chain.Hops).
			WithHint("a chain has at most %d functions; the last ones: %s", event.MaxHops, strings.Join(last(chain.Waiting, 4), " -> "))
	}
	r.Header.Del(runHeader) // it names the caller's run, and has done so
	if _, named := r.Header["Traceparent"]; !named && trace != "" {
		r.Header["Traceparent"] = []string{trace}
	}
	x.span = a.g.traced(r)
	x.asker = &asker{chain, &function.Identity{Type: function.AuthFunction, ID: a.who.Version.Function()}}
	switch path := r.URL.Path; {
	case !strings.HasPrefix(path, "/"): // OPTIONS *, CONNECT
		return fault.New(fault.Invalid, "the request names no path").WithHint("send a path that begins with /")
	case strings.HasPrefix(path, runsPrefix):
		a.g.serveRun(x, r)
		return nil
	case strings.HasPrefix(path, reserved):
		return fault.New(fault.NotFound, "there is no path %q", path).WithHint("of the node's own paths a function has /_/runs/ID, of the calls that it makes")
	}
	if a.g.routesNow().own.serve(callee, x, r) {
		return nil
	}
	c := &Call{Function: callee, Request: r}
	x.asker.makes(c)
	return a.g.serveCall(x, *c, true)
}

// called is the function that a request is for, by its host.
func (a *ambassador) called(r *http.Request) (string, error) {
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	name, is := strings.CutSuffix(strings.TrimSuffix(host, "."), function.CallsDomain)
	if !is {
		return "", fault.New(fault.Invalid, "%q is no name of a function", fault.Clip(r.Host)).WithHint("a function is at http://NAME%s", function.CallsDomain)
	}
	if full := a.who.Version.Spec.Called(name); full != "" {
		r.Host = name + function.CallsDomain
		return full, nil
	}
	return "", fault.New(fault.Denied, "function %s may not call %q", a.who.Version.Function(), fault.Clip(name)).
		WithHint("the field calls of its manifest names the functions that it may")
}

func last(names []string, n int) []string { return names[max(0, len(names)-n):] }
