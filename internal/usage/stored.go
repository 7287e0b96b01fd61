package usage

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	day = 24 * time.Hour
	// hourly is for how many days before the newest each hour is kept; of the days before there are sums.
	hourly = 32
	// kept is how far back days are known: one more than may be asked for, so that the oldest is whole.
	kept = 401 * day
	// further is by how much more is read at a time where somebody asks for what is older than anybody has yet.
	further = 100 * day
	// mostRows bounds the rows of hours and of days, each of 88 bytes: 22 MiB. A hundred functions have 119,300, 10 MiB: 79,200 of hours, 40,100 of days.
	mostRows = 1 << 18
)

// stored is the fold of _dalamb.usage: what was used in the hours that are complete, each once, however often the log tells of it. It begins with a time and can
// be taken further back. Where there are more rows than most the oldest hours go first, then the oldest days; what has gone is read from the log when it is asked
// for. One owner.
type stored struct {
	most    int               // 0 = no bound: whole stays where it is, too
	wanted  func(string) bool // which functions are in it; nil = all
	enough  int               // of which more rows a stretch is read no further; 0 = it is read to its end
	begin   time.Time         // what is older is not in it; zero = nothing was read yet
	until   time.Time         // what is not older is not in it; zero = there is no end
	whole   time.Time         // from which day on each hour is in it
	full    bool              // days had to go: it is taken back no further
	at      int64             // where to read on
	hour    []function.Usage  // what was told of an hour that is not complete yet
	next    time.Time         // the hour after the last one that is complete; zero = none is
	counted map[string]int64  // up to where was counted with that one, by partition
	days    []daily           // rising; without those in which nothing was used
	lacking []time.Time       // rising
	rows    int
}

// daily is what was used in a day.
type daily struct {
	begin time.Time
	sums  []function.Usage // of its hours that are complete, by function
	hours []function.Usage // rising, by function; none of a day before whole
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(day) }

// said is what a record of _dalamb.usage holds: what a function used in an hour, or that an hour is complete.
type said struct {
	function.Usage
	Counted  map[string]int64 `json:"counted"`
	Lacking  []string         `json:"lacking"`
	complete bool
}

func decode(r *eventlog.Record) (s said, ok bool) {
	e, err := eventlog.ToEvent(*r)
	if err != nil || e.Type != event.TypeUsage && e.Type != event.TypeUsageCompleted {
		return s, false
	}
	s.complete = e.Type == event.TypeUsageCompleted
	ok = json.Unmarshal(e.Data, &s) == nil && !s.Hour.IsZero()
	s.Hour = s.Hour.UTC()
	return s, ok
}

// take folds a record, and returns its hour; zero = it is about none. Hours become complete in their order: one that is not after the last was told of before.
func (s *stored) take(r *eventlog.Record) (hour time.Time) {
	s.at = r.Offset + 1
	u, ok := decode(r)
	if !ok {
		return hour
	}
	if len(s.hour) > 0 && !s.hour[0].Hour.Equal(u.Hour) {
		s.hour = s.hour[:0] // it was never completed
	}
	if !u.complete {
		if s.wanted != nil && !s.wanted(u.Function) {
			return u.Hour
		}
		u.Function = unique.Make(u.Function).Value() // the same memory for all rows of a function
		s.hour = append(s.hour, u.Usage)
		return u.Hour
	}
	if !u.Hour.Before(s.next) {
		s.next, s.counted = u.Hour.Add(time.Hour), u.Counted
		if !u.Hour.Before(s.begin) && (s.until.IsZero() || u.Hour.Before(s.until)) {
			s.complete(&u)
		}
	}
	s.hour = s.hour[:0]
	return u.Hour
}

// complete takes an hour in whose rows are all there.
func (s *stored) complete(u *said) {
	if u.Lacking != nil {
		s.lacking = append(s.lacking, u.Hour)
	}
	rows := s.hour
	if len(rows) == 0 {
		return
	}
	begin := dayOf(u.Hour)
	if n := len(s.days); n == 0 || !s.days[n-1].begin.Equal(begin) {
		s.days = append(s.days, daily{begin: begin})
		if s.most > 0 {
			s.wholeFrom(begin.Add(-hourly * day))
		}
	}
	d := &s.days[len(s.days)-1]
	slices.SortStableFunc(rows, func(a, b function.Usage) int { return strings.Compare(a.Function, b.Function) })
	rows = slices.CompactFunc(rows, func(a, b function.Usage) bool { return a.Function == b.Function })
	if !begin.Before(s.whole) {
		d.hours = append(d.hours, rows...)
		s.rows += len(rows)
	}
	for _, u := range rows {
		i, there := slices.BinarySearchFunc(d.sums, u.Function, func(sum function.Usage, name string) int { return strings.Compare(sum.Function, name) })
		if !there {
			d.sums = slices.Insert(d.sums, i, function.Usage{Hour: begin, Function: u.Function})
			s.rows++
		}
		d.sums[i].Add(u.Used)
	}
	s.bound()
}

// wholeFrom lets go of the hours of days before one.
func (s *stored) wholeFrom(begin time.Time) {
	if !s.whole.Before(begin) {
		return
	}
	s.whole = begin
	for i := range s.days {
		if d := &s.days[i]; d.begin.Before(begin) {
			s.rows -= len(d.hours)
			d.hours = nil
		}
	}
}

// beginFrom lets go of the days before one.
func (s *stored) beginFrom(begin time.Time) {
	if !s.begin.Before(begin) {
		return
	}
	s.wholeFrom(begin)
	s.begin = begin
	n := 0
	for ; n < len(s.days) && s.days[n].begin.Before(begin); n++ {
		s.rows -= len(s.days[n].sums)
	}
	s.days = slices.Delete(s.days, 0, n)
	s.lacking = slices.DeleteFunc(s.lacking, func(hour time.Time) bool { return hour.Before(begin) })
}

// bound lets go of the oldest. The newest day stays whatever it has.
func (s *stored) bound() {
	for s.most > 0 && s.rows > s.most {
		newest := s.days[len(s.days)-1].begin
		switch {
		case s.whole.Before(newest):
			oldest := slices.IndexFunc(s.days, func(d daily) bool { return !d.begin.Before(s.whole) })
			next := s.days[oldest].begin.Add(day)
			if next.After(newest) {
				next = newest
			}
			s.wholeFrom(next)
		case len(s.days) > 1:
			s.full = true
			s.beginFrom(s.days[1].begin)
		default:
			s.full = true
			return
		}
	}
}

// follow folds what was stored since the last time; at first the days of which each hour is kept. Called by who has the turn.
func (k *Keeper) follow(ctx context.Context) error {
	s := &k.stored
	today := dayOf(k.o.Now())
	if s.begin.IsZero() {
		begin := today.Add(-hourly * day)
		at, err := k.offsetAt(ctx, place(), begin) // an hour is stored after its end
		if err != nil {
			return err
		}
		s.begin, s.whole, s.at = begin, begin, at
	}
	_, err := k.read(ctx, place(), s.at, func(r *eventlog.Record) bool {
		s.take(r)
		return true
	})
	s.beginFrom(today.Add(-kept))
	return err
}

// back takes the fold further back, to the day of a time, as far as there is room. Called by who has the turn.
func (k *Keeper) back(ctx context.Context, to time.Time) error {
	s := &k.stored
	to = dayOf(to)
	if oldest := dayOf(k.o.Now()).Add(-kept); to.Before(oldest) {
		to = oldest
	}
	for to.Before(s.begin) && !s.full {
		begin := s.begin.Add(-further)
		if begin.Before(to) {
			begin = to
		}
		older := &stored{most: max(1, s.most-s.rows), begin: begin, whole: s.begin}
		if err := k.stretch(ctx, older, s.begin); err != nil {
			return err
		}
		s.days, s.lacking = append(older.days, s.days...), append(older.lacking, s.lacking...)
		s.begin, s.full, s.rows = older.begin, older.full, s.rows+older.rows
	}
	return nil
}

// stretch folds the hours from where a fold begins until a time. The hour that begins then is read, too, and is another fold's.
func (k *Keeper) stretch(ctx context.Context, s *stored, until time.Time) (err error) {
	s.until = until
	if s.at, err = k.offsetAt(ctx, place(), s.begin); err != nil {
		return err
	}
	_, err = k.read(ctx, place(), s.at, func(r *eventlog.Record) bool {
		hour := s.take(r)
		return hour.Before(until) && (s.enough == 0 || s.rows <= s.enough)
	})
	return err
}
