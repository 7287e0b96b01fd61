package usage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// open is one running count, for all callers, of the hours that are not stored: what a record tells is read once, however often it is asked for. One owner.
type open struct {
	next  time.Time // the first hour that is not stored; zero = nobody has asked yet
	at    map[eventlog.Partition]int64
	hours map[time.Time]*counter
}

// opened is what was used in the hours that are not stored, of those that begin from since on and before until. What is stored from now on stands in both folds, and
// is taken from this one. Called by who has the turn, and has followed what is stored.
func (k *Keeper) opened(ctx context.Context, since, until time.Time) (all []function.Usage, err error) {
	if err := k.skipStored(ctx); err != nil {
		return nil, err
	}
	if !until.After(k.open.next) {
		return nil, nil
	}
	if err := k.countOn(ctx); err != nil {
		return nil, err
	}
	for _, hour := range slices.SortedFunc(maps.Keys(k.open.hours), time.Time.Compare) {
		if !hour.Before(since) && hour.Before(until) && hour.Before(k.o.Now()) {
			all = append(all, sorted(k.open.hours[hour].sums)...)
		}
	}
	return all, nil
}

// skipStored begins anew with the first hour that is not stored, where that is a later one than before: all that is read again is what it has by then.
func (k *Keeper) skipStored(ctx context.Context) (err error) {
	o := &k.open
	next := k.stored.next
	if o.next.IsZero() {
		if next, err = k.next(ctx); err != nil {
			return err
		}
	}
	if next.After(o.next) {
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
