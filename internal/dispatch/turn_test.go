package dispatch

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// full is an Invoker without an instance for functions of acme for as long as a test says. A call waits for one as long as it has patience.
type full struct {
	has     atomic.Bool
	refused atomic.Int32
	asked   sync.Map    // run -> when its call asked first
	moved   atomic.Bool // a call that was made again said another time, or none
}

func (f *full) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) {
	if f.has.Load() || !strings.HasPrefix(c.Function, "acme.") {
		return succeed(), nil
	}
	var tired <-chan time.Time
	if c.Patience > 0 {
		tired = time.After(c.Patience)
		if first, _ := f.asked.LoadOrStore(c.Invocation.Run, c.Asked); c.Asked.IsZero() || !c.Asked.Equal(first.(time.Time)) {
			f.moved.Store(true)
		}
	}
	select {
	case <-tired:
		f.refused.Add(1)
		return nil, fault.New(fault.Exhausted, "no instance was free in time")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestASuspectWithoutAnInstanceGivesTheTurnBack kills two nodes under events of two environments, one of which the next node has no instances for.
func TestASuspectWithoutAnInstanceGivesTheTurnBack(t *testing.T) {
	w := newWorld(t, setting{partitions: 1, oneNode: true})
	defer w.close()
	w.deploy("acme.f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 3}})
	w.deploy("beta.g", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 3}})
	w.append("events", four()...)
	for range 2 {
		dies := &byOwner{of: hang}
		w.node(dies)
		w.await("all to be under way", func() bool { return dies.acme.Load() == 4 && dies.others.Load() == 4 })
	}

	next := &full{}
	w.node(next)
	for _, run := range w.awaitFinished(4) {
		if run.Function != "beta.g" {
			t.Errorf("a run of %s = %s, and there was no instance for it", run.Function, run.State)
		}
	}
	w.await("the others to ask again", func() bool { return next.refused.Load() >= 3 })
	if n := next.refused.Load(); n > 6 {
		t.Errorf("%d calls of one function were refused, want one at a time", n)
	}
	if next.moved.Load() {
		t.Error("a call that was made again did not say when it asked first")
	}
	next.has.Store(true)
	for _, run := range w.awaitFinished(8) {
		// What had no instance was no attempt: the one of the node that died is there, and the one that succeeded.
		if run.State != function.RunSucceeded || len(run.Attempts) != 2 {
			t.Errorf("run of %s = %s (%s) after %d attempts, want %s after 2", run.Function, run.State, run.Reason, len(run.Attempts), function.RunSucceeded)
		}
	}
}
