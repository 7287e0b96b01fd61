package audit

import (
	"context"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// late gives no answer to one append and stores it later, as a driver does whose broker is slow.
type late struct {
	Log
	on   bool
	held []eventlog.Record
}

func (l *late) Append(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
	if l.on {
		l.on, l.held = false, rs
		return nil, context.DeadlineExceeded
	}
	return l.Log.Append(ctx, rs)
}

// What got no answer comes before the next checkpoint, behind it, or after the node was stopped.
func TestACheckpointThatComesLateContradictsNone(t *testing.T) {
	for _, when := range []string{"before", "behind", "stopped"} {
		t.Run(when, func(t *testing.T) {
			r := newRig(t)
			r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
			l := &late{Log: r.log}
			r.keep.Log = l
			r.emit("orders", 0, 5)
			r.sign()
			r.emit("orders", 5, 5)
			l.on = true
			if err := turn(t.Context(), r.keep); err == nil {
				t.Fatal("a round without an answer: want an error")
			}
			store := func() {
				if _, err := r.log.Append(t.Context(), l.held); err != nil {
					t.Fatal(err)
				}
			}
			r.emit("orders", 10, 1) // what is signed next is more
			if when == "stopped" {
				r.again()
			}
			if when == "before" {
				if err := r.keep.start(t.Context()); err != nil {
					t.Fatal(err)
				}
				store()
				r.sign()
			} else {
				r.sign()
				store()
			}
			r.clean()
			r.emit("orders", 11, 5)
			r.again()
			r.sign()
			if report := r.clean(); report.Records < 16 {
				t.Errorf("report = %+v, want 16 records", report)
			}
		})
	}
}

// Who asked for a proof and leaves does not take the checkpoint with him.
type left struct {
	Log
	leave context.CancelFunc
}

func (l *left) Append(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
	l.leave()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return l.Log.Append(ctx, rs)
}

func TestACheckpointIsSignedThoughWhoAskedHasLeft(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 5)
	r.sign()
	ctx, leave := context.WithCancel(t.Context())
	r.keep.Log = &left{r.log, leave}
	r.emit("orders", 5, 5)
	_, _ = r.keep.Prove(ctx, eventlog.Position{Topic: "orders", Offset: 6}) // nobody reads the answer
	if s := r.keep.State(); s.Checkpoint != 2 {
		t.Errorf("State = %+v, want 2 checkpoints", s)
	}
}
