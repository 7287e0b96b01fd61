// Package shadow runs copies: while a roll-out is in the step in which no traffic moves, it gives the new version what the old one got, holds
// what comes of it against what came of the live one, and tells the log. It judges nothing (deliver does, by what the log says), publishes
// nothing that a copy gives, and nobody waits for it: where there is too much to do, copies are left out and counted.
package shadow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of a node's copies.
const (
	maxWorkers = 8        // that run at a time, of one roll-out
	maxQueued  = 64       // that wait for one worker
	maxHeld    = 32 << 20 // bytes that wait, of all roll-outs
)

// maxWait is how long a copy waits for an instance. The log has every one that was made, so it does not matter much.
const maxWait = 10 * time.Second

// Target is a roll-out in its step with copies.
type Target struct {
	Rollout         int64 // its id
	Function, Alias string
	From            int // whose calls are copied
	To              *function.Version
	Shadow          function.Shadow
}

// Targets are the roll-outs that are in that step. changed is closed when there may be other ones.
type Targets func() (now []Target, changed <-chan struct{})

// Log is what shadow needs of the event log.
type Log interface {
	Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error)
}

// Fleet runs copies.
type Fleet interface {
	Invoke(ctx context.Context, c fleet.Call) (*function.Result, error)
	// Crowded says that live calls need what there is.
	Crowded() bool
}

// Options of New. Log, Fleet and Targets are required.
type Options struct {
	Log     Log
	Fleet   Fleet
	Targets Targets
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

// Shadow makes the copies of one node. Safe for concurrent use.
type Shadow struct {
	o      Options
	copies *prometheus.CounterVec
	told   *teller
	held   atomic.Int64 // bytes that wait
	active atomic.Pointer[map[place]*mirror]
	kill   chan struct{} // closed when the node stops
}

// place is what a call came to.
type place struct{ function, alias string }

// New checks the options; Run starts.
func New(o Options) (*Shadow, error) {
	if o.Log == nil || o.Fleet == nil || o.Targets == nil {
		return nil, errors.New("shadow needs a log, a fleet and its targets")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Shadow{o: o, kill: make(chan struct{}), copies: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_shadow_copies_total", Help: "Copies of live invocations for versions that are rolled out, by what came of them: same, different, dropped (too much to do).",
	}, []string{"outcome"})}
	for _, outcome := range []string{outcomeSame, outcomeDifferent, outcomeDropped} {
		s.copies.WithLabelValues(outcome)
	}
	if o.Metrics != nil {
		if err := o.Metrics.Register(s.copies); err != nil {
			return nil, fmt.Errorf("register the metric of copies: %w", err)
		}
	}
	s.told = newTeller(&s.o)
	s.active.Store(&map[place]*mirror{})
	return s, nil
}

// What became of copies, for the metric.
const (
	outcomeSame      = "same"
	outcomeDifferent = "different"
	outcomeDropped   = "dropped"
)

// Copy is a live invocation whose outcome is known.
type Copy struct {
	Function, Alias string // as it was asked for; "" = live
	// Key decides whether it is copied: all of a key is, or nothing. "" = the run.
	Key        string
	Invocation *function.Invocation
	Result     *function.Result
	Event      function.EventRef // of a run
	Cause      *event.Event      // of a run: what is in the log

	// Of a request: all of its body, the beginning of an answer that was streamed, and what to call it, redacted.
	Body, Answer []byte
	Name         func() string
}

// size is about how much memory a copy holds.
func (c *Copy) size() int64 {
	n := 2<<10 + len(c.Body) + len(c.Answer) + len(c.Invocation.Payload) + len(c.Result.Body)
	if e := c.Invocation.Event; e != nil {
		n += len(e.Data)
	}
	return int64(n)
}

// hops is how long the chain of causes is.
func (c *Copy) hops() int {
	if c.Cause == nil {
		return 0
	}
	return c.Cause.Hops()
}

// Offer takes a live invocation that was run by the version that its alias has, and copies it where that version is being replaced, and it
// is in the sample. It never blocks, and nothing of the copy may be changed from then on.
func (s *Shadow) Offer(c Copy) {
	all := *s.active.Load()
	if len(all) == 0 {
		return
	}
	m := all[place{c.Function, cmp.Or(c.Alias, function.LiveAlias)}]
	switch {
	case m == nil || c.Result.Version != m.From || c.Result.Abandoned:
		return // or there is no whole answer
	case c.hops() > event.MaxHops:
		return // what is told of it would only be the next of a loop
	}
	ticket := function.Ticket(c.Function, cmp.Or(c.Key, c.Invocation.Run))
	if !m.Shadow.Takes(ticket) {
		return
	}
	n := c.size()
	if s.held.Add(n) > maxHeld {
		s.held.Add(-n)
		s.drop(m)
		return
	}
	select {
	case m.queues[ticket%uint64(len(m.queues))] <- job{c, n}:
	default:
		s.held.Add(-n)
		s.drop(m)
	}
}

func (s *Shadow) drop(m *mirror) {
	m.dropped.Add(1)
	s.copies.WithLabelValues(outcomeDropped).Inc()
}

// Run makes copies until ctx is done; then it ends those under way, and tells the log the last of what came of them.
func (s *Shadow) Run(ctx context.Context) error {
	var workers, telling sync.WaitGroup
	stop := make(chan struct{})
	telling.Go(func() { s.told.run(stop, s.mirrors) })
	for {
		targets, changed := s.o.Targets()
		s.settle(ctx, targets, &workers)
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		break
	}
	s.active.Store(&map[place]*mirror{})
	close(s.kill)
	workers.Wait()
	close(stop)
	telling.Wait()
	return nil
}

// mirrors are those that copies are made for.
func (s *Shadow) mirrors() []*mirror {
	var all []*mirror
	for _, m := range *s.active.Load() {
		all = append(all, m)
	}
	return all
}

// settle makes copies for these roll-outs, and for no other. What runs of another's ends, and nobody is told.
func (s *Shadow) settle(ctx context.Context, targets []Target, workers *sync.WaitGroup) {
	before, now := *s.active.Load(), map[place]*mirror{}
	for _, t := range targets {
		at := place{t.Function, t.Alias}
		m := before[at]
		if m == nil || m.Rollout != t.Rollout {
			m = s.mirror(ctx, t, workers)
		}
		now[at] = m
	}
	s.active.Store(&now)
	for at, m := range before {
		if now[at] != m {
			m.end()
		}
	}
}
