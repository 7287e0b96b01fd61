package audit

import (
	"context"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Each checkpoint stays for good, and who may read can ask for proofs without end.
func TestWhoAsksForProofsMakesFewCheckpoints(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.topic(eventlog.Topic{Name: "noise", Partitions: 1})
	r.keep.Except = []string{"noise"}
	r.emit("orders", 0, 1)
	r.emit("noise", 0, 1)
	r.sign()
	for i := range 5 { // there is something new each time
		r.emit("orders", 1+i, 1)
		for _, at := range []eventlog.Position{{Topic: "orders", Offset: 999_999_999}, {Topic: "noise"}} {
			if _, err := r.keep.Prove(t.Context(), at); fault.KindOf(err) != fault.NotFound {
				t.Fatalf("Prove(%+v) = %v, want NotFound", at, err)
			}
		}
	}
	if s := r.keep.State(); s.Checkpoint != 1 {
		t.Errorf("%d checkpoints after questions for what cannot be proved, want 1", s.Checkpoint)
	}
	r.keep.turn = time.Now().Add(time.Hour) // somebody has asked just now
	ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
	defer leave()
	if _, err := r.keep.Prove(ctx, eventlog.Position{Topic: "orders", Offset: 3}); err == nil {
		t.Error("Prove before its turn: want that it waits")
	}
	if s := r.keep.State(); s.Checkpoint != 1 {
		t.Errorf("%d checkpoints though another was asked for just now, want 1", s.Checkpoint)
	}
	r.keep.turn = time.Time{}
	if _, err := r.keep.Prove(t.Context(), eventlog.Position{Topic: "orders", Offset: 3}); err != nil {
		t.Errorf("Prove of what is there: %v", err)
	}
}
