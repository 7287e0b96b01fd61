package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

// clockSkew is by how much the clocks of nodes and brokers may differ.
const clockSkew = time.Minute

// accepted answers a request that an earlier attempt has put into the log, to be run from there: its node was killed before it could say so. Where
// nobody can tell, the request must not be in the log twice, and its key stays taken.
func (o *once) accepted(ctx context.Context, x *exchange, k *keyed, e *idempotency.Entered) (done bool, err error) {
	if r := o.trigger.Route; r.Async == "" && r.Await == nil {
		return false, nil
	}
	run, err := o.g.invoked(ctx, e.Run, e.Before)
	if err != nil { // nothing ends the claim but its own time
		return false, fault.New(fault.Unavailable, "it is not known whether function %s has the request: %w", o.trigger.Function, err).WithHint("send it again later, with the same key")
	}
	if run == nil {
		return false, nil
	}
	a := o.g.acceptance(run)
	if err := k.finish(a); err != nil {
		return false, err
	}
	return true, o.again(x, &idempotency.Entered{Run: e.Run, Answer: a})
}

// invoked looks for the event of a request that may have been appended in that time; nil = it was not.
func (g *Gateway) invoked(ctx context.Context, id string, in idempotency.Before) (*lateRun, error) {
	topics, err := g.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name != function.TopicInvoke {
			continue
		}
		for p := range t.Partitions { // all: there may be more of them since, and then a key is in another one
			at, err := g.invokedIn(ctx, eventlog.Partition{Topic: t.Name, ID: p}, id, in)
			if err != nil {
				return nil, fmt.Errorf("look for request %s in %s/%d: %w", id, t.Name, p, err)
			}
			if at >= 0 {
				return g.findRun(ctx, runName{id, p, at}.String())
			}
		}
	}
	return nil, nil
}

// invokedIn looks for the event in one partition; -1 = it is not there.
func (g *Gateway) invokedIn(ctx context.Context, p eventlog.Partition, id string, in idempotency.Before) (int64, error) {
	next, err := g.log.OffsetAt(ctx, p, in.Since.Add(-clockSkew))
	if err != nil {
		return 0, err
	}
	end, err := g.log.OffsetAt(ctx, p, in.Until.Add(clockSkew))
	if err != nil {
		return 0, err
	}
	for next < end {
		rs, err := g.log.Read(ctx, p, next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return 0, err
		}
		if len(rs) == 0 {
			break
		}
		for i := range rs {
			if e := eventlog.EventOf(&rs[i]); e != nil && e.ID == id && e.Type == event.TypeInvokeRequested {
				return rs[i].Offset, nil
			}
		}
		next = rs[len(rs)-1].Offset + 1
	}
	return -1, nil
}
