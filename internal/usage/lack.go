package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// lack follows, from hour to hour, up to where each partition was counted. Retention by size takes what is newer than an hour where that is much: then a partition
// begins behind what was counted, and the hour is not whole. One owner.
type lack struct {
	counted map[string]int64 // by partition; one that is not in it was never counted, and lacks nothing
}

func nameOf(p eventlog.Partition) string { return fmt.Sprintf("%s/%d", p.Topic, p.ID) }

// decodeHour reads what says that an hour is complete.
func decodeHour(r *eventlog.Record) (h function.UsageHour, ok bool) {
	e, err := eventlog.ToEvent(*r)
	if err != nil || e.Type != event.TypeUsageCompleted {
		return h, false
	}
	return h, json.Unmarshal(e.Data, &h) == nil && !h.Hour.IsZero()
}

// hour says of an hour that is about to be counted what of it the log has let go of, and up to where is counted with it. Where nothing of the hour
// is left the place stays where it was, and the next hour may lack as well: what is gone has taken its times with it, so each hour that it may be of is named, one in
// which nothing was used among them.
func (l *lack) hour(ctx context.Context, k *Keeper, from, to time.Time) (function.UsageHour, error) {
	h := function.UsageHour{Hour: from, Counted: map[string]int64{}}
	ps, err := k.sources(ctx)
	if err != nil {
		return h, err
	}
	for _, p := range ps {
		b, err := k.o.Log.Bounds(ctx, p)
		if err != nil {
			return h, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
		}
		end, err := k.offsetAt(ctx, p, to)
		if err != nil {
			return h, err
		}
		name := nameOf(p)
		if at, known := l.counted[name]; known && b.Start > at {
			h.Lacking = append(h.Lacking, name)
			if end <= b.Start {
				end = at
			}
		}
		h.Counted[name] = end
	}
	slices.Sort(h.Lacking)
	return h, nil
}

// Lacking are the hours from since on and before until of which the log may have let go of records before they were counted, oldest first: at least one of those that
// follow each other. What was used in them may be more than Usage says; in all others it is what Usage says.
func (k *Keeper) Lacking(ctx context.Context, since, until time.Time) ([]time.Time, error) {
	at, err := k.offsetAt(ctx, place(), since.Add(-2*time.Hour)) // the hour before says up to where was counted, and is stored after its end
	if err != nil {
		return nil, err
	}
	all := map[time.Time]bool{}
	var last lack
	var next time.Time
	_, err = k.read(ctx, place(), at, func(r *eventlog.Record) bool {
		h, ok := decodeHour(r)
		if !ok {
			return true
		}
		last.counted, next = h.Counted, h.Hour.Add(time.Hour)
		if h.Lacking != nil && !h.Hour.Before(since) && h.Hour.Before(until) {
			all[h.Hour.UTC()] = true
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	// The hours that are not stored yet.
	for ; !next.IsZero() && next.Before(until) && !next.After(k.o.Now()); next = next.Add(time.Hour) {
		h, err := last.hour(ctx, k, next, next.Add(time.Hour))
		if err != nil {
			return nil, err
		}
		if h.Lacking != nil && !next.Before(since) {
			all[next.UTC()] = true
		}
		last.counted = h.Counted
	}
	return slices.SortedFunc(maps.Keys(all), time.Time.Compare), nil
}
