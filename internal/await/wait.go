package await

import (
	"context"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Wait is one who waits. Look and Stop are for one goroutine; a nil Wait waits for nothing.
type Wait struct {
	f       *Follower
	want    Want
	changed chan struct{}
	joined  []*follow
	looked  bool // what came before is known, or there is nothing before

	mu    sync.Mutex
	found Found
	at    eventlog.Position // of found.Event
	dead  []string          // keys of dead letters
}

// Changed holds a token when there is something new to Look at.
func (w *Wait) Changed() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.changed
}

// Look returns what has been found. Where the request is older than the wait the log is searched for what came before, which may take several
// calls: Changed holds a token then.
func (w *Wait) Look(ctx context.Context) (Found, error) {
	found := w.heard()
	if w.looked || found.Event != nil {
		return found, nil
	}
	before, whole, err := w.f.search(ctx, w.want)
	if err != nil {
		return Found{}, err
	}
	if w.looked = whole; !whole {
		w.wake()
	}
	if before.Event != nil { // that was the first
		return before, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found.Dead = w.found.Event == nil && (w.found.Dead || before.Dead)
	return w.found, nil
}

func (w *Wait) heard() Found {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}

// Stop ends the wait. What it knows is remembered for who asks later.
func (w *Wait) Stop() {
	if w == nil {
		return
	}
	defer w.leave()
	next := map[eventlog.Partition]int64{} // first: what is heard behind it is looked at again
	for _, t := range w.joined {
		for _, r := range t.readersNow() {
			next[r.partition] = r.next.Load()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.found.Event != nil && w.looked:
		at := w.at // of which nothing else hangs
		w.f.places.Set(w.want.ID, place{found: &at})
	case w.want.Since.IsZero(): // all that follows from its request has gone through here
		w.f.places.Set(w.want.ID, place{next: next, dead: w.dead})
	}
}

func (w *Wait) leave() {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	for _, t := range w.joined {
		t.remove(w)
	}
}

// hear is told of a record that follows from the request.
func (w *Wait) hear(r *eventlog.Record) {
	if r.Topic == function.TopicDead {
		w.mu.Lock()
		w.found.Dead = w.found.Event == nil
		w.dead = append(w.dead, string(r.Key))
		w.mu.Unlock()
		w.wake()
		return
	}
	e := eventlog.EventOf(r)
	if e == nil || !w.want.wants(e) {
		return
	}
	w.mu.Lock()
	first := w.found.Event == nil
	if first {
		w.found, w.at = Found{Event: e}, eventlog.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	}
	w.mu.Unlock()
	if first {
		w.wake()
	}
}

func (w *Wait) wake() {
	select {
	case w.changed <- struct{}{}:
	default: // it has a token
	}
}
