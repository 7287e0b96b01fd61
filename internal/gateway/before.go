package gateway

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

// runsLater says whether a request to a route becomes an event, which is run from the log.
func runsLater(r *function.Route) bool { return r.Async != "" || r.Await != nil }

// accepted answers a request that an earlier attempt has put into the log, to be run from there: its node was killed before it could say so. Where
// nobody can tell, the request must not be in the log twice. With an error nothing has come of the claim.
func (o *once) accepted(ctx context.Context, x *exchange, k *keyed, e *idempotency.Entered) (done bool, err error) {
	if !runsLater(o.trigger.Route) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout) // who comes again has the use of it
	defer cancel()
	run, known, err := o.g.invoked(ctx, e.Run, e.Before)
	if err != nil {
		return false, fault.New(fault.Unavailable, "it is not known whether function %s has the request: %w", o.trigger.Function, err).WithHint("send it again, with the same key")
	}
	switch {
	case run != nil:
		a := o.g.acceptance(run)
		if err := k.finish(a); err != nil {
			return false, err
		}
		return true, o.again(x, &idempotency.Entered{Run: e.Run, Answer: a})
	case !known:
		return true, o.lost(k)
	}
	return false, nil
}

// maxSearched bounds what is remembered of searches that did not finish: positions in partitions, over all of them.
const maxSearched = 1 << 16

// searches are how far the log was searched for the events of requests, by their ids.
type searches = otter.Cache[string, map[eventlog.Partition]int64]

func newSearches() *searches {
	return otter.Must(&otter.Options[string, map[eventlog.Partition]int64]{
		MaximumWeight: maxSearched,
		Weigher:       func(_ string, next map[eventlog.Partition]int64) uint32 { return uint32(1 + len(next)) },
	})
}

// invoked looks for the event of a request that may have been appended in that time, and goes on from where the last search for it was. nil = it was
// not, where that is known, or the log may have had it and dropped it since.
func (g *Gateway) invoked(ctx context.Context, id string, in idempotency.Before) (run *lateRun, known bool, err error) {
	var at *eventlog.Record
	from, _ := g.before.GetIfPresent(id)
	// All partitions: there may be more of them since, and then a key is in another one.
	w := eventlog.Walk{Log: g.log, Topics: []string{function.TopicInvoke}, Since: in.Since, Until: in.Until, Next: maps.Clone(from), Each: func(r *eventlog.Record) eventlog.Step {
		if e := eventlog.EventOf(r); e == nil || e.ID != id || e.Type != event.TypeInvokeRequested {
			return eventlog.Further
		}
		at = r
		return eventlog.Found
	}}
	if w.Next == nil {
		w.Next = map[eventlog.Partition]int64{}
	}
	_, err = w.Go(ctx)
	if err != nil {
		g.before.Set(id, w.Next)
		return nil, false, fmt.Errorf("look for request %s: %w", id, err)
	}
	if at != nil {
		run, err := g.findRun(ctx, runName{id, at.Partition, at.Offset}.String())
		return run, true, err
	}
	dropped, err := g.mayHaveDropped(ctx, in.Since)
	if err != nil {
		return nil, false, fmt.Errorf("look whether the log has dropped request %s: %w", id, err)
	}
	if !dropped {
		return nil, true, nil
	}
	story, err := g.runs.RunOf(function.TopicInvoke, id)
	if err != nil || story == nil {
		return nil, false, err
	}
	return &lateRun{name: runName{id, story.Event.Partition, story.Event.Offset}, accepted: in.Since}, true, nil
}

// mayHaveDropped says whether the log may have dropped a request since then: a partition has lost its first records, and what it has left is younger.
// One that has nothing left has lost it all to its age, since what is too much goes the oldest first, and makes room for something.
func (g *Gateway) mayHaveDropped(ctx context.Context, since time.Time) (bool, error) {
	since = since.Add(-eventlog.ClockSkew)
	topics, err := g.log.Topics(ctx)
	if err != nil {
		return false, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name != function.TopicInvoke {
			continue
		}
		tooOld := t.Retention != eventlog.Forever && g.now().Sub(since) >= t.Retention
		for id := range t.Partitions {
			p := eventlog.Partition{Topic: t.Name, ID: id}
			b, err := g.log.Bounds(ctx, p)
			if err != nil {
				return false, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
			}
			if b.Start == 0 {
				continue
			}
			oldest, err := g.log.Read(ctx, p, b.Start, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
			if err != nil {
				return false, fmt.Errorf("read the first record of %s/%d: %w", p.Topic, p.ID, err)
			}
			switch {
			case len(oldest) > 0 && oldest[0].Time.Before(since):
			case tooOld, len(oldest) > 0 && t.MaxBytes != eventlog.Forever:
				return true, nil
			}
		}
	}
	return false, nil
}
