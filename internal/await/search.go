package await

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	searchTime = 2 * time.Second // of one search; the next one goes on
	clockSkew  = time.Minute     // by which the clocks of nodes and brokers may differ
)

// place is how far the log is known that follows a request. It never changes.
type place struct {
	found *eventlog.Position           // of the event that was waited for
	next  map[eventlog.Partition]int64 // what is before has nothing
	dead  []string                     // keys of dead letters that are not resolved
}

// Find returns what has followed from a request that was accepted at want.Since, as far as one search comes; another one goes on from there.
func (f *Follower) Find(ctx context.Context, want Want) (Found, error) {
	found, _, err := f.search(ctx, want)
	return found, err
}

// search reads on from where the last search for the same was. whole says that it came to the end of the log.
func (f *Follower) search(ctx context.Context, want Want) (found Found, whole bool, err error) {
	from, _ := f.places.GetIfPresent(want.ID)
	if from.found == nil { // one record needs no turn
		select {
		case f.searches <- struct{}{}:
			defer func() { <-f.searches }()
		case <-ctx.Done():
			return found, false, ctx.Err()
		}
		from, _ = f.places.GetIfPresent(want.ID)
	}
	if from.found != nil {
		found.Event, err = f.read(ctx, *from.found)
		return found, true, err
	}
	s := &search{f: f, want: &want, until: time.Now().Add(searchTime), next: maps.Clone(from.next), dead: slices.Clone(from.dead), whole: true}
	if s.next == nil {
		s.next = map[eventlog.Partition]int64{}
	}
	if err := s.run(ctx); err != nil {
		f.places.Set(want.ID, place{next: s.next, dead: s.dead}) // who waits no longer may come again
		return found, false, fmt.Errorf("look for what followed from %s: %w", want.ID, err)
	}
	if s.event != nil {
		at := s.at // of which nothing else hangs
		f.places.Set(want.ID, place{found: &at})
		return Found{Event: s.event}, true, nil
	}
	f.places.Set(want.ID, place{next: s.next, dead: s.dead})
	return Found{Dead: len(s.dead) > 0}, s.whole, nil
}

// read returns the event at a position; nil = the log has it no more.
func (f *Follower) read(ctx context.Context, at eventlog.Position) (*event.Event, error) {
	rs, err := f.log.Read(ctx, eventlog.Partition{Topic: at.Topic, ID: at.Partition}, at.Offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	switch {
	case fault.KindOf(err) == fault.NotFound, err == nil && (len(rs) == 0 || rs[0].Offset != at.Offset):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the event at %s/%d offset %d: %w", at.Topic, at.Partition, at.Offset, err)
	}
	return eventlog.EventOf(&rs[0]), nil
}

// search is one under way.
type search struct {
	f     *Follower
	want  *Want
	until time.Time
	next  map[eventlog.Partition]int64
	dead  []string
	whole bool

	event *event.Event // the oldest of those that stand first in their partitions
	at    eventlog.Position
	time  time.Time
}

func (s *search) run(ctx context.Context) error {
	topics, err := s.f.log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name != s.want.Topic && t.Name != function.TopicDead {
			continue
		}
		for id := range t.Partitions {
			if err := s.partition(ctx, eventlog.Partition{Topic: t.Name, ID: id}, t.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// partition reads one from where it is known to where something is found, to its end, or until the search's time is over.
func (s *search) partition(ctx context.Context, p eventlog.Partition, topicID string) error {
	next, known := s.next[p]
	if !known {
		var err error
		if next, err = s.f.log.OffsetAt(ctx, p, s.want.Since.Add(-clockSkew)); err != nil {
			return fmt.Errorf("find %s in %s/%d: %w", s.want.Since.UTC().Format(time.RFC3339), p.Topic, p.ID, err)
		}
	}
	defer func() { s.next[p] = next }()
	for {
		if time.Now().After(s.until) {
			s.whole = false
			return nil
		}
		rs, err := s.f.log.Read(ctx, p, next, eventlog.ReadOptions{NoWait: true, TopicID: topicID})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			return nil
		}
		for i := range rs {
			if s.meet(&rs[i]) {
				return nil
			}
		}
		next = rs[len(rs)-1].Offset + 1
	}
}

// meet looks at one record, and says whether it is what is looked for.
func (s *search) meet(r *eventlog.Record) bool {
	if r.Topic == function.TopicDead && r.Value == nil { // a dead letter is resolved
		s.dead = slices.DeleteFunc(s.dead, func(key string) bool { return key == string(r.Key) })
		return false
	}
	if threadOf(r) != s.want.ID {
		return false
	}
	if r.Topic == function.TopicDead {
		if !slices.Contains(s.dead, string(r.Key)) {
			s.dead = append(s.dead, string(r.Key))
		}
		return false
	}
	e := eventlog.EventOf(r)
	if e == nil || !s.want.wants(e) {
		return false
	}
	if s.event == nil || r.Time.Before(s.time) {
		s.event, s.time = e, r.Time
		s.at = eventlog.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	}
	return true
}
