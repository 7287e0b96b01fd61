// Package purge follows the log for what empties the caches of routes: events that a route names, and what people ask for. Every node follows for
// itself, from the moment at which it starts. It keeps no answers; the gateway does.
package purge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Caches are those of this node. A trigger or a path that is "" means all; what is not there is nothing to empty.
type Caches interface {
	Purge(function, trigger, path string)
}

// Catalog tells which routes have caches.
type Catalog interface {
	View() *catalog.View
	Changed() <-chan struct{}
}

// Log is what is followed.
type Log interface {
	Topics(ctx context.Context) ([]eventlog.Topic, error)
	Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error)
	Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error)
}

// Options of New. Log, Catalog and Caches are required.
type Options struct {
	Log     Log
	Catalog Catalog
	Caches  Caches
	Logger  *slog.Logger
}

// Follower empties caches. Safe for concurrent use.
type Follower struct {
	Options

	mu    sync.Mutex
	rules *ruleSet
	reads map[eventlog.Partition]bool
}

// How often new partitions are looked for, and how long a log that is away is left alone.
const (
	surveyEvery = 10 * time.Second
	awayWait    = time.Second
)

// New checks the options and starts nothing.
func New(o Options) (*Follower, error) {
	if o.Log == nil || o.Catalog == nil || o.Caches == nil {
		return nil, errors.New("purge needs a log, a catalog and caches")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Follower{Options: o, reads: map[eventlog.Partition]bool{}}, nil
}

// Run follows until ctx is done. A log that is away is waited for.
func (f *Follower) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		tick := time.NewTicker(surveyEvery)
		defer tick.Stop()
		for {
			changed := f.Catalog.Changed()
			fresh, err := f.survey(ctx)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil && !eventlog.Passing(err):
				return err
			case err != nil:
				f.Logger.Warn("caches are not emptied while the log is away", "err", err)
			}
			for _, r := range fresh {
				g.Go(func() error { return r.run(ctx) })
			}
			select {
			case <-changed:
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// survey begins to follow the partitions that nobody follows yet.
func (f *Follower) survey(ctx context.Context) ([]*reader, error) {
	rules := f.rulesNow()
	topics, err := f.Log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var fresh []*reader
	for _, t := range topics {
		if !rules.wants(t.Name) {
			continue
		}
		for id := range t.Partitions {
			p := eventlog.Partition{Topic: t.Name, ID: id}
			f.mu.Lock()
			known := f.reads[p]
			f.mu.Unlock()
			if known {
				continue
			}
			b, err := f.Log.Bounds(ctx, p)
			if err != nil {
				return fresh, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
			}
			f.missed(p.Topic) // what was kept before somebody listened
			f.mu.Lock()
			f.reads[p] = true
			f.mu.Unlock()
			fresh = append(fresh, &reader{f: f, partition: p, topicID: t.ID, next: b.End})
		}
	}
	return fresh, nil
}

// missed empties all that an event of a topic could have emptied.
func (f *Follower) missed(topic string) {
	type route struct{ function, trigger string }
	done := map[route]bool{}
	for _, r := range f.rulesNow().all {
		one := route{r.function, r.trigger}
		if (topic == function.TopicCache || r.topic == topic) && !done[one] {
			done[one] = true
			f.Caches.Purge(r.function, r.trigger, "")
		}
	}
}

// reader follows one partition.
type reader struct {
	f         *Follower
	partition eventlog.Partition
	topicID   string
	next      int64
}

func (r *reader) run(ctx context.Context) error {
	defer func() {
		r.f.mu.Lock()
		defer r.f.mu.Unlock()
		delete(r.f.reads, r.partition)
	}()
	for r.f.rulesNow().wants(r.partition.Topic) {
		records, err := r.f.Log.Read(ctx, r.partition, r.next, eventlog.ReadOptions{TopicID: r.topicID})
		switch {
		case ctx.Err() != nil:
			return nil
		case fault.KindOf(err) == fault.NotFound: // a topic of that name that comes later is another one
			r.f.missed(r.partition.Topic)
			return nil
		case err != nil && !eventlog.Passing(err):
			return fmt.Errorf("read %s/%d: %w", r.partition.Topic, r.partition.ID, err)
		case err != nil:
			select {
			case <-time.After(awayWait):
			case <-ctx.Done():
			}
			continue
		}
		if records[0].Offset > r.next {
			r.f.lost(ctx, r.partition, r.next)
		}
		for i := range records {
			r.f.act(&records[i])
		}
		r.next = records[len(records)-1].Offset + 1
	}
	return nil
}

// lost looks whether retention took events that nobody has read; other gaps have nothing in them.
func (f *Follower) lost(ctx context.Context, p eventlog.Partition, next int64) {
	if b, err := f.Log.Bounds(ctx, p); err != nil || b.Start > next {
		f.missed(p.Topic)
	}
}

// act empties what one record names.
func (f *Follower) act(rec *eventlog.Record) {
	e := eventlog.EventOf(rec)
	if e == nil {
		return
	}
	if rec.Topic == function.TopicCache {
		var said function.CachePurged
		if err := json.Unmarshal(e.Data, &said); err != nil {
			f.Logger.Warn("purge that cannot be read", "topic", rec.Topic, "offset", rec.Offset, "err", err)
			return
		}
		f.Caches.Purge(said.Function, said.Trigger, said.Path)
		return
	}
	for _, r := range f.rulesNow().all {
		if r.topic == rec.Topic && (r.pattern == nil || r.pattern.MatchEvent(e)) {
			f.Caches.Purge(r.function, r.trigger, r.pathOf(e))
		}
	}
}
