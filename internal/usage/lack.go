package usage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// lack follows, from hour to hour, up to where each partition was counted. Retention by size takes what is newer than an hour where that is much: then a partition
// begins behind what was counted, and the hour is not whole. One owner.
type lack struct {
	counted map[string]int64 // by partition; one that is not in it was never counted, and lacks nothing
}

func nameOf(p eventlog.Partition) string { return fmt.Sprintf("%s/%d", p.Topic, p.ID) }

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
// follow each other. What was used in them may be more than Hours and Sums say; in all others it is what these say.
func (k *Keeper) Lacking(ctx context.Context, since, until time.Time) ([]time.Time, error) {
	told, older, err := k.lacks(ctx, since, until)
	if err != nil {
		return nil, err
	}
	if since.Before(older) {
		s := &stored{begin: since, whole: older}
		if err := k.stretch(ctx, s, older); err != nil {
			return nil, err
		}
		told = append(s.lacking, told...)
	}
	return told, nil
}

// lacks is Lacking as far as the fold of what is stored goes back, and what is older than that.
func (k *Keeper) lacks(ctx context.Context, since, until time.Time) (told []time.Time, older time.Time, err error) {
	if err := k.await(ctx); err != nil {
		return nil, older, err
	}
	defer k.leave()
	if err := k.follow(ctx); err != nil {
		return nil, older, err
	}
	if err := k.back(ctx, since); err != nil {
		return nil, older, err
	}
	s := &k.stored
	for _, hour := range s.lacking {
		if !hour.Before(since) && hour.Before(until) {
			told = append(told, hour)
		}
	}
	// The hours that are not stored yet.
	last := lack{counted: s.counted}
	for next := s.next; !next.IsZero() && next.Before(until) && !next.After(k.o.Now()); next = next.Add(time.Hour) {
		h, err := last.hour(ctx, k, next, next.Add(time.Hour))
		if err != nil {
			return nil, older, err
		}
		if h.Lacking != nil && !next.Before(since) {
			told = append(told, next)
		}
		last.counted = h.Counted
	}
	return told, earlier(until, s.begin), nil
}
