package gateway

import (
	"io"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

const hooksPrefix = reserved + "hooks/"

// Hooks takes the requests below /_/hooks/.
type Hooks interface {
	// Admit looks at what comes before the body, and says how many bytes of that may be read.
	Admit(r *http.Request) (most int64, err error)
	// Take acts upon a request that was admitted. What it has taken without an error is durable; note says why nothing comes of it.
	Take(r *http.Request, body []byte) (note string, err error)
}

// noHooks is for a gateway without any.
type noHooks struct{}

func (noHooks) Admit(*http.Request) (int64, error) {
	return 0, fault.New(fault.NotFound, "this node has no hooks")
}

func (h noHooks) Take(r *http.Request, _ []byte) (string, error) {
	_, err := h.Admit(r)
	return "", err
}

// serveHook answers 202 to what was taken, which is acted upon later, and 200 to what is nothing to do. Bodies of hooks are a crowd of their own
// within the budget of all bodies, so that they leave room for those of calls.
func (g *Gateway) serveHook(x *exchange, r *http.Request) {
	note, err := g.takeHook(x, r)
	if err != nil {
		g.fail(x, err)
		return
	}
	if note == "" {
		x.WriteHeader(http.StatusAccepted)
		return
	}
	x.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(x, note+"\n") // the client may be gone
}

func (g *Gateway) takeHook(x *exchange, r *http.Request) (note string, err error) {
	most, err := g.hooks.Admit(r)
	if err != nil {
		x.Header().Set("Connection", "close") // else net/http waits for the body before it answers
		return "", err
	}
	if min(r.ContentLength, most) > g.strangers.most {
		return "", crowded()
	}
	control := http.NewResponseController(x)
	part := g.strangers.enter(func() { _ = control.SetReadDeadline(time.Unix(1, 0)) }) // what cannot have deadlines is in memory already
	body, held, err := g.readInto(x, r, room{most, "the request's body", func(n int64) bool { return part.take(n) && g.held.take(n) }})
	defer g.held.give(held)
	defer part.leave()
	if !part.arrived() {
		return "", crowded()
	}
	if err != nil {
		return "", err
	}
	return g.hooks.Take(r, body)
}

func crowded() error {
	return fault.New(fault.Exhausted, "as many hooks as may be are being read").WithHint("send it again in a moment")
}

// Sender is whose token a request's headers show: the name of one that the node has given out, or function.NodeToken.
func (g *Gateway) Sender(h http.Header) (string, error) {
	who, err := g.sender(&http.Request{Header: h})
	if err == nil {
		err = who.Shared() // what is told there is of no environment
	}
	return who.ID, err
}
