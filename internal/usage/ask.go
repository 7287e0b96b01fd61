package usage

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Hours are what was used in the hours that begin from since on and before until, oldest first, of each function by its name. What nobody has stored yet, the
// hour that is not over among it, is as it is counted now. Of functions that are not wanted there is nothing, and nothing is held; more rows than most are refused as
// too large, and no more are read then.
func (k *Keeper) Hours(ctx context.Context, since, until time.Time, wanted func(fn string) bool, most int) ([]function.Usage, error) {
	known, missing, err := k.known(ctx, since, until, true, wanted)
	if err != nil {
		return nil, err
	}
	var all []function.Usage
	for _, m := range missing { // it is older than what is known
		s := &stored{begin: m.since, whole: dayOf(m.since), wanted: wanted, enough: 2 * most} // a row of an hour has at most one of its day
		if err := k.stretch(ctx, s, m.until); err != nil {
			return nil, err
		}
		for i := range s.days {
			all = append(all, s.days[i].hours...)
		}
	}
	if all = append(all, known...); len(all) > most {
		return nil, fault.New(fault.TooLarge, "what was used from %s until %s has more than %d rows", since.Format(time.RFC3339), until.Format(time.RFC3339), most).
			WithHint("ask for less time at once, for an environment, or for sums: by=function, by=environment or by=day")
	}
	return all, nil
}

// Sums are sums of what Hours are, by the names that name gives to what a function used on a day, which is told by when it begins, in UTC. What it does not want
// is in none.
func (k *Keeper) Sums(ctx context.Context, since, until time.Time, name func(fn string, day time.Time) (name string, wanted bool)) (map[string]*function.Used, error) {
	known, missing, err := k.known(ctx, since, until, false, nil)
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

// known is what the folds know of a stretch of time, of the functions that are wanted (nil = all): by the hour, or by whole days where that is enough. Missing are the parts of which they do not know that.
func (k *Keeper) known(ctx context.Context, since, until time.Time, hours bool, wanted func(fn string) bool) (rows []function.Usage, missing []span, err error) {
	if err := k.await(ctx); err != nil {
		return nil, nil, err
	}
	defer k.leave()
	if err := k.follow(ctx); err != nil {
		return nil, nil, err
	}
	s := &k.stored
	add := func(u *function.Usage) {
		if wanted == nil || wanted(u.Function) {
			rows = append(rows, *u)
		}
	}
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
			for i := range d.sums {
				add(&d.sums[i])
			}
		case !d.begin.Before(s.whole):
			for i := range d.hours {
				if u := &d.hours[i]; !u.Hour.Before(since) && u.Hour.Before(until) {
					add(u)
				}
			}
		case !hours: // of a day that is not asked for as a whole only the sums are known
			part(later(since, d.begin), earlier(until, end))
		}
	}
	counted, err := k.opened(ctx, since, until)
	for i := range counted {
		add(&counted[i])
	}
	return rows, missing, err
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
