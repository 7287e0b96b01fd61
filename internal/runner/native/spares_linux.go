package native

import (
	"log/slog"
	"sync"
)

// spares keeps some nests waiting, so that a cold start does not wait for one to be made.
type spares struct {
	want    int
	make    func(kind) (*nest, error)
	discard func(*nest)
	log     *slog.Logger

	mu      sync.Mutex
	waiting []*nest
	making  int
	closed  bool
	makers  sync.WaitGroup
}

// take gives a nest: one that waits, else a new one.
func (s *spares) take(k kind) (*nest, error) {
	for k == usual() {
		n := s.pop()
		if n == nil {
			break
		}
		if n.waits() {
			return n, nil
		}
		s.log.Warn("spare sandbox ended by itself")
		s.discard(n)
	}
	return s.make(k)
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

// refill makes what is missing, in the background. It is called when a start is over: not to take its CPU away.
func (s *spares) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.making > 0 || len(s.waiting) >= s.want {
		return
	}
	s.making++
	s.makers.Go(s.fill)
}

func (s *spares) fill() {
	for {
		n, err := s.make(usual())
		s.mu.Lock()
		keep := err == nil && !s.closed
		if keep {
			s.waiting = append(s.waiting, n)
		}
		more := keep && len(s.waiting) < s.want
		if !more {
			s.making--
		}
		s.mu.Unlock()
		if err != nil {
			s.log.Warn("no spare sandbox", "err", err) // a start will say what is wrong
		} else if !keep {
			s.discard(n)
		}
		if !more {
			return
		}
	}
}

func (s *spares) close() {
	s.mu.Lock()
	s.closed = true
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, n := range waiting {
		s.discard(n)
	}
	s.makers.Wait()
}
