package gateway

import (
	"net/http"
)

const hooksPrefix = reserved + "hooks/"

// serveHook answers 202 to what was taken: it is durable, and acted upon later. Anybody may send a body, which a provider needs to know who
// it is from: it counts as one that is held, like those of calls.
func (g *Gateway) serveHook(x *exchange, r *http.Request) {
	body, held, err := g.read(x, r, g.limits.Request, "the request's body")
	defer g.held.give(held)
	if err != nil {
		g.fail(x, err)
		return
	}
	r.Body = newMemory(body)
	if err := g.hooks(x, r); err != nil {
		g.fail(x, err)
		return
	}
	x.WriteHeader(http.StatusAccepted)
}

// Sender is whose token a request's headers show: the name of one that the node has given out, or function.NodeToken.
func (g *Gateway) Sender(h http.Header) (string, error) { return g.sender(&http.Request{Header: h}) }
