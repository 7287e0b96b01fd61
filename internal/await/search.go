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

// searchTime bounds one search; the next one goes on.
const searchTime = 2 * time.Second

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
	s := &search{want: &want, dead: slices.Clone(from.dead)}
	w := eventlog.Walk{
		Log: f.log, Topics: []string{want.Topic, function.TopicDead}, Since: want.Since, Rest: time.Now().Add(searchTime), Next: maps.Clone(from.next), Each: s.meet,
	}
	if w.Next == nil {
		w.Next = map[eventlog.Partition]int64{}
	}
	whole, err = w.Go(ctx)
	if err != nil {
		f.places.Set(want.ID, place{next: w.Next, dead: s.dead}) // who waits no longer may come again
		return found, false, fmt.Errorf("look for what followed from %s: %w", want.ID, err)
	}
	if s.event != nil {
		at := s.at // of which nothing else hangs
		f.places.Set(want.ID, place{found: &at})
		return Found{Event: s.event}, true, nil
	}
	f.places.Set(want.ID, place{next: w.Next, dead: s.dead})
	return Found{Dead: len(s.dead) > 0}, whole, nil
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
	want *Want
	dead []string

	event *event.Event // the oldest of those that stand first in their partitions
	at    eventlog.Position
	time  time.Time
}

// meet looks at one record. What is looked for ends the search of its partition; an older one may be in another.
func (s *search) meet(r *eventlog.Record) eventlog.Step {
	if r.Topic == function.TopicDead && r.Value == nil { // a dead letter is resolved
		s.dead = slices.DeleteFunc(s.dead, func(key string) bool { return key == string(r.Key) })
		return eventlog.Further
	}
	if threadOf(r) != s.want.ID {
		return eventlog.Further
	}
	if r.Topic == function.TopicDead {
		if !slices.Contains(s.dead, string(r.Key)) {
			s.dead = append(s.dead, string(r.Key))
		}
		return eventlog.Further
	}
	e := eventlog.EventOf(r)
	if e == nil || !s.want.wants(e) {
		return eventlog.Further
	}
	if s.event == nil || r.Time.Before(s.time) {
		s.event, s.time = e, r.Time
		s.at = eventlog.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	}
	return eventlog.Enough
}
