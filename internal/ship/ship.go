// Package ship takes the log lines of functions on to other places, each from where it left off. It does not decide which lines there are: they
// are the events of _dalamb.logs, which stay there for as long as the topic keeps them; and it knows no configuration.
//
// Who owns a partition of _dalamb.logs ships what is in it, to each sink on a goroutine of its own: one that is away holds up no other. How far a
// sink is stands in _dalamb.progress, and moves after the sink has taken the lines: a line is shipped at least once, with the same id.
package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Line is one line of a function's log.
type Line struct {
	ID string // of its event: the same each time that it is shipped
	function.LogLine
	Said function.LogText
}

// Sink takes lines. Its methods are safe for concurrent use.
type Sink interface {
	// Send returns nil when all of the lines were taken. An error of kind Invalid or TooLarge means that the sink will never take them as they are;
	// after partly nothing is sent again, after any other all of them are, for as long as it takes.
	Send(ctx context.Context, lines []Line) error
	// Check says why lines could not be taken just now, without sending any.
	Check(ctx context.Context) error
	// Close frees what Send has opened. No Send is under way.
	Close() error
}

// Target is a sink, and what it is to get.
type Target struct {
	Name  string // unique, and the same for as long as the sink goes on where it was
	Sink  Sink
	Wants func(function string) bool // nil = every function's
	Level function.LogLevel          // the least; "" = all
}

// Options of New. Log and Targets are required.
type Options struct {
	Log     eventlog.Log
	Targets []Target
	Linger  time.Duration // how long lines are gathered; 0 = 200 ms
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil = counted, not shown
}

// Ship ships lines. It is a dispatch.Duty. Safe for concurrent use.
type Ship struct {
	log     eventlog.Log
	linger  time.Duration
	look    time.Duration
	ask     time.Duration
	logger  *slog.Logger
	targets []*target
	metrics *metrics
}

// target is a sink and how it does, over the partitions that this node owns.
type target struct {
	Target
	mu      sync.Mutex
	sending int             // Sends under way
	closed  bool            // no other one begins
	idle    chan struct{}   // is closed when it is closed and nothing is under way
	behind  map[int32]int64 // offsets, by partition
	failing map[int32]trouble
	refused int       // lines that nobody was told of
	told    time.Time // when somebody was told of refused lines last
}

type trouble struct {
	err   error
	since time.Time
}

// New checks the options and starts nothing.
func New(o Options) (*Ship, error) {
	if o.Log == nil || len(o.Targets) == 0 {
		return nil, errors.New("ship needs a log and targets")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Linger == 0 {
		o.Linger = 200 * time.Millisecond
	}
	s := &Ship{log: o.Log, linger: o.Linger, look: lookEvery, ask: askEvery, logger: o.Logger}
	for _, t := range o.Targets {
		if t.Name == "" || t.Sink == nil || slices.ContainsFunc(s.targets, func(o *target) bool { return o.Name == t.Name }) {
			return nil, fmt.Errorf("sink %q has no place or no name of its own", t.Name)
		}
		s.targets = append(s.targets, &target{Target: t, behind: map[int32]int64{}, failing: map[int32]trouble{}, idle: make(chan struct{})})
	}
	var err error
	if s.metrics, err = newMetrics(s, o.Metrics); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

// Topic is whose partitions share the lines out.
func (s *Ship) Topic() string { return function.TopicLogs }

// Keep ships the lines of one partition until ctx is done.
func (s *Ship) Keep(ctx context.Context, own eventlog.Owned) error {
	keys, err := keysIn(ctx, s.log, own.Partition)
	if err != nil {
		return err
	}
	known, err := recall(ctx, s.log, keys)
	if err != nil {
		return err
	}
	g, within := errgroup.WithContext(ctx)
	for _, t := range s.targets {
		g.Go(func() error {
			defer t.leave(own.ID)
			c := &carrier{ship: s, target: t, at: own.Partition, keys: keys, commit: own.Commit}
			return c.run(within, known)
		})
	}
	err = g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// closing is how long Close waits for a Send that a Keep has left behind which did not end in time.
const closing = 5 * time.Second

// Close closes the sinks. Keep has returned, or was left behind: what it sends then is waited for, and nothing more is sent. A sink that still takes lines after
// five seconds is not closed under them; what it has open ends with the process.
func (s *Ship) Close() error {
	late := time.NewTimer(closing)
	defer late.Stop()
	var all []error
	for _, t := range s.targets {
		select {
		case <-t.end():
			if err := t.Sink.Close(); err != nil {
				all = append(all, fmt.Errorf("close sink %s: %w", t.Name, err))
			}
		case <-late.C:
			late.Reset(0) // the others have had their time too
			all = append(all, fmt.Errorf("close sink %s: it still takes lines", t.Name))
		}
	}
	return errors.Join(all...)
}

// errClosed is what is answered to who would send to a sink that was closed.
var errClosed = errors.New("the sink is closed")

// send is Sink.Send, which is not called any more when the sink is about to be closed.
func (t *target) send(ctx context.Context, lines []Line) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return errClosed
	}
	t.sending++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.sending--; t.closed && t.sending == 0 {
			close(t.idle)
		}
	}()
	return t.Sink.Send(ctx, lines)
}

// end lets no other Send begin. The channel is closed when none is under way.
func (t *target) end() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		if t.sending == 0 {
			close(t.idle)
		}
	}
	return t.idle
}

// State is how a sink does on this node.
type State struct {
	Name    string
	Behind  int64 // offsets that it has not got yet
	Failing error // what its last try met; nil = it takes lines
	Since   time.Time
}

// States are how the sinks do, in the order of their configuration.
func (s *Ship) States() []State {
	var all []State
	for _, t := range s.targets {
		all = append(all, t.state())
	}
	return all
}

func (t *target) state() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	state := State{Name: t.Name}
	for _, n := range t.behind {
		state.Behind += n
	}
	for _, f := range t.failing {
		if state.Failing == nil || f.since.Before(state.Since) {
			state.Failing, state.Since = f.err, f.since
		}
	}
	return state
}

func (t *target) lag(partition int32, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behind[partition] = n
}

// fails notes what a try met, and says whether it is the first of the sink's partitions to fail.
func (t *target) fails(partition int32, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := len(t.failing) == 0
	f, known := t.failing[partition]
	if !known {
		f.since = time.Now()
	}
	f.err = err
	t.failing[partition] = f
	return first
}

// does notes that lines were taken, and says whether the sink has failed before and no partition's try fails any more.
func (t *target) does(partition int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, failed := t.failing[partition]
	delete(t.failing, partition)
	return failed && len(t.failing) == 0
}

// tellEvery is how often a sink's refusals are told of at most.
const tellEvery = time.Minute

// refuses notes that n lines were refused, and says whether it is time to tell of them, and of all since the last time.
func (t *target) refuses(n int, now time.Time) (all int, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused += n
	if !t.told.IsZero() && now.Sub(t.told) < tellEvery {
		return 0, false
	}
	all, t.refused, t.told = t.refused, 0, now
	return all, true
}

// leave forgets a partition that is no longer this node's.
func (t *target) leave(partition int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.behind, partition)
	delete(t.failing, partition)
}
