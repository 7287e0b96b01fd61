package dispatch

import (
	"context"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// deaf is a duty that its context does not end.
type deaf struct{ end chan struct{} }

func (d deaf) Topic() string { return "t" }

func (d deaf) Keep(context.Context, eventlog.Owned) error {
	<-d.end
	return nil
}

func TestADutyThatDoesNotEndHoldsNobodyUp(t *testing.T) {
	duty := deaf{make(chan struct{})}
	w := new(Dispatcher).watch(t.Context(), duty, eventlog.Partition{Topic: "t"})
	if w.stop(time.Millisecond) {
		t.Error("stop = true of a duty that goes on")
	}
	close(duty.end)
	if !w.stop(time.Minute) {
		t.Error("stop = false of a duty that has ended")
	}
}
