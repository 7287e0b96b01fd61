// Package discovery knows who serves what besides functions: instances of services that register themselves, and whether they are well. It
// does not send requests to them, but for checks.
//
// The state is a fold over _dalamb.services, which every node keeps in memory: who is registered, and which of them are healthy, as far as that
// has changed. The topic is compacted: of an instance the log keeps the newest registration and the newest change, until it is taken away. Heartbeats are
// not events. On a log of one node they are remembered by that node alone; where several nodes share a log, whoever takes a heartbeat stores it when the last that was
// stored is half a time to live old, so that the others know of it. A node that starts gives everybody a time to live from then on.
//
// Whether an instance has missed its time, or fails its checks, is decided by the owner of the topic's one partition.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// partition is the one that orders all that happens to services.
var partition = eventlog.Partition{Topic: function.TopicServices}

// Options of New. Log is required.
type Options struct {
	Log    eventlog.Log
	Probe  func(ctx context.Context, r *function.Registration) error // one check of an instance; nil = as the registration says
	Logger *slog.Logger
	Now    func() time.Time
}

// Discovery keeps the fold, and acts as its owner. Safe for concurrent use.
type Discovery struct {
	o      Options
	shared bool // other nodes may have the log open
	view   atomic.Pointer[View]

	mu      sync.Mutex
	changed chan struct{}    // closed and replaced when a view is published
	seen    map[key]evidence // when this node last knew that an instance lives
}

// key names an instance.
type key struct{ service, instance string }

// evidence is that the instance of a registration lived.
type evidence struct {
	id string
	at time.Time
}

// New checks the options and starts nothing.
func New(o Options) (*Discovery, error) {
	if o.Log == nil {
		return nil, errors.New("discovery needs a log")
	}
	if o.Probe == nil {
		o.Probe = newProber().probe
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Discovery{o: o, changed: make(chan struct{}), seen: map[key]evidence{}}
	if s, ok := o.Log.(eventlog.Sharer); ok {
		d.shared = s.Shared()
	}
	d.view.Store(newState().publish())
	return d, nil
}

// View is the newest view. It never blocks; the view never changes.
func (d *Discovery) View() *View { return d.view.Load() }

// Changed returns a channel that is closed when a newer view than the one at the call has been published.
func (d *Discovery) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// retryWait is how long the fold waits for a log that is not there before it asks again.
const retryWait = time.Second

// Run folds the topic until ctx is done or the log fails. A log that is not there for a moment is waited for.
func (d *Discovery) Run(ctx context.Context) error {
	s := newState()
	for waits := false; ; {
		b, err := d.o.Log.Bounds(ctx, partition)
		if err == nil {
			s.offset, s.known, s.began = b.Start, b.Start, b.End
			break
		}
		if waits, err = d.passing(ctx, err, waits); err != nil || ctx.Err() != nil {
			return err
		}
	}
	for waits := false; ; {
		records, err := d.o.Log.Read(ctx, partition, s.offset, eventlog.ReadOptions{})
		if err == nil {
			d.fold(s, records)
			waits = false
			continue
		}
		if waits, err = d.passing(ctx, err, waits); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// passing waits where an error says that the log is merely not there just now; another error it gives back. said is whether that was logged.
func (d *Discovery) passing(ctx context.Context, cause error, said bool) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return said, nil
	case !eventlog.Passing(cause):
		return said, fmt.Errorf("read %s: %w", partition.Topic, cause)
	case !said:
		d.o.Logger.Warn("the fold of services waits for the log", "err", cause)
	}
	select {
	case <-time.After(retryWait):
	case <-ctx.Done():
	}
	return true, nil
}

func (d *Discovery) fold(s *state, records []eventlog.Record) {
	live := map[key]string{} // registration id
	for i := range records {
		k, id, err := s.fold(&records[i])
		switch {
		case err != nil:
			d.o.Logger.Error("record of services is skipped", "topic", partition.Topic, "offset", records[i].Offset, "err", err)
		case k != key{}:
			live[k] = id
		}
	}
	d.view.Store(s.publish())
	now := d.o.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, id := range live {
		if id == "" {
			delete(d.seen, k)
		} else {
			d.seen[k] = evidence{id: id, at: now}
		}
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Discovery) asFold() eventlog.Fold {
	return eventlog.Fold{Log: d.o.Log, Partition: partition, Next: func() int64 { return d.View().Offset }, Changed: d.Changed}
}

// CatchUp blocks until the fold has reached the end that the topic had at the call.
func (d *Discovery) CatchUp(ctx context.Context) error { return d.asFold().CatchUp(ctx) }

// maxInstances bounds the instances: every node holds them all.
const maxInstances = 10_000

// Register makes an instance known, or puts another registration in the place of its own, and blocks until that is durable and folded. What says the same as before
// is a heartbeat.
func (d *Discovery) Register(ctx context.Context, r function.Registration) (function.ServiceInstance, error) {
	if err := r.Validate(); err != nil {
		return function.ServiceInstance{}, err
	}
	view := d.View()
	old, there := view.Instance(r.Service, r.Instance)
	if there && old.Same(&r) {
		return d.beat(ctx, old)
	}
	if !there && view.Instances >= maxInstances {
		return function.ServiceInstance{}, fault.New(fault.Exhausted, "%d instances of services are registered already: %s/%s is one too many", view.Instances, r.Service, r.Instance).
			WithHint("take those away that are no more: DELETE /v1/services/NAME/INSTANCE")
	}
	return d.store(ctx, key{r.Service, r.Instance}, registered(r, d.o.Now()))
}

// beat takes a sign of life.
func (d *Discovery) beat(ctx context.Context, i function.ServiceInstance) (function.ServiceInstance, error) {
	if i.TTL == 0 {
		return i, nil
	}
	k, now := key{i.Service, i.Instance}, d.o.Now()
	d.mu.Lock()
	last := d.seen[k]
	stale := last.id != i.ID || now.Sub(last.at) >= i.TTL.Std()/2
	if last.id == i.ID && !d.shared && i.Healthy {
		d.seen[k] = evidence{id: i.ID, at: now}
	}
	d.mu.Unlock()
	if i.Healthy && !(d.shared && stale) {
		return i, nil
	}
	return d.store(ctx, k, healthChanged(&i, "", now))
}

// store appends what is known of an instance from now on, and gives it as it is folded.
func (d *Discovery) store(ctx context.Context, k key, r eventlog.Record) (function.ServiceInstance, error) {
	if err := d.append(ctx, r); err != nil {
		return function.ServiceInstance{}, err
	}
	i, there := d.View().Instance(k.service, k.instance)
	if !there {
		return function.ServiceInstance{}, fault.New(fault.Conflict, "%s/%s was taken away by somebody else at the same time", k.service, k.instance)
	}
	return i, nil
}

func (d *Discovery) append(ctx context.Context, rs ...eventlog.Record) error {
	at, err := d.o.Log.Append(ctx, rs)
	if err != nil {
		return fmt.Errorf("append to %s: %w", partition.Topic, err)
	}
	return d.asFold().Wait(ctx, at[len(at)-1].Offset)
}

// Deregister takes an instance away.
func (d *Discovery) Deregister(ctx context.Context, service, instance string) error {
	if _, there := d.View().Instance(service, instance); !there {
		s, err := d.View().Service(service)
		if err != nil {
			return err
		}
		return fault.Missing("instance of "+service, instance, s.names())
	}
	return d.append(ctx, gone(key{service, instance})...)
}
