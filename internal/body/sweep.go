package body

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/chunk"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// nameLength is that of a body's function.Stored.ID, which is of the letters A to Z and the digits 2 to 7.
const nameLength = 26

// Sweep removes the bodies that nothing in the log names any more, and returns of how many chunks. mine says which partitions of function.TopicBodies this node
// looks after; nil = all. It reads all that may name a body, so it is for once in a while.
//
// A body is needed for as long as a request names it: the event in function.TopicInvoke until retention takes that, and then its run, which may wait in
// function.TopicDelayed or be a dead letter, whose redrive is a request again. They are read in this order, in which a request moves on: what leaves one while it is read is
// in the next by then. Of a body that was stored within chunk.Grace the event may be on its way.
func (s *Store) Sweep(ctx context.Context, mine func(partition int32) bool) (int, error) {
	before := time.Now().Add(-chunk.Grace) // ahead of what is read below
	named := map[string]bool{}             // of the bodies that are there, and no others: what clients send may look like any number of names
	if err := s.each(ctx, function.TopicBodies, func(r *eventlog.Record) {
		if id, ok := chunk.ID(r.Key); ok {
			named[id] = false
		}
	}); err != nil {
		return 0, fmt.Errorf("list bodies: %w", err)
	}
	if len(named) == 0 {
		return 0, nil // as on most nodes
	}
	for _, topic := range []string{function.TopicInvoke, function.TopicDelayed, function.TopicDead} {
		if err := s.each(ctx, topic, func(r *eventlog.Record) { mark(r.Value, named) }); err != nil {
			return 0, fmt.Errorf("look for bodies that %s names: %w", topic, err)
		}
	}
	return s.chunks.Sweep(ctx, chunk.Sweep{Before: before, Mine: mine, Kept: func(id string) bool { return named[id] }})
}

func (s *Store) places(ctx context.Context, topic string) (places []eventlog.Partition, err error) {
	topics, err := s.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name == topic {
			for id := range t.Partitions {
				places = append(places, eventlog.Partition{Topic: topic, ID: id})
			}
		}
	}
	return places, nil
}

// each calls f with every record of a topic.
func (s *Store) each(ctx context.Context, topic string, f func(*eventlog.Record)) error {
	places, err := s.places(ctx, topic)
	if err != nil {
		return err
	}
	for _, p := range places {
		bounds, err := s.log.Bounds(ctx, p)
		if err != nil {
			return err
		}
		for from := bounds.Start; from < bounds.End; {
			rs, err := s.log.Read(ctx, p, from, eventlog.ReadOptions{NoWait: true})
			if err != nil {
				return err
			}
			if len(rs) == 0 {
				break
			}
			for i := range rs {
				f(&rs[i])
			}
			from = rs[len(rs)-1].Offset + 1
		}
	}
	return nil
}

// mark finds the names of bodies in a value. In each topic requests are wrapped in another way; to take for a name whatever looks like one can only keep a body too long.
func mark(value []byte, named map[string]bool) {
	start := 0
	for i := 0; i <= len(value); i++ {
		if i < len(value) && (value[i] >= 'A' && value[i] <= 'Z' || value[i] >= '2' && value[i] <= '7') {
			continue
		}
		if i-start == nameLength {
			if _, there := named[string(value[start:i])]; there {
				named[string(value[start:i])] = true
			}
		}
		start = i + 1
	}
}
