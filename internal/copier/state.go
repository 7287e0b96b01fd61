package copier

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// State is how far a copy is.
type State struct {
	Copied int64 // events, by this copy and those of the same topics before it
	Missed int64 // offsets that retention had taken before their turn
	Behind int64 // offsets that are still to be copied; 0 when no event is
}

// State asks the log that is copied to.
func (c *Copier) State(ctx context.Context, one *catalog.Copy) (State, error) {
	target, release, err := c.reach(one.Log)
	if err != nil {
		return State{}, err
	}
	defer release()
	known, err := recall(ctx, target, &one.Copy)
	if err != nil {
		return State{}, there(one.Log, err)
	}
	from, err := findTopic(ctx, c.log, one.From)
	if err != nil || from.ID != one.FromID {
		from.Partitions = 0 // it is gone, and nothing of it is left to copy
	}
	var s State
	for _, p := range known {
		s.Copied += p.Copied
		s.Missed += p.Missed
	}
	for id := range from.Partitions {
		behind, err := c.behind(ctx, one, id, known[id].Next)
		if err != nil {
			return s, err
		}
		s.Behind += behind
	}
	return s, nil
}

// behind counts the offsets from next on, of which the last may hold nothing: then they are none.
func (c *Copier) behind(ctx context.Context, one *catalog.Copy, id int32, next int64) (int64, error) {
	p := eventlog.Partition{Topic: one.From, ID: id}
	b, err := c.log.Bounds(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, id, err)
	}
	end := b.End
	if !one.Follow {
		end = one.End[id]
	}
	next = max(next, b.Start)
	if next >= end {
		return 0, nil
	}
	rs, err := c.log.Read(ctx, p, next, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return 0, fmt.Errorf("read %s/%d: %w", p.Topic, id, err)
	}
	if len(rs) == 0 || rs[0].Offset >= end {
		return 0, nil
	}
	return end - next, nil
}

// Place stores positions of a group in the topic that is copied from as positions of the same group in the topic that is copied to, and
// returns those. Conflict when the copy has not got that far.
func (c *Copier) Place(ctx context.Context, one *catalog.Copy, group string, at map[int32]int64) (map[int32]int64, error) {
	target, release, err := c.reach(one.Log)
	if err != nil {
		return nil, err
	}
	defer release()
	known, err := recall(ctx, target, &one.Copy)
	if err != nil {
		return nil, there(one.Log, err)
	}
	placed := make(map[int32]int64, len(at))
	offsets := make([]eventlog.GroupOffset, 0, len(at))
	for id, offset := range at {
		behind, err := c.before(ctx, eventlog.Partition{Topic: one.From, ID: id}, known[id].Next, offset)
		if err != nil {
			return nil, err
		}
		if behind {
			return nil, fault.New(fault.Conflict, "copy %q has reached offset %d of %s/%d, and %s stands at %d", one.Name, known[id].Next, one.From, id, group, offset).
				WithHint("wait until dalamb copy show %s says that it is 0 behind", one.Name)
		}
		p := eventlog.Partition{Topic: one.To, ID: id}
		if placed[id], err = translate(ctx, target, p, one.FromID, offset); err != nil {
			return nil, there(one.Log, err)
		}
		offsets = append(offsets, eventlog.GroupOffset{Partition: p, Offset: placed[id]})
	}
	if err := target.CommitOffsets(ctx, group, offsets); err != nil {
		return nil, there(one.Log, fmt.Errorf("store the positions of group %s: %w", group, err))
	}
	return placed, nil
}

// before says whether there is a record from next on and before offset.
func (c *Copier) before(ctx context.Context, p eventlog.Partition, next, offset int64) (bool, error) {
	if next >= offset {
		return false, nil
	}
	rs, err := c.log.Read(ctx, p, next, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return false, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
	}
	return len(rs) > 0 && rs[0].Offset < offset, nil
}

// translate is where what stands before an offset of the topic with the id ends in a partition that it was copied to. Copies stand in the
// order of what they are copies of, so half of the partition is left out at a time.
func translate(ctx context.Context, log eventlog.Log, p eventlog.Partition, topicID string, offset int64) (int64, error) {
	b, err := log.Bounds(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	low, high := b.Start, b.End // what stands below low is before offset, and no copy from high on is
	for low < high {
		middle := low + (high-low)/2
		at, from, err := nextCopy(ctx, log, eventlog.Position{Topic: p.Topic, Partition: p.ID, Offset: middle}, topicID)
		if err != nil {
			return 0, err
		}
		if at < high && at >= 0 && from < offset {
			low = at + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// nextCopy finds the first copy of a record of a topic at a position or behind it, and the offset that it was copied from; at is -1
// when there is none.
func nextCopy(ctx context.Context, log eventlog.Log, p eventlog.Position, topicID string) (at, from int64, err error) {
	for {
		rs, err := log.Read(ctx, eventlog.Partition{Topic: p.Topic, ID: p.Partition}, p.Offset, eventlog.ReadOptions{MaxRecords: 16, NoWait: true})
		if err != nil {
			return 0, 0, fmt.Errorf("read %s/%d: %w", p.Topic, p.Partition, err)
		}
		if len(rs) == 0 {
			return -1, 0, nil
		}
		for i := range rs {
			if from, ok := originOf(&rs[i], topicID); ok {
				return rs[i].Offset, from, nil
			}
		}
		p.Offset = rs[len(rs)-1].Offset + 1
	}
}
