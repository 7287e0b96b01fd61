package gateway

import (
	"container/list"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// slots bound how many requests of a route are under way at a time. What comes beyond them waits for its turn, first come first served, as long
// as the queue has room and the time is not over, and is refused then, before anything costly was done for it. A slot is for the function's work: a
// client that is slow with its body has none yet.
type slots struct {
	g       *Gateway
	rule    *function.RouteConcurrency
	now     func() time.Time
	refused func(why string) // counts

	mu      sync.Mutex
	used    int
	waiting list.List // of chan struct{}, closed when its turn has come
	tide    *tide     // nil = there are always as many slots
}

// errCrowded is what all refusals of slots are. They are counted and not logged: under an overload the log would be a load of its own.
var errCrowded = errors.New("the route has as many requests under way as it takes")

// Reasons for a refusal, for metrics.
const (
	crowdedFull = "full" // as many were waiting as may
	crowdedWait = "wait" // none ended in time
)

func newSlots(t *catalog.Trigger, g *Gateway) *slots {
	s := &slots{
		g: g, rule: t.Route.Concurrency, now: g.now,
		refused: func(why string) {
			g.metrics.crowded.WithLabelValues(g.metrics.names.Of(t.Function, t.Name, why)...).Inc()
		},
	}
	if s.rule.Adaptive {
		s.tide = newTide(s.rule.Max, g.now())
	}
	return s
}

// door refuses what would find no room, at no cost.
func (s *slots) door(x *exchange, c *Call, next handler) error {
	s.mu.Lock()
	full := !s.free() && s.waiting.Len() >= s.rule.Queue
	s.mu.Unlock()
	if full {
		return s.full()
	}
	return next(x, c)
}

func (s *slots) full() error {
	s.refused(crowdedFull)
	return fault.New(fault.Exhausted, "%w", errCrowded).WithHint("send it again in a moment")
}

// policy lets a request through whose body is there, or that is passed on while it comes, as soon as it has a slot.
func (s *slots) policy(x *exchange, c *Call, next handler) (err error) {
	free, err := s.g.receive(x, c)
	defer free()
	if err != nil {
		return err
	}
	slot, err := s.enter(x, c.Request)
	if err != nil {
		return err
	}
	told := false
	defer func() { s.leave(slot, told) }() // also of an answer that is cut off
	err = next(x, c)
	told = telling(x.status, err)
	return err
}

// telling says whether the time of an answer tells how much the function has to do. A failure may come at once, and a connection that was given
// away ends when its user likes.
func telling(status int, err error) bool {
	if err != nil {
		return fault.KindOf(err) == fault.Timeout
	}
	return status != http.StatusSwitchingProtocols && (status < http.StatusInternalServerError || status == http.StatusGatewayTimeout)
}

// slot is one request's.
type slot struct {
	since time.Time
	round int // of the tide
}

// enter waits for the request's turn.
func (s *slots) enter(x *exchange, r *http.Request) (slot, error) {
	s.mu.Lock()
	if s.free() {
		defer s.mu.Unlock()
		s.used++
		return s.taken(), nil
	}
	if s.waiting.Len() >= s.rule.Queue {
		s.mu.Unlock()
		return slot{}, s.full()
	}
	turn := make(chan struct{})
	place := s.waiting.PushBack(turn)
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(r.Context(), s.rule.Patience())
	defer cancel()
	select {
	case <-turn:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-turn:
		x.expectBody(r) // what it has waited is not the client's to make up for
		return s.taken(), nil
	default:
	}
	s.waiting.Remove(place)
	if err := r.Context().Err(); err != nil {
		return slot{}, err
	}
	s.refused(crowdedWait)
	return slot{}, fault.New(fault.Exhausted, "%w, and none has ended in %s", errCrowded, s.rule.Patience()).WithHint("send it again in a moment")
}

// leave gives a slot back, to who has waited longest. told says that the time which it was held counts.
func (s *slots) leave(one slot, told bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); told && s.tide != nil {
		s.tide.answered(one.round, now, now.Sub(one.since))
	}
	s.used--
	for s.used < s.most() && s.waiting.Len() > 0 {
		s.used++
		close(s.waiting.Remove(s.waiting.Front()).(chan struct{}))
	}
}

// free says whether a request has a slot at once. Called with mu held, as most and taken are.
func (s *slots) free() bool { return s.used < s.most() && s.waiting.Len() == 0 }

// most is how many slots there are now.
func (s *slots) most() int {
	if s.tide == nil {
		return s.rule.Max
	}
	return s.tide.level()
}

func (s *slots) taken() slot {
	one := slot{since: s.now()}
	if s.tide != nil {
		one.round = s.tide.round
		s.tide.peak = max(s.tide.peak, s.used)
	}
	return one
}
