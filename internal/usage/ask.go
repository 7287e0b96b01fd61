package usage

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Hours are what was used in the hours that begin from since on and before until, oldest first, of each function by its name. What nobody has stored yet, the
// hour that is not over among it, is as it is counted now.
func (k *Keeper) Hours(ctx context.Context, since, until time.Time) ([]function.Usage, error) {
	known, missing, err := k.known(ctx, since, until, true)
	if err != nil {
		return nil, err
	}
	var all []function.Usage
	for _, m := range missing { // it is older than what is known
		s := &stored{begin: m.since, whole: dayOf(m.since)}
		if err := k.stretch(ctx, s, m.until); err != nil {
			return nil, err
		}
		for i := range s.days {
			all = append(all, s.days[i].hours...)
		}
	}
	return append(all, known...), nil
}

// Sums are sums of what Hours are, by the names that name gives to what a function used on a day, which is told by when it begins, in UTC. What it does not want
// is in none.
func (k *Keeper) Sums(ctx context.Context, since, until time.Time, name func(fn string, day time.Time) (name string, wanted bool)) (map[string]*function.Used, error) {
	known, missing, err := k.known(ctx, since, until, false)
	if err != nil {
		return nil, err
	}
	sums := map[string]*function.Used{}
	add := func(rows []function.Usage) {
		for i := range rows {
			u := &rows[i]
			of, wanted := name(u.Function, dayOf(u.Hour))
			if !wanted {
				continue
			}
			if sums[of] == nil {
				sums[of] = &function.Used{}
			}
			sums[of].Add(u.Used)
		}
	}
	add(known)
	for _, m := range missing {
		s := &stored{begin: m.since, whole: m.until}
		if err := k.stretch(ctx, s, m.until); err != nil {
			return nil, err
		}
		for i := range s.days {
			add(s.days[i].sums)
		}
	}
	return sums, nil
}

// span are the hours that begin from since on and before until.
type span struct{ since, until time.Time }

// known is what the folds know of a stretch of time: by the hour, or by whole days where that is enough. Missing are the parts of which they do not know that.
func (k *Keeper) known(ctx context.Context, since, until time.Time, hours bool) (rows []function.Usage, missing []span, err error) {
	if err := k.await(ctx); err != nil {
		return nil, nil, err
	}
	defer k.leave()
	if err := k.follow(ctx); err != nil {
		return nil, nil, err
	}
	s := &k.stored
	if !hours {
		if err := k.back(ctx, since); err != nil {
			return nil, nil, err
		}
	}
	part := func(since, until time.Time) {
		if since.Before(until) {
			missing = append(missing, span{since, until})
		}
	}
	if hours {
		part(since, earlier(until, s.whole))
	} else {
		part(since, earlier(until, s.begin))
	}
	for i := range s.days {
		d := &s.days[i]
		end := d.begin.Add(day)
		switch {
		case !end.After(since) || !d.begin.Before(until):
		case !hours && !d.begin.Before(since) && !end.After(until):
			rows = append(rows, d.sums...)
		case !d.begin.Before(s.whole):
			for _, u := range d.hours {
				if !u.Hour.Before(since) && u.Hour.Before(until) {
					rows = append(rows, u)
				}
			}
		case !hours: // of a day that is not asked for as a whole only the sums are known
			part(later(since, d.begin), earlier(until, end))
		}
	}
	counted, err := k.opened(ctx, since, until)
	return append(rows, counted...), missing, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
