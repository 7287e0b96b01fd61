// Package catalog is the fold over _dalamb.control: functions, versions, aliases, triggers and the match set that follows from
// them, in memory on every node. It does not decide whether a change is wise (api and deliver do), and holds no other state.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// control is the one partition that orders all changes of the platform.
var control = eventlog.Partition{Topic: function.TopicControl, ID: 0}

// snapshotEvery is how many control events may have to be folded again at start.
const snapshotEvery = 1024

// Store keeps one snapshot, whole or not at all.
type Store interface {
	// Load returns what was saved last; an error, or nothing, means that there is none.
	Load() ([]byte, error)
	Save(data []byte) error
}

// Options of New.
type Options struct {
	Log      eventlog.Log
	Snapshot Store // where the snapshot is kept; nil = fold from the beginning at every start
	Logger   *slog.Logger
	Now      func() time.Time // nil = time.Now
}

// Catalog keeps the fold up to date and publishes it as immutable views. Safe for concurrent use.
type Catalog struct {
	log      eventlog.Log
	snapshot Store
	logger   *slog.Logger
	now      func() time.Time

	view atomic.Pointer[View]

	mu       sync.Mutex
	changed  chan struct{}  // closed and replaced when a view is published
	rejected map[int64]bool // offsets whose own expectation was not so, until their Submit has seen it
	waiting  int            // Submits under way; with none, rejected is emptied
}

// New checks the options; Run starts the fold.
func New(o Options) (*Catalog, error) {
	if o.Log == nil {
		return nil, errors.New("catalog needs a log")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Catalog{
		log: o.Log, snapshot: o.Snapshot, logger: o.Logger, now: o.Now,
		changed: make(chan struct{}), rejected: map[int64]bool{},
	}
	c.view.Store(newState().publish(nil))
	return c, nil
}

// Run folds the control topic until ctx is done or the log fails. A log that is not there for a moment is waited for. On the way out
// it writes a snapshot.
func (c *Catalog) Run(ctx context.Context) error {
	var s *state
	err := c.patiently(ctx, func() (err error) {
		s, err = c.load(ctx)
		return err
	})
	if err != nil {
		return unlessDone(ctx, err)
	}
	c.publish(s)
	saved := s.offset
	for {
		var records []eventlog.Record
		err := c.patiently(ctx, func() (err error) {
			records, err = c.log.Read(ctx, control, s.offset, eventlog.ReadOptions{})
			return err
		})
		if err != nil {
			c.save(s)
			return unlessDone(ctx, fmt.Errorf("read %s: %w", control.Topic, err))
		}
		lost := s.foldAll(records, c.logger)
		c.note(lost)
		c.publish(s)
		if s.offset-saved >= snapshotEvery {
			c.save(s)
			saved = s.offset
		}
	}
}

// retryWait is how long the fold waits for a log that is not there before it asks again.
const retryWait = time.Second

// patiently repeats a call for as long as the log is merely not there just now.
func (c *Catalog) patiently(ctx context.Context, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		if err == nil || ctx.Err() != nil || !eventlog.Passing(err) {
			return err
		}
		if n == 0 {
			c.logger.Warn("the catalog waits for the log", "err", err)
		}
		select {
		case <-time.After(retryWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unlessDone is err, or nil when ctx is done: to be stopped is no error.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c *Catalog) note(lost []rejection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == 0 {
		return
	}
	for _, r := range lost {
		if r.own {
			c.rejected[r.offset] = true
		}
	}
}

func (c *Catalog) publish(s *state) {
	c.view.Store(s.publish(c.view.Load()))
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// View returns the newest view. It never blocks; the view never changes.
func (c *Catalog) View() *View { return c.view.Load() }

// Changed returns a channel that is closed when a newer view than the one at the call has been published.
func (c *Catalog) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *Catalog) asFold() eventlog.Fold {
	return eventlog.Fold{Log: c.log, Partition: control, Next: func() int64 { return c.View().Offset }, Changed: c.Changed}
}

// Wait blocks until the fold has passed the control event at offset.
func (c *Catalog) Wait(ctx context.Context, offset int64) error { return c.asFold().Wait(ctx, offset) }

// CatchUp blocks until the fold has reached the end that the control topic had at the call.
func (c *Catalog) CatchUp(ctx context.Context) error { return c.asFold().CatchUp(ctx) }

func changedMeanwhile(subject string) error {
	return fault.New(fault.Conflict, "%s was changed by somebody else at the same time", entityName(subject)).
		WithHint("look at it again, then repeat the command")
}

// entityName is what a control event is about, for people.
func entityName(subject string) string {
	if kind, name, ok := strings.Cut(subject, "/"); ok {
		return fmt.Sprintf("%s %q", kind, name)
	}
	return fmt.Sprintf("function %q", subject)
}
