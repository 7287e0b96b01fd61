package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/quota"
	"github.com/dalamb/dalamb/internal/wire"
)

// retryAfter is what a client is told to wait, in seconds, where a bound is reached or something is not there just now.
const retryAfter = "1"

// fail answers an error of dalamb or of the request. What is dalamb's own fault is logged in full and told in general:
// the words of an inner error are for the one who runs the node.
func (g *Gateway) fail(x *exchange, err error) {
	kind := fault.KindOf(err)
	status := statusOf(kind, err)
	h := x.Header()
	body := wire.ErrorOf(err)
	switch {
	case kind == fault.Internal:
		g.logger.Error("request failed", "err", err)
		body = wire.ErrorOf(fault.New(fault.Internal, "dalamb failed to answer this request").WithHint("the node's log says why"))
	case kind == fault.Unauthenticated:
		if h["Www-Authenticate"] == nil {
			h.Set("WWW-Authenticate", wire.TokenChallenge)
		}
	case status == http.StatusBadRequest:
		if invalid, is := errors.AsType[*undocumented](err); is {
			body.Error.Problems = invalid.problems()
		}
	case status == http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfter)
		if over, is := errors.AsType[*quota.Over](err); is {
			h.Set("Retry-After", over.RetryAfter())
		}
	case status == http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
		if open, is := errors.AsType[*openCircuit](err); is {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(open.wait.Seconds()))))
		} else if !errors.Is(err, context.Canceled) && !errors.Is(err, errCrowded) {
			g.logger.Warn("request refused", "err", reason(err))
		}
	}
	writeJSON(x, status, body)
}

// reason is what the node's log is told of an error.
func reason(err error) error {
	if s, is := errors.AsType[*shut](err); is {
		return s.cause
	}
	return err
}

// statusOf is the one table of fault -> HTTP status, with what only this listener knows: a bound that is reached here is
// the server's, not the client's, but for a sender's quota and a function's own bound; and a slow body is the client's time-out, not the server's.
func statusOf(kind fault.Kind, err error) int {
	var over *quota.Over
	var other *otherRequest
	switch {
	case errors.As(err, &other):
		return http.StatusUnprocessableEntity
	case errors.As(err, &over), errors.Is(err, fleet.ErrOwnBound):
		return http.StatusTooManyRequests
	case errors.Is(err, errLoop):
		return http.StatusLoopDetected
	case kind == fault.Exhausted:
		return http.StatusServiceUnavailable
	case errors.Is(err, errSlow):
		return http.StatusRequestTimeout
	}
	return wire.Status(kind)
}

func (g *Gateway) methodNotAllowed(x *exchange, r *http.Request, allowed string) {
	x.Header().Set("Allow", allowed)
	writeJSON(x, http.StatusMethodNotAllowed, wire.ErrorOf(
		fault.New(fault.Invalid, "%s does not take %s", r.URL.Path, r.Method).WithHint("allowed: %s", allowed)))
}
