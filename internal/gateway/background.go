package gateway

import (
	"errors"
	"net/http"
	"runtime/debug"
)

// running is an attempt on a goroutine of its own, which may outlive the request: what a function has begun runs to its end, whoever waits.
type running struct {
	*attempt
	call  *Call
	ended chan struct{}
	err   error // valid when ended is closed
}

// start runs next as an attempt beside this goroutine. The caller has received the body, awaits ended and settles, or leaves the attempt.
func (g *Gateway) start(x *exchange, c *Call, next handler, j judge) *running {
	return g.startAttempt(newAttempt(x, x.Header(), j), c, next)
}

func (g *Gateway) startAttempt(a *attempt, c *Call, next handler) *running {
	r := &running{attempt: a, call: c, ended: make(chan struct{})}
	c.held.keep()
	g.background.Go(func() {
		defer c.held.free()
		defer close(r.ended)
		defer func() {
			if p := recover(); p != nil { // net/http would have caught it
				g.panicked(p)
				r.broken, r.err = true, errPanic
			}
		}()
		r.err = r.run(c, next)
	})
	return r
}

// panicked tells the log of a mistake of the gateway's own. It is called while the panic is recovered.
func (g *Gateway) panicked(cause any) {
	g.logger.Error("request failed", "err", cause, "stack", string(debug.Stack()))
}

// over is closed when the attempt has ended; of none, never.
func (r *running) over() <-chan struct{} {
	if r == nil {
		return nil
	}
	return r.ended
}

// leave gives up an attempt that has not answered in time; false = it is the client's already. It goes on without the client: nothing of the
// request's connection is touched any more.
func (r *running) leave() bool {
	if !r.giveUp() {
		return false
	}
	r.call.upload.cease()
	r.call.upload.answered(r.to.Header())
	return true
}

// breakOff ends an attempt in the midst of its answer. It does not return.
func (r *running) breakOff() {
	r.cut()
	r.call.upload.cease()
	panic(http.ErrAbortHandler)
}

// errPanic is the answer where the gateway itself is at fault; the log has the rest.
var errPanic = errors.New("a handler panicked")
