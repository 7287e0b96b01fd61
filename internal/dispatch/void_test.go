package dispatch

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// slowLog is a log whose commits take their time.
type slowLog struct {
	eventlog.Log
	by *atomic.Int64 // ns
}

func (l slowLog) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := l.Log.Join(ctx, o)
	return slowMember{m, l.by}, err
}

type slowMember struct {
	eventlog.Member
	by *atomic.Int64
}

func (m slowMember) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	<-time.After(time.Duration(m.by.Load()))
	return m.Member.Commit(ctx, t)
}

// TestAnAttemptThatWasNotMadeIsNotCountedWhenItsVoidIsStoredLate stops a node in order whose calls found no instance, while commits take longer than the
// wait between two tries.
func TestAnAttemptThatWasNotMadeIsNotCountedWhenItsVoidIsStoredLate(t *testing.T) {
	var by atomic.Int64
	w := newWorld(t, setting{partitions: 1, oneNode: true, wrap: func(l eventlog.Log) eventlog.Log { return slowLog{l, &by} }})
	defer w.close()
	w.deploy("acme.f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 3}})
	w.append("events", newEvent("1", "x", "1"))
	for range 2 {
		dies := &byOwner{of: hang}
		w.node(dies)
		w.await("under way", func() bool { return dies.acme.Load() == 1 })
	}
	by.Store(int64(150 * time.Millisecond))
	next := &full{}
	n := w.node(next)
	w.await("two refusals", func() bool { return next.refused.Load() >= 2 })
	n.quit()
	if next.moved.Load() {
		t.Error("a call that was made again did not say when it asked first")
	}
	by.Store(0)
	w.node(&byOwner{of: well})
	for _, run := range w.awaitFinished(1) {
		if run.State != function.RunSucceeded || len(run.Attempts) != 2 {
			t.Errorf("run = %s (%s) after %d attempts, want %s after 2", run.State, run.Reason, len(run.Attempts), function.RunSucceeded)
		}
	}
}
