package runner

import (
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
)

// Roster is a driver's list of its sandboxes by Spec.ID, those that are being made included. The zero value is ready. S is
// the driver's sandbox.
type Roster[S any] struct {
	mu     sync.Mutex
	closed bool
	live   map[string]*S // nil while it is being made
	starts sync.WaitGroup
}

// Start makes the sandbox of an id, then runs it on a goroutine of its own: make, run, gone, in this order. gone is called
// when the id is free again. Unavailable after Close, Conflict when the id is taken, or the error of make.
func (r *Roster[S]) Start(id string, make func() (*S, error), run, gone func(*S)) (*S, error) {
	if err := r.reserve(id); err != nil {
		return nil, err
	}
	defer r.starts.Done()
	sb, err := make()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		delete(r.live, id)
		return nil, err
	}
	r.live[id] = sb
	go func() {
		run(sb)
		r.mu.Lock()
		delete(r.live, id)
		r.mu.Unlock()
		gone(sb)
	}()
	return sb, nil
}

func (r *Roster[S]) reserve(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fault.New(fault.Unavailable, "start sandbox %s: the runner is closed", id)
	}
	if _, taken := r.live[id]; taken {
		return fault.New(fault.Conflict, "start sandbox %s: there is one of this id", id)
	}
	if r.live == nil {
		r.live = map[string]*S{}
	}
	r.live[id] = nil
	r.starts.Add(1)
	return nil
}

// All returns those that run.
func (r *Roster[S]) All() []*S {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*S
	for _, sb := range r.live {
		if sb != nil {
			all = append(all, sb)
		}
	}
	return all
}

// Close lets nothing more be started and waits for what is being made. It returns what runs then, and whether this was the first call.
func (r *Roster[S]) Close() (all []*S, first bool) {
	r.mu.Lock()
	first = !r.closed
	r.closed = true
	r.mu.Unlock()
	r.starts.Wait()
	return r.All(), first
}
