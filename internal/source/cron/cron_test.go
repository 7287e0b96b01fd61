package cron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/function"
)

// world is a log with a catalog and a clock that stands still until it is told.
type world struct {
	t    *testing.T
	log  eventlog.Log
	cat  *catalog.Catalog
	cron *Cron
	now  time.Time
	lose error // of the next commit
	keep map[int32]*keeper
}

const jobs = 4

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 3, 1, 10, 0, 30, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	var err error
	w.log, err = enginetest.Open(enginetest.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []eventlog.Topic{
		{Name: function.TopicControl, Partitions: 1}, {Name: function.TopicProgress, Partitions: jobs, Compact: true},
		{Name: function.TopicJobs, Partitions: jobs}, {Name: function.TopicTicks, Partitions: 2}, {Name: function.TopicInvoke, Partitions: 1},
	} {
		if err := w.log.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	if w.cat, err = catalog.New(catalog.Options{Log: w.log, Now: clock}); err != nil {
		t.Fatal(err)
	}
	if w.cron, err = New(Options{Log: w.log, Catalog: w.cat, Now: clock}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.cat.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, w.log.Close()); err != nil {
			t.Error(err)
		}
	})
	w.restart()
	return w
}

func (w *world) change(c catalog.Change) {
	w.t.Helper()
	if _, err := w.cat.Submit(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) deploy(triggers ...function.Trigger) {
	w.t.Helper()
	for i := range triggers {
		triggers[i].Name = fmt.Sprintf("t%d", i)
	}
	w.change(catalog.Deploy{Version: function.Version{Spec: function.Spec{Name: "f", Scale: function.Scale{Max: 1}, Triggers: triggers}}})
}

// restart forgets what is in memory.
func (w *world) restart() {
	w.t.Helper()
	topic, err := w.cron.jobs(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.keep = map[int32]*keeper{}
	for id := range topic.Partitions {
		own := eventlog.Owned{Partition: eventlog.Partition{Topic: topic.Name, ID: id}, Commit: w.commit}
		k := &keeper{Cron: w.cron, own: own, keys: keysOf(topic.ID, id), of: topic.Partitions}
		if k.known, err = recall(w.t.Context(), w.log, k.keys); err != nil {
			w.t.Fatal(err)
		}
		w.keep[id] = k
	}
}

func (w *world) commit(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
	if err := w.lose; err != nil {
		w.lose = nil
		return nil, err
	}
	return w.log.Append(ctx, rs)
}

// pass lets time go by, from wake to wake as Keep does.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for until := w.now.Add(d); ; {
		nap := longestNap
		for _, k := range w.keep {
			n, err := k.round(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			nap = min(nap, n)
		}
		if !w.now.Before(until) {
			return
		}
		w.now = w.now.Add(min(max(nap, time.Millisecond), until.Sub(w.now)))
	}
}

// ticks are all ticks in the log, by planned time.
func (w *world) ticks() (ticks []function.Tick, ids []string) {
	w.t.Helper()
	type both struct {
		tick function.Tick
		id   string
	}
	var all []both
	for id := range int32(2) {
		p := eventlog.Partition{Topic: function.TopicTicks, ID: id}
		rs, err := w.log.Read(w.t.Context(), p, 0, eventlog.ReadOptions{NoWait: true, MaxRecords: 100_000, MaxBytes: 1 << 30})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range rs {
			e, err := eventlog.ToEvent(r)
			if err != nil || e.Type != event.TypeScheduleTicked {
				w.t.Fatalf("record %v: %v", r, err)
			}
			var tick function.Tick
			if err := json.Unmarshal(e.Data, &tick); err != nil {
				w.t.Fatal(err)
			}
			all = append(all, both{tick, e.ID})
		}
	}
	slices.SortStableFunc(all, func(a, b both) int { return a.tick.Scheduled.Compare(b.tick.Scheduled) })
	for _, b := range all {
		if slices.Contains(ids, b.id) {
			w.t.Errorf("tick %s stands twice", b.id)
		}
		ticks, ids = append(ticks, b.tick), append(ids, b.id)
	}
	return ticks, ids
}

// wantTicks checks the planned times, as 15:04:05, each with +N when N were missed before it.
func (w *world) wantTicks(want string) {
	w.t.Helper()
	ticks, _ := w.ticks()
	var got []string
	for _, t := range ticks {
		text := t.Scheduled.Format(time.TimeOnly)
		if t.Missed > 0 {
			text += fmt.Sprintf("+%d", t.Missed)
		}
		got = append(got, text)
	}
	if text := strings.Join(got, " "); text != want {
		w.t.Errorf("ticks = %s, want %s", text, want)
	}
}

func cronAt(schedule string, c function.CatchUp) function.Trigger {
	return function.Trigger{Schedule: schedule, CatchUp: c, Order: function.OrderKey}
}

func TestEachPlannedTimeTicksOnce(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("*/5 * * * *", function.CatchUpLast), cronAt("@every 4m", function.CatchUpLast))
	w.pass(9 * time.Minute)
	w.restart()
	w.pass(2 * time.Minute)
	w.wantTicks("10:04:30 10:05:00 10:08:30 10:10:00")
	ticks, _ := w.ticks()
	for _, tick := range ticks {
		if d := tick.Fired.Sub(tick.Scheduled); d < 0 || d > 10*time.Millisecond {
			t.Errorf("the tick of %s was made at %s", tick.Scheduled, tick.Fired)
		}
	}
}

func TestWhatWasMissed(t *testing.T) {
	for _, c := range []struct {
		name  string
		catch function.CatchUp
		away  time.Duration
		want  string
	}{
		{"none", function.CatchUpNone, 32 * time.Minute, "10:10:00 10:50:00+3"},
		{"none, a short while", function.CatchUpNone, 30*time.Minute - time.Second, "10:10:00 10:40:00+2 10:50:00"},
		{"last", function.CatchUpLast, 32 * time.Minute, "10:10:00 10:40:00+2 10:50:00"},
		{"all", function.CatchUpAll, 32 * time.Minute, "10:10:00 10:20:00 10:30:00 10:40:00 10:50:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.deploy(cronAt("*/10 * * * *", c.catch))
			w.pass(10 * time.Minute) // to 10:10:30
			w.now = w.now.Add(c.away)
			w.restart()
			w.pass(15 * time.Minute)
			w.wantTicks(c.want)
		})
	}
}

func TestAllThatWasMissedIsBounded(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("@every 1s", function.CatchUpAll))
	w.now = w.now.Add((function.MaxCatchUp + 5) * time.Second)
	w.pass(0)
	ticks, _ := w.ticks()
	if len(ticks) != function.MaxCatchUp || ticks[0].Missed != 5 {
		t.Errorf("%d ticks, %d missed before the first, want %d and 5", len(ticks), ticks[0].Missed, function.MaxCatchUp)
	}
}

func TestOnceAtATime(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("at 2026-03-01T10:02:00Z", function.CatchUpLast))
	w.pass(time.Minute)
	w.wantTicks("")
	w.now = w.now.Add(24 * time.Hour) // nobody was there at the time
	w.restart()
	w.pass(time.Hour)
	w.restart()
	w.pass(time.Hour)
	w.wantTicks("10:02:00")
}

func TestAClockThatJumps(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("*/10 * * * *", function.CatchUpLast))
	w.pass(10 * time.Minute) // to 10:10:30
	w.now = w.now.Add(-7 * time.Minute)
	w.pass(10 * time.Minute) // 10:03:30 to 10:13:30: 10:10 has been
	w.wantTicks("10:10:00")
	w.now = w.now.Add(30 * time.Minute)
	w.pass(time.Minute)
	w.wantTicks("10:10:00 10:40:00+2")
}

func TestAPausedScheduleMakesNothingAndNothingIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("*/10 * * * *", function.CatchUpAll))
	w.pass(10 * time.Minute)
	w.change(catalog.Pause{Function: "f", Trigger: "t0", Paused: true})
	w.pass(25 * time.Minute)
	w.change(catalog.Pause{Function: "f", Trigger: "t0"})
	w.pass(10 * time.Minute)
	w.wantTicks("10:10:00 10:40:00")
}

func TestAScheduleThatChangesBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("*/10 * * * *", function.CatchUpAll))
	w.pass(10 * time.Minute)
	w.deploy(cronAt("*/4 * * * *", function.CatchUpAll)) // at 10:10:30: 10:04 and 10:08 were never planned
	w.pass(2 * time.Minute)
	w.deploy(cronAt("*/4 * * * *", function.CatchUpNone)) // the same schedule goes on
	w.restart()
	w.pass(4 * time.Minute)
	w.wantTicks("10:10:00 10:12:00 10:16:00")
	w.change(catalog.Remove{Function: "f"})
	w.pass(10 * time.Minute)
	w.wantTicks("10:10:00 10:12:00 10:16:00")
	w.restart()
	for id, k := range w.keep {
		if len(k.known) != 0 {
			t.Errorf("partition %d remembers %v of what is no more", id, k.known)
		}
	}
}

func TestJitterIsTheSameForEverybody(t *testing.T) {
	w := newWorld(t)
	trigger := cronAt("*/10 * * * *", function.CatchUpLast)
	trigger.Jitter = function.Duration(5 * time.Minute)
	w.deploy(trigger)
	w.pass(2 * time.Hour)
	ticks, _ := w.ticks()
	if len(ticks) != 12 && len(ticks) != 11 {
		t.Fatalf("%d ticks in two hours", len(ticks))
	}
	delays := map[time.Duration]bool{}
	plan := w.cat.View().Functions()[0].Triggers[1].Plan
	for _, tick := range ticks {
		d := tick.Fired.Sub(tick.Scheduled)
		want := late(plan.ID, tick.Scheduled, 5*time.Minute)
		if d < want || d > want+10*time.Millisecond || d > 5*time.Minute {
			t.Errorf("the tick of %s is late by %s, want %s", tick.Scheduled, d, want)
		}
		delays[d] = true
	}
	if len(delays) < 8 {
		t.Errorf("%d ticks are late by %d different times", len(ticks), len(delays))
	}
}

func TestATickWhoseCommitFailsIsMadeByTheNext(t *testing.T) {
	w := newWorld(t)
	w.deploy(cronAt("*/10 * * * *", function.CatchUpLast))
	w.pass(9*time.Minute + 20*time.Second)
	w.now = w.now.Add(20 * time.Second)
	w.lose = eventlog.ErrFenced
	var failed error
	for _, k := range w.keep {
		if _, err := k.round(t.Context()); err != nil {
			failed = err
		}
	}
	if !errors.Is(failed, eventlog.ErrFenced) {
		t.Fatalf("round = %v, want %v", failed, eventlog.ErrFenced)
	}
	w.restart()
	w.pass(time.Minute)
	w.wantTicks("10:10:00")
	last, err := w.cron.Last(t.Context())
	plan := w.cat.View().Functions()[0].Triggers[1].Plan
	if err != nil || !last[plan.ID].Equal(time.Date(2026, 3, 1, 10, 10, 0, 0, time.UTC)) {
		t.Errorf("Last = %v, %v", last, err)
	}
}

func TestProgressThatCannotBeReadIsRefused(t *testing.T) {
	good, err := progress{Planned: time.Unix(1e9, 0).UTC(), Missed: 3}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := decodeProgress(good); err != nil || p.Missed != 3 {
		t.Errorf("decodeProgress(%q) = %+v, %v", good, p, err)
	}
	for _, bad := range []string{"", "\x02{}", "\x01{}", "\x01", string(good) + "{}", "\x01{\"planned\":\"2026-01-01T00:00:00Z\",\"missed\":-1}",
		"\x01{\"planned\":\"2026-01-01T00:00:00Z\",\"ticked\":\"2026-01-02T00:00:00Z\"}", "\x01{\"planned\":\"2026-01-01T00:00:00Z\",\"new\":1}"} {
		if p, err := decodeProgress([]byte(bad)); err == nil {
			t.Errorf("decodeProgress(%q) = %+v, want an error", bad, p)
		}
	}
}

func FuzzDecodeProgress(f *testing.F) {
	f.Add([]byte("\x01{\"planned\":\"2026-01-01T00:00:00Z\",\"missed\":1}"))
	f.Add([]byte("\x01"))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := decodeProgress(value)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		if q, err := decodeProgress(again); err != nil || !q.Planned.Equal(p.Planned) || q.Missed != p.Missed {
			t.Fatalf("%+v reads back as %+v, %v", p, q, err)
		}
	})
}
