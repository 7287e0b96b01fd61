// Package usage counts what functions use: invocations, memory over time, bytes, build time; by the hour, from what the log tells. It does not know prices.
//
// An hour is counted when it is over, from the records that the log has stamped within it, and stored as one transaction: an event for each function, and one
// that says that the hour is complete. So an hour is in the log once or not at all, whatever ends a node, and who owns the first partition of _dalamb.jobs
// next begins with the hour that is missing.
package usage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Catalog is what usage needs of the catalog.
type Catalog interface {
	View() *catalog.View
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

// Keeper counts, and says what was counted. It is a dispatch.Duty. Safe for concurrent use.
type Keeper struct {
	o Options
	// turn is taken by who has put a value in: he owns the folds. Others wait no longer than their contexts.
	turn   chan struct{}
	stored stored
	open   open
}

// New checks the options and starts nothing.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.Catalog == nil {
		return nil, errors.New("usage needs a log and a catalog")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{o: o, turn: make(chan struct{}, 1), stored: stored{most: mostRows}}, nil
}

func (k *Keeper) await(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *Keeper) leave() { <-k.turn }

const (
	// settling is how long after its end an hour is counted: clocks of several nodes differ, and a log's stamps with them.
	settling = 2 * time.Minute
	look     = 30 * time.Second
	// oldest is how far back hours are made up for that nobody has counted: the topics that tell of them are kept for a week.
	oldest = 7 * 24 * time.Hour
)

// Topic is whose first partition's owner counts.
func (k *Keeper) Topic() string { return function.TopicJobs }

func place() eventlog.Partition { return eventlog.Partition{Topic: function.TopicUsage} }

// Keep counts each hour when it is over, until ctx is done, where the partition is the first.
func (k *Keeper) Keep(ctx context.Context, own eventlog.Owned) error {
	if own.ID != 0 {
		<-ctx.Done()
		return nil
	}
	if err := k.o.Catalog.CatchUp(ctx); err != nil {
		return err
	}
	next, last, err := k.resume(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		for !next.Add(time.Hour + settling).After(k.o.Now()) {
			if err := k.store(ctx, own, next, last); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			next = next.Add(time.Hour)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// resume is the first hour that is to be counted, and up to where the hour before was.
func (k *Keeper) resume(ctx context.Context) (next time.Time, last *lack, err error) {
	if err := k.await(ctx); err != nil {
		return next, nil, err
	}
	defer k.leave()
	next, err = k.next(ctx)
	return next, &lack{counted: k.stored.counted}, err
}

// next is the first hour that is not complete in the log. Called by who has the turn.
func (k *Keeper) next(ctx context.Context) (hour time.Time, err error) {
	if err := k.follow(ctx); err != nil {
		return hour, err
	}
	if hour = k.stored.next; hour.IsZero() {
		if hour, err = k.first(ctx); err != nil {
			return hour, err
		}
	}
	if bound := k.o.Now().Add(-oldest).UTC().Truncate(time.Hour); hour.Before(bound) {
		k.o.Logger.Warn("hours were never counted, and the log does not tell of them any more", "from", hour, "to", bound)
		hour = bound
	}
	return hour, nil
}

// first is the hour of the oldest record that tells of usage; this one where there is none.
func (k *Keeper) first(ctx context.Context) (time.Time, error) {
	oldest := k.o.Now()
	ps, err := k.sources(ctx)
	if err != nil {
		return oldest, err
	}
	for _, p := range ps {
		rs, err := k.o.Log.Read(ctx, p, 0, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
		if err != nil {
			return oldest, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) > 0 && rs[0].Time.Before(oldest) {
			oldest = rs[0].Time
		}
	}
	return oldest.UTC().Truncate(time.Hour), nil
}

// store counts an hour and stores it.
func (k *Keeper) store(ctx context.Context, own eventlog.Owned, hour time.Time, last *lack) error {
	complete, err := last.hour(ctx, k, hour, hour.Add(time.Hour)) // before it is read: what goes meanwhile may be lacking, what is gone is
	if err != nil {
		return err
	}
	if complete.Lacking != nil {
		k.o.Logger.Warn("an hour's usage may not be whole: the log has let go of records before they were counted", "hour", hour, "partitions", complete.Lacking)
	}
	all, err := k.count(ctx, hour, hour.Add(time.Hour))
	if err != nil {
		return err
	}
	var records []eventlog.Record
	for _, u := range all {
		r, err := record(event.TypeUsage, u.Hour, u.Function, u)
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	r, err := record(event.TypeUsageCompleted, hour, "", complete)
	if err != nil {
		return err
	}
	if _, err := own.Commit(ctx, append(records, r)); err != nil {
		return fmt.Errorf("store the usage of %s: %w", hour.Format(time.RFC3339), err)
	}
	last.counted = complete.Counted
	return nil
}

// record has the same id whoever makes it.
func record(typ string, hour time.Time, fn string, what any) (eventlog.Record, error) {
	data, err := json.Marshal(what)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("encode usage: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", typ, hour.Unix(), fn))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8, RFC 9562
	e := &event.Event{
		ID:     fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
		Source: "/dalamb/usage", Type: typ, Subject: fn, Time: hour.Add(time.Hour), DataContentType: "application/json", Data: data,
	}
	r := eventlog.FromEvent(function.TopicUsage, e)
	r.Partition = place().ID
	return r, nil
}

// sorted are the sums of an hour by the functions' names.
func sorted(sums map[string]*function.Usage) []function.Usage {
	var all []function.Usage
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, *sums[name])
	}
	return all
}
