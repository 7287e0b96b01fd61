package dispatch

import (
	"cmp"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// before is what has led to an invocation: the longest chain of its events. So a loop of functions that call each other is one also where
// events are a part of it.
func before(ws []*work) (c function.Chain) {
	for _, w := range ws {
		e := w.cause
		if w.input != nil && w.input.Hops() >= e.Hops() {
			e = w.input
		}
		if c.Correlation == "" || e.Hops() > c.Hops {
			c = function.Chain{Correlation: cmp.Or(e.Extension(event.ExtCorrelationID), e.ID), Hops: e.Hops()}
		}
	}
	return c
}
