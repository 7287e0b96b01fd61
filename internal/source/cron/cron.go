// Package cron is the source of ticks: it makes an event of each planned time of each schedule in the catalog, once in the whole
// installation. It does not run functions: a tick is an event in _dalamb.ticks, which dispatch matches to its trigger as any other.
//
// The schedules are shared out over the partitions of _dalamb.jobs. Who owns one makes its ticks, and stores them with how far the
// schedule is in one transaction, which is fenced by that ownership. The id of a tick is a hash of the schedule's plan and the planned time,
// so it is the same whoever makes it.
//
// What is planned is fixed by the catalog alone; only when it is made depends on a clock. A clock that is set back makes
// nothing again: how far a schedule is never goes back. One that is set forward looks like a time without nodes.
package cron

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Catalog is what cron needs of the catalog.
type Catalog interface {
	View() *catalog.View
	// Changed returns a channel that is closed when there is a newer view.
	Changed() <-chan struct{}
	// CatchUp blocks until the view has all that was decided before the call.
	CatchUp(ctx context.Context) error
}

// Options of New. Log and Catalog are required.
type Options struct {
	Log     eventlog.Log
	Catalog Catalog
	Now     func() time.Time
	Logger  *slog.Logger
}

// Cron makes ticks. It is a dispatch.Duty. Safe for concurrent use.
type Cron struct {
	log     eventlog.Log
	catalog Catalog
	now     func() time.Time
	logger  *slog.Logger
}

// New checks the options.
func New(o Options) (*Cron, error) {
	if o.Log == nil || o.Catalog == nil {
		return nil, errors.New("cron needs a log and a catalog")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Cron{log: o.Log, catalog: o.Catalog, now: o.Now, logger: o.Logger}, nil
}

// Topic is whose partitions share out the schedules.
func (c *Cron) Topic() string { return function.TopicJobs }

const (
	longestNap = 10 * time.Second // so that a clock that was set is noticed
	mostTicks  = 500              // in one transaction
	// grace is how late the newest planned time may be for catchUp none: a restart, or a partition that moves, is no miss.
	grace = time.Minute
)

// Keep makes the ticks of the schedules of one partition until ctx is done.
func (c *Cron) Keep(ctx context.Context, own eventlog.Owned) error {
	// By an older view than the last owner's, schedules that are gone would tick again.
	if err := c.catalog.CatchUp(ctx); err != nil {
		return err
	}
	topic, err := c.jobs(ctx)
	if err != nil {
		return err
	}
	k := &keeper{Cron: c, own: own, keys: keysOf(topic.ID, own.ID), of: topic.Partitions}
	if k.known, err = recall(ctx, c.log, k.keys); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := c.catalog.Changed()
		nap, err := k.round(ctx)
		if err != nil {
			return err
		}
		timer.Reset(nap)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Cron) jobs(ctx context.Context) (eventlog.Topic, error) {
	topics, err := c.log.Topics(ctx)
	if err != nil {
		return eventlog.Topic{}, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name == function.TopicJobs {
			return t, nil
		}
	}
	return eventlog.Topic{}, fmt.Errorf("topic %s is not there", function.TopicJobs)
}

// Last returns when each trigger's schedule has made its newest tick, by the plan's id.
func (c *Cron) Last(ctx context.Context) (map[int64]time.Time, error) {
	topic, err := c.jobs(ctx)
	if err != nil {
		return nil, err
	}
	last := map[int64]time.Time{}
	for id := range topic.Partitions {
		known, err := recall(ctx, c.log, keysOf(topic.ID, id))
		if err != nil {
			return nil, err
		}
		for plan, p := range known {
			if !p.Ticked.IsZero() {
				last[plan] = p.Ticked
			}
		}
	}
	return last, nil
}

// keeper is one partition's part in the schedules. One goroutine owns it.
type keeper struct {
	*Cron
	own   eventlog.Owned
	keys  keys
	of    int32 // partitions that share the schedules
	known map[int64]progress
}

// share is the partition that a plan belongs to.
func share(plan int64, of int32) int32 {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(plan)))
	return int32(h.Sum64() % uint64(of))
}

// round makes what is due and returns how long there is nothing to do unless the catalog changes.
func (k *keeper) round(ctx context.Context) (time.Duration, error) {
	now := k.now()
	next := now.Add(longestNap)
	current := map[int64]bool{}
	var b batch
	for _, f := range k.catalog.View().Functions() {
		for _, t := range f.Triggers {
			if t.Plan == nil || share(t.Plan.ID, k.of) != k.own.ID {
				continue
			}
			current[t.Plan.ID] = true
			if t.Paused {
				continue
			}
			due, err := k.one(ctx, &b, t, now)
			if err != nil {
				return 0, err
			}
			if !due.IsZero() && due.Before(next) {
				next = due
			}
		}
	}
	for plan := range k.known {
		if !current[plan] { // removed or changed
			b.records = append(b.records, k.keys.record(plan, nil))
			b.gone = append(b.gone, plan)
		}
	}
	if err := k.store(ctx, &b); err != nil {
		return 0, err
	}
	return max(0, next.Sub(k.now())), nil
}

// batch is what the next commit stores.
type batch struct {
	records []eventlog.Record
	moved   map[int64]progress
	gone    []int64
}

func (b *batch) move(plan int64, p progress) {
	if b.moved == nil {
		b.moved = map[int64]progress{}
	}
	b.moved[plan] = p
}

// store commits a batch and empties it.
func (k *keeper) store(ctx context.Context, b *batch) error {
	for _, plan := range slices.Sorted(maps.Keys(b.moved)) {
		value, err := b.moved[plan].encode()
		if err != nil {
			return err
		}
		b.records = append(b.records, k.keys.record(plan, value))
	}
	if len(b.records) == 0 {
		return nil
	}
	if _, err := k.own.Commit(ctx, b.records); err != nil {
		return fmt.Errorf("store ticks: %w", err)
	}
	for plan, p := range b.moved {
		k.known[plan] = p
	}
	for _, plan := range b.gone {
		delete(k.known, plan)
	}
	*b = batch{}
	return nil
}

// one puts what is due of one schedule into the batch, and returns when the next is due; zero = never.
func (k *keeper) one(ctx context.Context, b *batch, t *catalog.Trigger, now time.Time) (time.Time, error) {
	plan, err := t.Trigger.Plan()
	if err != nil {
		return time.Time{}, nil // accepted by a newer binary; a node that knows it will make its ticks
	}
	p := k.known[t.Plan.ID]
	if p.Planned.IsZero() {
		p.Planned = t.Plan.From
	}
	jitter := func(at time.Time) time.Time { return at.Add(late(t.Plan.ID, at, t.Jitter.Std())) }
	next := plan.Next(t.Plan.From, p.Planned)
	if next.IsZero() || jitter(next).After(now) {
		if next.IsZero() {
			return next, nil
		}
		return jitter(next), nil
	}
	// What is surely due, and then, one by one, what may have been put off.
	due := plan.Due(t.Plan.From, p.Planned, now.Add(-t.Jitter.Std()), function.MaxCatchUp)
	reached := p.Planned
	if n := len(due.Newest); n > 0 {
		reached = due.Newest[n-1]
	}
	next = plan.Next(t.Plan.From, reached)
	for ; !next.IsZero() && !jitter(next).After(now); next = plan.Next(t.Plan.From, next) {
		due.Newest = append(due.Newest, next)
		due.Count++
	}
	made := k.made(t, due.Newest, now.Add(-grace))
	missed := due.Count - len(made)
	p.Missed += missed
	if missed > 0 {
		k.logger.Warn("planned times were missed", "function", t.Function, "trigger", t.Name, "count", missed)
	}
	for _, at := range made {
		r, err := tick(t, at, now, p.Missed)
		if err != nil {
			return time.Time{}, err
		}
		b.records = append(b.records, r)
		p.Planned, p.Ticked, p.Missed = at, at, 0
		b.move(t.Plan.ID, p)
		if len(b.records) >= mostTicks {
			if err := k.store(ctx, b); err != nil {
				return time.Time{}, err
			}
		}
	}
	p.Planned = due.Newest[len(due.Newest)-1]
	b.move(t.Plan.ID, p)
	if next.IsZero() {
		return next, nil
	}
	return jitter(next), nil
}

// made are those of the planned times that are due of which ticks are made.
func (k *keeper) made(t *catalog.Trigger, due []time.Time, oldest time.Time) []time.Time {
	newest := due[len(due)-1:]
	switch {
	case t.CatchUp == function.CatchUpAll:
		return due[max(0, len(due)-function.MaxCatchUp):]
	case t.CatchUp == function.CatchUpNone && newest[0].Add(t.Jitter.Std()).Before(oldest):
		return nil
	}
	return newest
}

// late is how much a tick is put off: the same whoever makes it.
func late(plan int64, at time.Time, jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return 0
	}
	sum := identity("jitter", plan, at)
	return time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(jitter))
}

func identity(what string, plan int64, at time.Time) [sha256.Size]byte {
	b := append([]byte(what), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(plan))
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli())))
}

// tickID is a UUID of version 8, RFC 9562.
func tickID(plan int64, at time.Time) string {
	sum := identity("tick", plan, at)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func tick(t *catalog.Trigger, at, now time.Time, missed int) (eventlog.Record, error) {
	data, err := json.Marshal(function.Tick{
		Scheduled: at.UTC(), Fired: now.UTC(), Schedule: t.Schedule, Timezone: t.Timezone, Missed: missed,
	})
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("encode a tick: %w", err)
	}
	return eventlog.FromEvent(function.TopicTicks, &event.Event{
		ID: tickID(t.Plan.ID, at), Source: "/dalamb/schedules", Type: event.TypeScheduleTicked,
		Subject: function.TickSubject(t.Function, t.Name), Time: at.UTC(), DataContentType: "application/json", Data: data,
	}), nil
}
