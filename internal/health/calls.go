package health

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// Called tells what came of a call of a function, and how long that took in all. An error means that dalamb did not make it.
func (h *Health) Called(name string, r *function.Result, err error, took time.Duration) {
	if err != nil && !ours(err) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.functions[name]
	if s == nil {
		s = newSubject(h.o, functionMeasures()...)
		h.functions[name] = s
	}
	now := h.o.Now()
	h.node.add(Errors, now, count(err != nil && !errors.Is(err, fleet.ErrOwnBound)))
	s.add(Errors, now, count(err != nil || failed(r)))
	if err != nil || r.Streamed > 0 {
		return
	}
	h.node.add(Response, now, took.Seconds())
	s.add(Response, now, took.Seconds())
}

func count(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// ours says whether an error is dalamb's or the function's to answer for: what a client asks wrongly, or waits for no longer, is not.
func ours(err error) bool {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Exhausted, fault.Unavailable, fault.Timeout:
		return !errors.Is(err, context.Canceled)
	}
	return false
}

// failed says whether a function is to blame for its result: an http function that answers 4xx has told the client something.
func failed(r *function.Result) bool {
	told := r.Header != nil && r.Status >= http.StatusBadRequest && r.Status < http.StatusInternalServerError
	return r.Outcome != function.Succeeded && !told
}
