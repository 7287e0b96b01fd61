// Package copier copies topics: each partition of one to the partition of the same number of another, of the same log or of another
// one, exactly once. It does not decide which; the catalog has the copies that are wanted.
//
// The copies are shared out over the partitions of _dalamb.jobs. Who owns one joins a group on the log that is copied to, which gives it
// the partitions of the topic there, and stores records together with how far it is in one transaction, fenced by that ownership. How far
// a partition is stands in _dalamb.copies of that log under the ids of both topics: whatever ends a copy, the same copy goes on there.
//
// Each record gets a header that says where it comes from. By it a position in the one topic is found in the other.
package copier

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Catalog is what copier needs of the catalog.
type Catalog interface {
	View() *catalog.View
	// Changed returns a channel that is closed when there is a newer view.
	Changed() <-chan struct{}
	// CatchUp blocks until the view has all that was decided before the call.
	CatchUp(ctx context.Context) error
	Submit(ctx context.Context, ch catalog.Change) (*catalog.View, error)
}

// Logs opens other logs than the node's own.
type Logs interface {
	// Address checks the address of a log and returns it as it can be stored: without a password.
	Address(text string) (string, error)
	// Open does not wait for the log. The caller closes it.
	Open(address string) (eventlog.Log, error)
}

// Options of New. Log, Catalog and Logs are required.
type Options struct {
	Log     eventlog.Log
	Catalog Catalog
	Logs    Logs
	Logger  *slog.Logger
}

// Copier copies topics. It is a dispatch.Duty. Safe for concurrent use.
type Copier struct {
	log     eventlog.Log
	catalog Catalog
	logs    Logs
	logger  *slog.Logger

	mu   sync.Mutex
	open map[string]*other // by address
}

// New checks the options.
func New(o Options) (*Copier, error) {
	if o.Log == nil || o.Catalog == nil || o.Logs == nil {
		return nil, errors.New("copier needs a log, a catalog and other logs")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Copier{log: o.Log, catalog: o.Catalog, logs: o.Logs, logger: o.Logger, open: map[string]*other{}}, nil
}

// Topic is whose partitions share out the copies.
func (c *Copier) Topic() string { return function.TopicJobs }

// work is a copy that is being carried out.
type work struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *work) stop() {
	w.cancel()
	<-w.done
}

// Keep carries out the copies of one partition until ctx is done.
func (c *Copier) Keep(ctx context.Context, own eventlog.Owned) error {
	// By an older view than the last owner's, copies that are over would go on.
	if err := c.catalog.CatchUp(ctx); err != nil {
		return err
	}
	jobs, err := findTopic(ctx, c.log, function.TopicJobs)
	if err != nil {
		return err
	}
	under := map[string]*work{}
	defer func() {
		for _, w := range under {
			w.cancel()
		}
		for _, w := range under {
			<-w.done
		}
	}()
	for {
		changed := c.catalog.Changed()
		wanted := map[string]bool{}
		for _, one := range c.catalog.View().Copies() {
			if one.Ended != nil || share(one.Name, jobs.Partitions) != own.ID {
				continue
			}
			wanted[one.Name] = true
			if under[one.Name] == nil {
				under[one.Name] = c.start(ctx, one)
			}
		}
		for name, w := range under {
			if !wanted[name] {
				w.stop()
				delete(under, name)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// share is the partition of _dalamb.jobs that a copy belongs to.
func share(name string, of int32) int32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int32(h.Sum64() % uint64(of))
}

func (c *Copier) start(ctx context.Context, one *catalog.Copy) *work {
	ctx, cancel := context.WithCancel(ctx)
	w := &work{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		c.carry(ctx, one)
	}()
	return w
}

// How long a copy waits before it is tried again.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

// carry tries a copy until it is over, and has the catalog know that.
func (c *Copier) carry(ctx context.Context, one *catalog.Copy) {
	wait := firstPause
	for {
		began := time.Now()
		err := c.once(ctx, one)
		if ctx.Err() != nil {
			return
		}
		if err == nil || !passing(err) {
			end := catalog.EndCopy{Name: one.Name, State: function.CopyFinished}
			if err != nil {
				end.State, end.Reason = function.CopyFailed, err.Error()
			}
			if _, err = c.catalog.Submit(ctx, end); err == nil || fault.KindOf(err) == fault.Conflict {
				return
			}
		}
		if time.Since(began) > longestPause {
			wait = firstPause
		}
		c.logger.Warn("a copy waits", "copy", one.Name, "topic", one.From, "err", err)
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, longestPause)
	}
}

// passing says whether a copy that met the error is tried again by itself.
func passing(err error) bool {
	return errors.Is(err, eventlog.ErrFenced) || errors.Is(err, context.Canceled) || eventlog.Passing(err)
}

// findTopic looks a topic up, or says NotFound with the nearest names.
func findTopic(ctx context.Context, log eventlog.Log, name string) (eventlog.Topic, error) {
	topics, err := log.Topics(ctx)
	if err != nil {
		return eventlog.Topic{}, err
	}
	var names []string
	for _, t := range topics {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return eventlog.Topic{}, eventlog.MissingTopic(name, names)
}
