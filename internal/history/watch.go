package history

import (
	"sync"

	"github.com/dalamb/dalamb/internal/function"
)

// watchers are those who wait for news of the runs of one event. What they are told is only that there are some: they look at the index, as
// they have done after they began to watch, so nothing falls between.
type watchers struct {
	mu sync.Mutex
	of map[string]map[chan struct{}]struct{} // by the event's id
}

// Watch tells of changes to what the index knows of the runs of an event, until stop is called: changed holds a token when there is
// something new. It does not block.
func (h *History) Watch(eventID string) (changed <-chan struct{}, stop func()) {
	w, c := &h.watchers, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[string]map[chan struct{}]struct{}{}
	}
	if w.of[eventID] == nil {
		w.of[eventID] = map[chan struct{}]struct{}{}
	}
	w.of[eventID][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[eventID], c)
		if len(w.of[eventID]) == 0 {
			delete(w.of, eventID)
		}
	}
}

// tell wakes those who watch one of the events. What is told is in the index.
func (w *watchers) tell(eventIDs []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.of) == 0 {
		return
	}
	for _, id := range eventIDs {
		for c := range w.of[id] {
			select {
			case c <- struct{}{}:
			default: // it has a token
			}
		}
	}
}

// RunAt returns the newest run of an event in the log, or nil when none has come to anything yet. A redrive of a dead run is one, too.
func (h *History) RunAt(at function.EventRef) (*function.Run, error) {
	page, err := h.Runs(Query{EventID: at.ID, EventAt: &at, Limit: 1})
	if err != nil || len(page.Rows) == 0 {
		return nil, err
	}
	return page.Rows[0], nil
}

// RunOf is RunAt for who does not know where the event stands in its topic.
func (h *History) RunOf(topic, eventID string) (*function.Run, error) {
	for q := (Query{EventID: eventID}); ; {
		page, err := h.Runs(q)
		if err != nil {
			return nil, err
		}
		for _, run := range page.Rows {
			if run.Event.Topic == topic {
				return run, nil
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil, nil
		}
	}
}
