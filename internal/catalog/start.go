package catalog

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Starts says where new triggers begin: topic -> partition -> offset. A partition that is not named begins at 0.
type Starts map[string]map[int32]int64

// Begins says where one trigger begins instead: its name -> partition -> offset.
type Begins map[string]map[int32]int64

// topicIDs says which topics Starts and Begins are about: name -> ID. They were known before the offsets were asked for, so that a topic
// made again in between is taken for another one, which is read from its beginning.
type topicIDs map[string]string

// birth is the control event that lets triggers come to be.
type birth struct {
	offset int64
	at     time.Time
	starts Starts
	begins Begins
	topics topicIDs
	by     *function.Identity // who caused it; nil = not known
}

func (one part) birth() birth {
	p, r := one.payload, one.record
	return birth{offset: r.Offset, at: r.Time, starts: p.Starts, begins: p.Begins, topics: p.Topics, by: one.by}
}

// uid is the UID of the i-th trigger of the function that the event is about.
func (b birth) uid(i int) int64 { return b.offset*maxTriggers + int64(i) }

func (b birth) start(t function.Trigger) map[int32]int64 {
	if at, ok := b.begins[t.Name]; ok {
		return maps.Clone(at)
	}
	return maps.Clone(b.starts[t.Topic])
}

// places returns a payload that says where the topics of a function's triggers end now, the asynchronous calls' topic included, and where
// those of the triggers begin that want something else and that the function does not have yet.
func (s scene) places(ctx context.Context, fn string, triggers []function.Trigger) (p payload, err error) {
	wanted := map[string]bool{function.TopicInvoke: true}
	for _, t := range triggers {
		if topic := t.Listens(); topic != "" {
			wanted[topic] = true
		}
	}
	topics, err := s.log.Topics(ctx)
	if err != nil {
		return p, fmt.Errorf("list topics: %w", err)
	}
	p.Starts, p.Begins, p.Topics = Starts{}, Begins{}, topicIDs{}
	found := map[string]eventlog.Topic{}
	var names []string
	for _, t := range topics {
		names = append(names, t.Name)
		if !wanted[t.Name] {
			continue
		}
		delete(wanted, t.Name)
		found[t.Name] = t
		p.Topics[t.Name] = t.ID
		if p.Starts[t.Name], err = s.place(ctx, t, function.StartLatest); err != nil {
			return p, err
		}
	}
	for name := range wanted {
		return p, eventlog.MissingTopic(name, names)
	}
	for _, t := range triggers {
		if t.Start == "" || t.Start == function.StartLatest || s.has(fn, t) {
			continue
		}
		if t.Start == function.StartGroup {
			if p.Begins[t.Name], err = s.fromGroup(ctx, function.GroupOf(fn, t.Name), found[t.Topic]); err != nil {
				return p, err
			}
			continue
		}
		if p.Begins[t.Name], err = s.place(ctx, found[t.Topic], t.Start); err != nil {
			return p, err
		}
	}
	return p, nil
}

// fromGroup is where a group stands in a topic. Where it says nothing of a partition that had events, nobody can tell what is done.
func (s scene) fromGroup(ctx context.Context, group string, t eventlog.Topic) (map[int32]int64, error) {
	offsets, err := s.log.Offsets(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("read the positions of group %s: %w", group, err)
	}
	known := map[int32]int64{}
	for _, o := range offsets {
		if o.Partition.Topic == t.Name {
			known[o.Partition.ID] = o.Offset
		}
	}
	at := make(map[int32]int64, t.Partitions)
	for id := range t.Partitions {
		b, err := s.log.Bounds(ctx, eventlog.Partition{Topic: t.Name, ID: id})
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", t.Name, id, err)
		}
		offset, ok := known[id]
		if !ok && b.End > 0 {
			return nil, fault.New(fault.NotFound, "start: group %q has no position in %s/%d", group, t.Name, id).
				WithHint("dalamb copy positions stores it; or choose another start")
		}
		at[id] = min(max(offset, b.Start), b.End)
	}
	return at, nil
}

// has says whether the function has the trigger already, by name and topic.
func (s scene) has(fn string, t function.Trigger) bool {
	old, err := s.view.Trigger(fn, t.Name)
	return err == nil && old.Topic == t.Listens()
}

// place is where a start stands now in each partition of a topic. A time before the oldest record is the oldest record's.
func (s scene) place(ctx context.Context, t eventlog.Topic, start function.Start) (map[int32]int64, error) {
	at := make(map[int32]int64, t.Partitions)
	moment, timed := start.Time(s.now)
	if timed && moment.After(s.now) {
		return nil, fault.New(fault.Invalid, "start: %s has not come yet", start).WithHint("latest begins with the next event")
	}
	for id := range t.Partitions {
		p := eventlog.Partition{Topic: t.Name, ID: id}
		b, err := s.log.Bounds(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", t.Name, id, err)
		}
		switch {
		case timed:
			if at[id], err = s.log.OffsetAt(ctx, p, moment); err != nil {
				return nil, fmt.Errorf("find %s in %s/%d: %w", start, t.Name, id, err)
			}
		case start == function.StartEarliest:
			at[id] = b.Start
		default:
			at[id] = b.End
		}
	}
	return at, nil
}
