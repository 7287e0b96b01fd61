// Package idempotency remembers which requests have been run under a key of their client's, and what was answered, so that a request that comes
// again is not run again. It does not know what a request is, or which answers are worth keeping; the gateway does.
//
// The state is a fold over _dalamb.idempotency, of which every node keeps an index in memory; the answers stay in the log. Who wants to run a
// request appends a claim first and looks, when the fold has come to it, whether it holds: of two the first by offset does, whichever nodes made
// them. What ends a claim is its answer, or a tombstone that makes the key free. A claim of which neither comes is over with its deadline, or at
// once where its node is known to be gone: on a log that no other node has open that is every node before this one. So a request of a killed node
// may be run again, and a request whose answer is in the log is not, until the answer expires.
//
// The key of a record names the claim too: compaction puts an answer in the place of its own claim, and no claim that did not hold in the place of
// an answer.
package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Partitions of the topic. All nodes find a key in the same one, so those that somebody adds are not used.
const Partitions = 8

// maxKeys bounds the index of one partition, to about 100 bytes each. Of more keys the oldest are forgotten, and may be run again.
const maxKeys = 1 << 17

// awayWait is how long a log that is away is left alone.
const awayWait = time.Second

// Options of New. Log is required.
type Options struct {
	Log     eventlog.Log
	MaxKeys int // of one partition; 0 = maxKeys
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil = counted, not shown
	Now     func() time.Time
}

// Keys are those that were used. Safe for concurrent use.
type Keys struct {
	o         Options
	shared    bool   // other nodes may have the log open
	node      string // of this start of the node
	parts     [Partitions]*part
	forgotten prometheus.Counter
}

// part is one partition's share.
type part struct {
	partition eventlog.Partition
	ready     chan struct{} // closed when the fold has passed what was there when it began

	mu      sync.Mutex
	state   *state
	waiting map[string]chan bool // by the id of a claim that was appended, or answered, here: whether that holds
}

// New checks the options and starts nothing; Run must be running for keys to be found.
func New(o Options) (*Keys, error) {
	if o.Log == nil {
		return nil, errors.New("idempotency needs a log")
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = maxKeys
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keys{o: o, node: event.NewID(), forgotten: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dalamb_idempotency_forgotten_total", Help: "Idempotency keys that this node forgot before their time, because there were too many.",
	})}
	for id := range k.parts {
		k.parts[id] = &part{
			partition: eventlog.Partition{Topic: function.TopicIdempotency, ID: int32(id)}, ready: make(chan struct{}),
			state: newState(o.MaxKeys), waiting: map[string]chan bool{},
		}
	}
	if s, ok := o.Log.(eventlog.Sharer); ok {
		k.shared = s.Shared()
	}
	if o.Metrics != nil {
		if err := o.Metrics.Register(k.forgotten); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return k, nil
}

// Run folds the topic until ctx is done or the log fails. A log that is away is waited for.
func (k *Keys) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range k.parts {
		g.Go(func() error { return k.follow(ctx, p) })
	}
	return g.Wait()
}

// follow folds one partition.
func (k *Keys) follow(ctx context.Context, p *part) error {
	next, away := int64(0), false
	for ready := false; ; {
		var err error
		if !ready {
			next, err = eventlog.ReadAll(ctx, k.o.Log, p.partition, func(r *eventlog.Record) error { k.take(p, r); return nil })
		} else {
			next, err = k.read(ctx, p, next)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if away = false; !ready {
				close(p.ready)
				ready = true
			}
			continue
		case !eventlog.Passing(err):
			return err
		case !away:
			k.o.Logger.Warn("requests with idempotency keys wait for the log", "topic", p.partition.Topic, "partition", p.partition.ID, "err", err)
		}
		away = true
		select {
		case <-time.After(awayWait):
		case <-ctx.Done():
		}
	}
}

// read folds what comes next, and returns the offset to go on from.
func (k *Keys) read(ctx context.Context, p *part, next int64) (int64, error) {
	records, err := k.o.Log.Read(ctx, p.partition, next, eventlog.ReadOptions{})
	if err != nil {
		return next, fmt.Errorf("read %s/%d: %w", p.partition.Topic, p.partition.ID, err)
	}
	for i := range records {
		k.take(p, &records[i])
	}
	return records[len(records)-1].Offset + 1, nil
}

// take folds one record, and tells who has appended it here whether it holds.
func (k *Keys) take(p *part, r *eventlog.Record) {
	digest, claim, rec, err := decode(r)
	if err != nil {
		k.o.Logger.Warn("skip an idempotency key that cannot be read", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if rec == nil {
		p.state.free(digest, claim)
		return
	}
	holds := p.state.fold(digest, rec, r.Offset)
	if n := p.state.forget(rec.At); n > 0 {
		k.forgotten.Add(float64(n))
	}
	told, ours := p.waiting[claim]
	if ours {
		delete(p.waiting, claim)
		told <- holds
		return
	}
	if holds && rec.Answer == nil && rec.Node == k.node {
		p.state.keys[digest].open.giveUp() // who made it was told that the log does not take it, or waited no longer
	}
}
