package usage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// open is one running count, for all callers, of the hours that are not stored: what a record tells is read once, however often it is asked for. Who has put
// a value into turn owns the rest; who waits for his turn waits no longer than his context.
type open struct {
	turn   chan struct{}
	next   time.Time // the first hour that is not stored; zero = nobody has asked yet
	stored int64     // of _dalamb.usage: where to read on
	at     map[eventlog.Partition]int64
	hours  map[time.Time]*counter
}

// opened is the first hour that is not stored, and what was used in those hours from it on that begin from since on and before until.
func (k *Keeper) opened(ctx context.Context, since, until time.Time) (next time.Time, all []function.Usage, err error) {
	select {
	case k.open.turn <- struct{}{}:
		defer func() { <-k.open.turn }()
	case <-ctx.Done():
		return next, nil, ctx.Err()
	}
	if err := k.skipStored(ctx); err != nil {
		return next, nil, err
	}
	if !until.After(k.open.next) {
		return k.open.next, nil, nil
	}
	if err := k.countOn(ctx); err != nil {
		return next, nil, err
	}
	for _, hour := range slices.SortedFunc(maps.Keys(k.open.hours), time.Time.Compare) {
		if !hour.Before(since) && hour.Before(until) && hour.Before(k.o.Now()) {
			all = append(all, sorted(k.open.hours[hour].sums)...)
		}
	}
	return k.open.next, all, nil
}

// skipStored begins anew with the first hour that is not stored, where that is another one than before: all that is read again is what it has by then.
func (k *Keeper) skipStored(ctx context.Context) error {
	o := &k.open
	next, at := o.next, o.stored
	var err error
	if next.IsZero() {
		next, at, err = k.next(ctx, &lack{})
	} else {
		at, err = k.read(ctx, place(), at, func(r *eventlog.Record) bool {
			if u, typ, ok := decode(r); ok && typ == event.TypeUsageCompleted {
				next = u.Hour.Add(time.Hour)
			}
			return true
		})
	}
	if err != nil {
		return err
	}
	o.stored = at
	if !next.Equal(o.next) {
		o.next, o.at, o.hours = next, map[eventlog.Partition]int64{}, map[time.Time]*counter{}
	}
	return nil
}

// countOn counts what the log has been told since the last time. What is counted when an error comes stays counted.
func (k *Keeper) countOn(ctx context.Context) error {
	o := &k.open
	ps, err := k.sources(ctx)
	if err != nil {
		return err
	}
	for _, p := range ps {
		at, begun := o.at[p]
		if !begun {
			if at, err = k.offsetAt(ctx, p, o.next); err != nil {
				return err
			}
		}
		o.at[p], err = k.read(ctx, p, at, func(r *eventlog.Record) bool {
			hour := r.Time.UTC().Truncate(time.Hour)
			if hour.Before(o.next) {
				return true
			}
			if o.hours[hour] == nil {
				o.hours[hour] = k.newCounter(hour)
			}
			o.hours[hour].take(r)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}
