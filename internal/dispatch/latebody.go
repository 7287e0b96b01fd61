package dispatch

import (
	"context"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bodies gives the bodies of requests that are too long for an event.
type Bodies interface {
	// Get returns a body for a function as it came. Blocks while the function, or all together, have all the memory that is for bodies. The caller calls free when it is done with the body.
	// NotFound, Invalid and TooLarge say that trying again is no use.
	Get(ctx context.Context, fn string, at *function.StoredBody) (body []byte, free func(), err error)
}

// noBodies is where none is kept.
type noBodies struct{}

func (noBodies) Get(context.Context, string, *function.StoredBody) ([]byte, func(), error) {
	return nil, nil, fault.New(fault.NotFound, "this node keeps no bodies of requests")
}

// whole is the request of w with its body, wherever that stands. A body that is lost settles w: the function must not be given another request than the client
// has sent.
func (s invoke) whole(ctx context.Context, w *work) (r *function.LateRequest, free func(), err error) {
	r = w.request.Request
	if r.Stored == nil {
		return r, func() {}, nil
	}
	with := *r
	with.Body, free, err = s.bodies.Get(ctx, w.trigger.Function, r.Stored)
	if err == nil {
		return &with, free, nil
	}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid, fault.TooLarge:
		w.condition = conditionUnreadable
		w.settle(function.RunDead, "%v", err)
		return nil, func() {}, nil
	}
	return nil, func() {}, err
}
