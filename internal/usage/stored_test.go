package usage

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// past is what was used in hours before noon, as the log was told of it.
type past struct {
	hours   []function.Usage
	lacking []time.Time
}

// tellPast tells of some hours of each of so many days, and of some days twice, as an owner would whose commit was stored though he heard of an error.
func (w *world) tellPast(days int, functions []string) *past {
	w.Helper()
	p := &past{}
	random := rand.New(rand.NewPCG(1, 2))
	for begin := dayOf(noon).Add(-time.Duration(days) * day); begin.Before(dayOf(noon)); begin = begin.Add(day) {
		var records []eventlog.Record
		tell := func(typ string, hour time.Time, fn string, what any) {
			r, err := record(typ, hour, fn, what)
			w.ok(err)
			r.Time = hour.Add(time.Hour + settling)
			records = append(records, r)
		}
		for h := range 24 {
			hour := begin.Add(time.Duration(h) * time.Hour)
			if h < 23 && random.IntN(4) > 0 {
				continue
			}
			for _, fn := range functions {
				if random.IntN(4) == 0 {
					continue
				}
				u := function.Usage{Hour: hour, Function: fn, Used: function.Used{Invocations: 1 + random.Int64N(5), Millis: random.Int64N(1e6), BytesOut: random.Int64N(1e9)}}
				p.hours = append(p.hours, u)
				tell(event.TypeUsage, hour, fn, u)
			}
			done := function.UsageHour{Hour: hour, Counted: map[string]int64{}}
			if random.IntN(20) == 0 {
				done.Lacking = []string{"_dalamb.requests/0"}
				p.lacking = append(p.lacking, hour)
			}
			tell(event.TypeUsageCompleted, hour, "", done)
		}
		for range 1 + random.IntN(2) {
			_, err := w.log.Append(w.Context(), records)
			w.ok(err)
		}
	}
	return p
}

// in are the hours of a stretch.
func (p *past) in(since, until time.Time) (all []function.Usage) {
	for _, u := range p.hours {
		if !u.Hour.Before(since) && u.Hour.Before(until) {
			all = append(all, u)
		}
	}
	return all
}

// byDay names each function of each day, and does not want one.
func byDay(fn string, day time.Time) (string, bool) {
	return fn + " " + day.Format(time.DateOnly), fn != "staging.pay"
}

func (p *past) sums(since, until time.Time) map[string]*function.Used {
	sums := map[string]*function.Used{}
	for _, u := range p.in(since, until) {
		name, wanted := byDay(u.Function, dayOf(u.Hour))
		if !wanted {
			continue
		}
		if sums[name] == nil {
			sums[name] = &function.Used{}
		}
		sums[name].Add(u.Used)
	}
	return sums
}

// TestAnyStretchIsExact asks for stretches of more than a year, of folds that have room for all of it, for some and for next to none.
func TestAnyStretchIsExact(t *testing.T) {
	w := newWorld(t)
	w.now = noon
	functions := []string{"billing", "pay", "staging.pay"}
	p := w.tellPast(430, functions)
	for _, most := range []int{mostRows, 500, 1} {
		var err error
		w.keeper, err = New(Options{Log: w.log, Catalog: w.catalog, Now: func() time.Time { return w.now }})
		w.ok(err)
		w.keeper.stored.most = most
		random := rand.New(rand.NewPCG(3, uint64(most)))
		for i := range 16 {
			until := noon.Add(-time.Duration(random.IntN(400*24)) * time.Hour)
			since := until.Add(-time.Duration(1+random.IntN(60*24)) * time.Hour)
			switch i % 4 {
			case 1:
				since, until = dayOf(since), dayOf(until)
			case 2:
				since, until = noon.Add(-time.Duration(1+random.IntN(400*24))*time.Hour), noon
			case 3:
				since = until.Add(-time.Duration(1+random.IntN(23)) * time.Hour)
			}
			said := fmt.Sprintf("room for %d, from %s until %s", most, since, until)
			hours, err := w.keeper.Hours(t.Context(), since, until, anyFunction, mostRows)
			if want := p.in(since, until); err != nil || !reflect.DeepEqual(hours, want) {
				t.Fatalf("%s: %d hours, %v, want %d, or they are others", said, len(hours), err, len(want))
			}
			sums, err := w.keeper.Sums(t.Context(), since, until, byDay)
			if want := p.sums(since, until); err != nil || !reflect.DeepEqual(sums, want) {
				t.Fatalf("%s: %d sums, %v, want %d, or they are others: %s", said, len(sums), err, len(want), others(sums, want))
			}
			lacking, err := w.keeper.Lacking(t.Context(), since, until)
			want := slices.DeleteFunc(slices.Clone(p.lacking), func(hour time.Time) bool { return hour.Before(since) || !hour.Before(until) })
			if err != nil || !slices.Equal(lacking, want) {
				t.Fatalf("%s: lacking %v, %v, want %v", said, lacking, err, want)
			}
			if s := &w.keeper.stored; s.rows != rowsOf(s) || s.rows > most && len(s.days) > 1 {
				t.Fatalf("%s: the fold counts %d rows of %d days and has %d", said, s.rows, len(s.days), rowsOf(s))
			}
		}
	}
}

func anyFunction(string) bool { return true }

// TestHoursAreBounded asks for what is stored, in memory and in the log, of some functions and of a few rows.
func TestHoursAreBounded(t *testing.T) {
	w := newWorld(t)
	w.now = noon
	p := w.tellPast(300, []string{"billing", "pay", "staging.pay"})
	log := &readings{Log: w.log}
	var err error
	w.keeper, err = New(Options{Log: log, Catalog: w.catalog, Now: func() time.Time { return w.now }})
	w.ok(err)
	for _, days := range []int{10, 250} {
		since := noon.Add(-time.Duration(days) * day)
		want := slices.DeleteFunc(p.in(since, noon), func(u function.Usage) bool { return u.Function != "pay" })
		pay := func(fn string) bool { return fn == "pay" }
		hours, err := w.keeper.Hours(t.Context(), since, noon, pay, len(want))
		if err != nil || !reflect.DeepEqual(hours, want) {
			t.Errorf("%d days of pay: %d hours, %v, want %d, or they are others", days, len(hours), err, len(want))
		}
		read := log.records
		log.records = 0
		if _, err := w.keeper.Hours(t.Context(), since, noon, pay, 3); fault.KindOf(err) != fault.TooLarge || fault.HintOf(err) == "" {
			t.Errorf("%d days in 3 rows: %v, want that it is too large", days, err)
		}
		if days == 250 && log.records > read/2 {
			t.Errorf("%d records are read of %d before it is too large", log.records, read)
		}
	}
}

// TestAnHourAtMidnightLacksOnce has a fold taken back to before an hour in which nothing was used, and that may lack something.
func TestAnHourAtMidnightLacksOnce(t *testing.T) {
	w := newWorld(t)
	w.now = noon
	begin := dayOf(noon).Add(-hourly * day)
	for _, hour := range []time.Time{begin.Add(-time.Hour), begin, begin.Add(time.Hour)} {
		r, err := record(event.TypeUsageCompleted, hour, "", function.UsageHour{Hour: hour, Lacking: []string{"_dalamb.requests/0"}})
		w.ok(err)
		r.Time = hour.Add(time.Hour + settling)
		_, err = w.log.Append(t.Context(), []eventlog.Record{r})
		w.ok(err)
	}
	want := []time.Time{begin.Add(-time.Hour), begin, begin.Add(time.Hour)}
	for range 2 {
		if lacking, err := w.keeper.Lacking(t.Context(), begin.Add(-10*day), begin.Add(2*day)); err != nil || !slices.Equal(lacking, want) {
			t.Errorf("lacking %v, %v, want %v", lacking, err, want)
		}
	}
}

// others are the first of the sums that are not what they should be.
func others(got, want map[string]*function.Used) string {
	all := maps.Clone(got)
	maps.Copy(all, want)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			return fmt.Sprintf("%s is %+v, want %+v", name, got[name], want[name])
		}
	}
	return ""
}

func rowsOf(s *stored) (rows int) {
	for _, d := range s.days {
		rows += len(d.hours) + len(d.sums)
	}
	return rows
}

// TestTheSecondAnswerReadsNothing asks for a month and for a year, of a node that has just begun and then of one that knows.
func TestTheSecondAnswerReadsNothing(t *testing.T) {
	w := newWorld(t)
	w.now = noon
	w.tellPast(300, []string{"pay"})
	log := &readings{Log: w.log}
	var err error
	w.keeper, err = New(Options{Log: log, Catalog: w.catalog, Now: func() time.Time { return w.now }})
	w.ok(err)
	for _, since := range []time.Time{noon.Add(-30 * day), dayOf(noon).Add(-250 * day)} {
		for i := range 2 {
			log.records = 0
			_, err := w.keeper.Sums(t.Context(), since, noon, byDay)
			w.ok(err)
			_, err = w.keeper.Lacking(t.Context(), since, noon)
			w.ok(err)
			if i == 0 && log.records == 0 || i == 1 && log.records > 0 {
				t.Errorf("from %s, answer %d read %d records", since, i+1, log.records)
			}
		}
	}
}

// TestHoursBecomeDays has a node fold for longer than it keeps each hour.
func TestHoursBecomeDays(t *testing.T) {
	w := newWorld(t)
	w.tellPast(hourly+20, []string{"pay"})
	begin := dayOf(noon).Add(-(hourly + 20) * day)
	s := &stored{most: mostRows, begin: begin, whole: begin}
	_, err := eventlog.ReadAll(t.Context(), w.log, place(), func(r *eventlog.Record) error {
		s.take(r)
		return nil
	})
	w.ok(err)
	if want := s.days[len(s.days)-1].begin.Add(-hourly * day); !s.whole.Equal(want) || !s.begin.Equal(begin) || len(s.days[0].hours) > 0 || len(s.days[0].sums) == 0 || s.rows != rowsOf(s) {
		t.Errorf("each hour is kept from %s on, want %s; of the first day there are %d hours and %d sums; rows %d, want %d", s.whole, want, len(s.days[0].hours), len(s.days[0].sums), s.rows, rowsOf(s))
	}
}

// TestAFoldOfRecordsThatComeTwiceIsTheSame gives a fold each record twice, as they stand in a log that another node has copied.
func TestAFoldOfRecordsThatComeTwiceIsTheSame(t *testing.T) {
	w := newWorld(t)
	w.tellPast(3, []string{"pay", "staging.pay"})
	var all []eventlog.Record
	_, err := eventlog.ReadAll(t.Context(), w.log, place(), func(r *eventlog.Record) error {
		all = append(all, *r)
		return nil
	})
	w.ok(err)
	begin := dayOf(noon).Add(-10 * day)
	once, twice, copied := &stored{begin: begin, whole: begin}, &stored{begin: begin, whole: begin}, &stored{begin: begin, whole: begin}
	for i := range all {
		once.take(&all[i])
		for range 2 {
			twice.take(&all[i])
			r := all[i]
			r.Offset = copied.at
			copied.take(&r)
		}
	}
	copied.at = once.at
	if !reflect.DeepEqual(once, twice) {
		t.Errorf("with each record twice: %+v, want %+v", twice, once)
	}
	if !reflect.DeepEqual(once, copied) {
		t.Errorf("with two copies of each record: %+v, want %+v", copied, once)
	}
}

// BenchmarkMonth asks for sums of a month of a hundred functions: of a node that has just begun, and of one that knows.
func BenchmarkMonth(b *testing.B) {
	var records []eventlog.Record
	for h := range 30 * 24 {
		hour := noon.Add(time.Duration(h-30*24) * time.Hour)
		tell := func(typ, fn string, what any) {
			r, err := record(typ, hour, fn, what)
			if err != nil {
				b.Fatal(err)
			}
			r.Time, r.Offset = hour.Add(time.Hour+settling), int64(len(records))
			records = append(records, r)
		}
		for f := range 100 {
			fn := fmt.Sprintf("f-%02d", f)
			tell(event.TypeUsage, fn, function.Usage{Hour: hour, Function: fn, Used: function.Used{Invocations: 3600, Millis: 216_000, MiBMillis: 27_648_000, BytesIn: 1 << 20, BytesOut: 1 << 20}})
		}
		tell(event.TypeUsageCompleted, "", function.UsageHour{Hour: hour})
	}
	begun := func(b *testing.B) *Keeper {
		k, err := New(Options{Log: &listed{records: records}, Catalog: noCatalog{}, Now: func() time.Time { return noon }})
		if err != nil {
			b.Fatal(err)
		}
		return k
	}
	ask := func(b *testing.B, k *Keeper) {
		sums, err := k.Sums(b.Context(), noon.Add(-30*day), noon, func(fn string, _ time.Time) (string, bool) { return fn, true })
		if err != nil || len(sums) != 100 || sums["f-00"].Invocations != 30*24*3600 {
			b.Fatalf("%d sums, %v", len(sums), err)
		}
		if _, err := k.Lacking(b.Context(), noon.Add(-30*day), noon); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			ask(b, begun(b))
		}
	})
	b.Run("again", func(b *testing.B) {
		k := begun(b)
		ask(b, k)
		for b.Loop() {
			ask(b, k)
		}
		b.ReportMetric(float64(k.stored.rows), "rows")
	})
}

// listed is a log of one partition, as a list of records.
type listed struct {
	eventlog.Log
	records []eventlog.Record
}

func (l *listed) Topics(context.Context) ([]eventlog.Topic, error) { return nil, nil }

func (l *listed) OffsetAt(_ context.Context, _ eventlog.Partition, at time.Time) (int64, error) {
	i := slices.IndexFunc(l.records, func(r eventlog.Record) bool { return !r.Time.Before(at) })
	return int64(i), nil
}

func (l *listed) Read(_ context.Context, _ eventlog.Partition, from int64, _ eventlog.ReadOptions) ([]eventlog.Record, error) {
	return l.records[from:min(int64(len(l.records)), from+1000)], nil
}

type noCatalog struct{ Catalog }
