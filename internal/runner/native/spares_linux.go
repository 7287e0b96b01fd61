package native

import (
	"log/slog"
	"sync"
	"time"
)

// settling is how long after a start spares are made: a function's first moments need the CPU more.
const settling = 50 * time.Millisecond

// spares keeps some nests waiting, so that a cold start does not wait for one to be made: as many as were started at a time of late,
// within bounds.
type spares struct {
	least, most int // most 0 = none
	now         func() time.Time
	available   func() int64 // bytes of memory; nil = there is always enough
	make        func(kind) (*nest, error)
	discard     func(*nest)
	log         *slog.Logger

	mu       sync.Mutex
	demand   demand
	starting int // that are under way; no spare is made meanwhile
	waiting  []*nest
	found    int64 // starts for which one waited
	missed   int64 // and those for which none did
	making   int
	closed   bool
	over     chan struct{} // closed by close
	makers   sync.WaitGroup
}

// begin tells that a sandbox is being started; refill, that this is over.
func (s *spares) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting++
	s.demand.note(s.now())
}

// want is how many shall wait. The caller holds mu.
func (s *spares) want() int {
	return min(max(s.least, s.demand.peak(s.now())), s.most)
}

// take gives a nest: one that waits, else a new one.
func (s *spares) take(k kind) (*nest, error) {
	for k == usual() {
		n := s.pop()
		if n == nil {
			break
		}
		if n.waits() {
			s.count(&s.found)
			return n, nil
		}
		s.log.Warn("spare sandbox ended by itself")
		s.discard(n)
	}
	s.count(&s.missed)
	return s.make(k)
}

func (s *spares) count(what *int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what++
}

func (s *spares) pop() *nest {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.waiting) - 1
	if last < 0 {
		return nil
	}
	n := s.waiting[last]
	s.waiting = s.waiting[:last]
	return n
}

// refill makes what is missing, in the background and not while anything is started: not to take its CPU away. What nobody has needed of
// late it takes away.
func (s *spares) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting--
	if s.closed || s.making > 0 || s.starting > 0 || s.most == 0 {
		return
	}
	s.making++
	s.makers.Go(s.fit)
}

// fit brings those that wait to the number that is wanted, when the start that is over has settled.
func (s *spares) fit() {
	select {
	case <-time.After(settling):
	case <-s.over:
		return
	}
	for {
		room := s.room()
		s.mu.Lock()
		missing := min(s.want(), room) - len(s.waiting)
		if s.closed || missing == 0 || missing > 0 && s.starting > 0 {
			s.making--
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if missing < 0 {
			if n := s.pop(); n != nil {
				s.discard(n)
			}
			continue
		}
		if !s.add() {
			return
		}
	}
}

// add makes one more.
func (s *spares) add() bool {
	n, err := s.make(usual())
	s.mu.Lock()
	keep := err == nil && !s.closed
	if keep {
		s.waiting = append(s.waiting, n)
	} else {
		s.making--
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.log.Warn("no spare sandbox", "err", err) // a start will say what is wrong
	case !keep:
		s.discard(n)
	}
	return keep
}

func (s *spares) close() {
	s.mu.Lock()
	s.closed = true
	close(s.over)
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, n := range waiting {
		s.discard(n)
	}
	s.makers.Wait()
}
