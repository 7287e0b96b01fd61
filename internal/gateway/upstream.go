package gateway

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Backend gets the attempts of one request in the place of the function, as the fleet would: an error means that nobody was there to be asked. It is safe
// for concurrent use.
type Backend interface {
	Invoke(ctx context.Context, inv *function.Invocation) (*function.Result, error)
}

// Upstreams gives what begins the way of each request to the servers of a route with an upstream.
type Upstreams func(t *catalog.Trigger) (begin func() Backend)

func noUpstreams(*catalog.Trigger) func() Backend {
	return func() Backend { return nobody{} }
}

// nobody is the backend of a node that has none.
type nobody struct{}

func (nobody) Invoke(context.Context, *function.Invocation) (*function.Result, error) {
	return nil, fault.New(fault.Unavailable, "this node knows no upstreams")
}

// toUpstream has all attempts of a request go to the same upstream, which knows where the earlier ones went.
func toUpstream(begin func() Backend) policy {
	return func(x *exchange, c *Call, next handler) error {
		c.to = begin()
		return next(x, c)
	}
}

// answerer is what a client is told of who answers.
type answerer string

const (
	theFunction answerer = "the function"
	theUpstream answerer = "the upstream" // an open route tells no more of it
)

// answererOf is that of a route, ahead of its calls.
func answererOf(r *function.Route) answerer {
	if r.Upstream != nil {
		return theUpstream
	}
	return theFunction
}

func (c *Call) answerer() answerer {
	if c.to != nil {
		return theUpstream
	}
	return theFunction
}

// hint says where the one who runs it finds a call.
func (a answerer) hint() string {
	if a == theUpstream {
		return "`dalamb upstreams` shows its servers; the header " + runHeader + " names this call in the record"
	}
	return "the header " + runHeader + " names this call for the one who runs the function"
}

// done is why a request that has reached it is not simply sent again.
func (a answerer) done() string {
	if a == theUpstream {
		return "the upstream has had the request"
	}
	return "the function has run"
}

// upstreamFailure answers for servers that gave no answer, or none that is one. An open route tells no more than the kind: the record has their addresses.
func upstreamFailure(x *exchange, res *function.Result) {
	status, kind, message := http.StatusBadGateway, fault.Unavailable, "the upstream's answer cannot be passed on"
	switch res.Outcome {
	case function.TimedOut:
		status, kind, message = http.StatusGatewayTimeout, fault.Timeout, "the upstream took too long"
	case function.InitError:
		message = "the upstream cannot be reached"
	case function.Crashed:
		message = "the upstream broke the connection off before it had answered"
	}
	writeJSON(x, status, wire.ErrorOf(fault.New(kind, "%s", message).WithHint("%s", theUpstream.hint())))
}
