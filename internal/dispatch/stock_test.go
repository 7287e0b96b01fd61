package dispatch

import (
	"context"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// What a lagging trigger holds in memory is what it can soon start, however much waits in the log, and it goes through all of it.
func TestALaggingTriggerHoldsItsStock(t *testing.T) {
	for _, c := range []struct {
		name  string
		batch *function.Batch
		most  int64 // the stock and what runs
	}{
		{"single", nil, laneStock + 1},
		{"batches", &function.Batch{Size: 700, Bytes: 1 << 20}, 2*700 + 700},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			w.deployMax("f", 1, function.Trigger{Name: "t", Batch: c.batch})
			release := make(chan struct{})
			n := w.node(play(func(ctx context.Context, _ fleet.Call) (*function.Result, error) {
				select {
				case <-release:
					return succeed(), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}))
			const events = 4000
			batch := make([]*event.Event, events)
			for i := range batch {
				batch[i] = newEvent(fmt.Sprint(i), "x", "")
			}
			w.append("events", batch...)
			w.await("the scan to have passed all", func() bool { return lagOf(n.d, "f").Detached == 1 && scanOf(n.d) == events })
			if got := lagOf(n.d, "f").Pending; got == 0 || got > c.most {
				t.Errorf("%d events are pending in memory, want at most %d", got, c.most)
			}
			close(release)
			w.awaitFinished(events)
		})
	}
}

// scanOf is where the shared scan of the one partition of events stands.
func scanOf(d *Dispatcher) int64 {
	for _, p := range d.owned() {
		if s := p.status.Load(); p.id.Topic == "events" && s != nil {
			return s.scan
		}
	}
	return 0
}
