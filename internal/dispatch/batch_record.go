package dispatch

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// toldTogether is how many runs one record tells of at most, so that it is no large event.
const toldTogether = 500

// doBatch makes one record for the runs that succeeded at their first attempt, which is most of them, and for any other what do makes.
func (s record) doBatch(ctx context.Context, ws []*work) error {
	var smooth []*work
	for _, w := range ws {
		if w.smooth() {
			w.records = w.outputs
			smooth = append(smooth, w)
			continue
		}
		if err := s.do(ctx, w); err != nil {
			return err
		}
	}
	for _, some := range together(smooth) {
		told, err := s.tellTogether(some)
		if err != nil {
			return err
		}
		some[0].records = append(some[0].records, told)
	}
	return nil
}

// together gathers works by the invocation that they had, which is one for each version that took events of the batch.
func together(ws []*work) [][]*work {
	var all [][]*work
	open := map[string]int{} // invocation -> the place of those that are not many enough yet
	for _, w := range ws {
		i, ok := open[w.id]
		if !ok || len(all[i]) == toldTogether {
			i, all = len(all), append(all, nil)
			open[w.id] = i
		}
		all[i] = append(all[i], w)
	}
	return all
}

// smooth says that there is nothing to tell of the run that is its own.
func (w *work) smooth() bool {
	return w.state == function.RunSucceeded && len(w.before) == 0 && !w.stored && w.request == nil && w.trigger.Replay == nil && w.destination == nil && !echo(w)
}

// tellTogether tells of runs of one invocation. The record is one hop further than the longest chain among its causes.
func (s record) tellTogether(ws []*work) (eventlog.Record, error) {
	first, deepest := ws[0], ws[0]
	b := function.RunBatch{Run: first.story(), Others: make([]function.RunRef, 0, len(ws)-1)}
	b.Run.Finished = s.now().Truncate(time.Millisecond)
	for _, w := range ws[1:] {
		b.Others = append(b.Others, function.RunRef{ID: w.run, Event: w.origin})
		if w.cause.Hops() > deepest.cause.Hops() {
			deepest = w
		}
	}
	return s.tell(deepest, event.TypeBatchFinished, derivedID(first.run, "batch", 0), first.run, b)
}
