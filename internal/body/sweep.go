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
	if empty, err := s.empty(ctx); empty || err != nil {
		return 0, err
	}
	named := map[string]bool{}
	for _, topic := range []string{function.TopicInvoke, function.TopicDelayed, function.TopicDead} {
		if err := s.each(ctx, topic, func(value []byte) { names(value, named) }); err != nil {
			return 0, fmt.Errorf("look for bodies that %s names: %w", topic, err)
		}
	}
	return s.chunks.Sweep(ctx, chunk.Sweep{Before: before, Mine: mine, Kept: func(id string) bool { return named[id] }})
}

// empty says that there is no body, as on most nodes.
func (s *Store) empty(ctx context.Context) (bool, error) {
	places, err := s.places(ctx, function.TopicBodies)
	for _, p := range places {
		b, err := s.log.Bounds(ctx, p)
		if err != nil || b.Start < b.End {
			return false, err
		}
	}
	return true, err
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

// each calls f with every value in a topic.
func (s *Store) each(ctx context.Context, topic string, f func(value []byte)) error {
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
				f(rs[i].Value)
			}
			from = rs[len(rs)-1].Offset + 1
		}
	}
	return nil
}

// names adds what may be names of bodies. In each topic requests are wrapped in another way; to take for a name whatever looks like one can only keep a body too long.
func names(value []byte, into map[string]bool) {
	start := 0
	for i := 0; i <= len(value); i++ {
		if i < len(value) && (value[i] >= 'A' && value[i] <= 'Z' || value[i] >= '2' && value[i] <= '7') {
			continue
		}
		if i-start == nameLength {
			into[string(value[start:i])] = true
		}
		start = i + 1
	}
}
