package dispatch

import (
	"context"
	"fmt"
	"math"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// leave says why a lane ends, and who looks at the log after it.
type leave struct {
	reason string
	heir   int64 // the first offset that the same trigger looks at under its next UID; math.MaxInt64 = none does
}

const (
	triggerRemoved = "the trigger was removed"
	replayEnded    = "the replay was ended before"
	triggerSought  = "the trigger was sought to another position"
)

// add takes a trigger in under all its UIDs.
func (pl *plan) add(t *catalog.Trigger) {
	pl.triggers[t.UID] = t
	for _, uid := range t.Sought {
		pl.triggers[uid] = t
	}
	for _, uid := range t.Was {
		pl.heirs[uid] = t
	}
	if len(t.Was) > 0 {
		pl.sought = max(pl.sought, t.Newest())
	}
}

// known is the trigger that has a UID in this partition; nil = it is no more, or has another one.
func (p *partition) known(pl *plan, uid int64) *catalog.Trigger {
	if t := pl.triggers[uid]; t != nil && t.Topic == p.id.Topic && t.In(p.id.ID) == uid {
		return t
	}
	return nil
}

// leaveOf says why the trigger that had a UID is not known any more.
func (p *partition) leaveOf(pl *plan, uid int64) leave {
	if t := pl.heirs[uid]; t != nil && t.Topic == p.id.Topic {
		return leave{triggerSought, t.Begin(p.topicID, p.id.ID)}
	}
	if l := p.lanes[uid]; l != nil && l.t.Replay != nil {
		return leave{replayEnded, math.MaxInt64}
	}
	return leave{triggerRemoved, math.MaxInt64}
}

// discardLeft discards what a trigger had pending under a UID that it has no more, which a node before this one had begun with. It
// returns false when nobody knows whose that was.
func (p *partition) discardLeft(pl *plan, uid int64, r laneRecord, retries map[int64]retryRecord) bool {
	heir := pl.heirs[uid]
	if heir == nil || heir.Topic != p.id.Topic {
		return false
	}
	before := *heir
	before.UID, before.Sought, before.Start = uid, nil, nil
	l := p.newLane(&before)
	l.restore(r, retries)
	l.remove(p.leaveOf(pl, uid))
	return true
}

// Positions says for each partition of a trigger's topic below which offset the trigger has nothing left to do. Of partitions that
// other nodes own it is what they mirrored last, a few seconds old.
func (d *Dispatcher) Positions(ctx context.Context, t *catalog.Trigger) (map[int32]int64, error) {
	topic, err := d.topics.refresh(ctx, t.Topic)
	if err != nil {
		return nil, err
	}
	mirrored, err := d.log.Offsets(ctx, groupOf(t))
	if err != nil {
		return nil, fmt.Errorf("read the positions of %s/%s: %w", t.Function, t.Name, err)
	}
	at := make(map[int32]int64, topic.Partitions)
	for id := range topic.Partitions {
		at[id] = t.Begin(topic.ID, id)
	}
	for _, o := range mirrored {
		if o.Partition.Topic == t.Topic {
			at[o.Partition.ID] = max(at[o.Partition.ID], o.Offset)
		}
	}
	for _, p := range d.owned() {
		if s := p.status.Load(); p.id.Topic != t.Topic || s == nil || s.err != nil {
			continue // another topic's, or not started yet
		}
		q := &whereabouts{trigger: t, low: make(chan int64, 1)}
		p.box.post(q)
		select {
		case at[p.id.ID] = <-q.low:
		case <-p.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("ask where %s/%s stands: %w", t.Function, t.Name, ctx.Err())
		}
	}
	for id := range topic.Partitions {
		b, err := d.log.Bounds(ctx, eventlog.Partition{Topic: t.Topic, ID: id})
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", t.Topic, id, err)
		}
		at[id] = min(max(at[id], b.Start), b.End)
	}
	return at, nil
}

// whereabouts asks an actor below which offset a trigger has nothing left to do there.
type whereabouts struct {
	trigger *catalog.Trigger
	low     chan int64 // of capacity 1
}

func (q *whereabouts) apply(_ scope, p *partition) {
	if l := p.lanes[q.trigger.In(p.id.ID)]; l != nil {
		q.low <- l.low(p.scan)
		return
	}
	s := status{topicID: p.topicID, control: p.control, scan: p.scan}
	q.low <- s.of(q.trigger, p.id.ID).low
}
