package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
)

// world is a log, a catalog with two functions, and a clock that the test sets.
type world struct {
	*testing.T
	log     *disk.Log
	catalog *catalog.Catalog
	now     time.Time
	keeper  *Keeper
}

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: noon.Add(10 * time.Minute)}
	var err error
	w.log, err = disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	w.ok(err)
	for _, topic := range []string{function.TopicControl, function.TopicInvoke, function.TopicUsage, function.TopicRequests, function.TopicRuns, function.TopicBuilds} {
		w.ok(w.log.CreateTopic(t.Context(), eventlog.Topic{Name: topic, Partitions: 1, Retention: eventlog.Forever}))
	}
	w.catalog, err = catalog.New(catalog.Options{Log: w.log})
	w.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.catalog.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); w.log.Close() })
	for name, memory := range map[string]function.Bytes{"pay": 128 << 20, "staging.pay": 512 << 20} {
		v := function.Version{Code: "sha256:" + strings.Repeat("0", 64), Spec: function.Spec{Name: name, Resources: function.Resources{Memory: memory}}}
		_, err := w.catalog.Submit(t.Context(), catalog.Deploy{Version: v, Alias: "live"})
		w.ok(err)
	}
	w.keeper, err = New(Options{Log: w.log, Catalog: w.catalog, Now: func() time.Time { return w.now }})
	w.ok(err)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// at says that something happened so long after noon.
func (w *world) at(after time.Duration, topic, typ string, data any) {
	w.Helper()
	text, err := json.Marshal(data)
	w.ok(err)
	r := eventlog.FromEvent(topic, &event.Event{ID: event.NewID(), Source: "/x", Type: typ, Data: text})
	r.Time = noon.Add(after)
	_, err = w.log.Append(w.Context(), []eventlog.Record{r})
	w.ok(err)
}

// day is what happens from 12:00 to 13:30. By hand, of 12: pay is called twice, for 100 ms and 0.2 ms, which is 1, and runs an event for 1 s: 1101 ms with 128 MiB are
// 140928 MiB ms; a batch for 2 s is one invocation, 2000 ms more, 256000; its build took 90 s. staging.pay is called once, for 3 ms with 512 MiB: 1536. And of 13 one call of 10 ms.
func (w *world) day() {
	w.Helper()
	call := func(after time.Duration, fn string, took time.Duration) {
		w.at(after, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: fn, Version: 1, BodySize: 10, AnswerSize: 100, Duration: function.Duration(took)})
	}
	attempt := func(id string, took time.Duration, o function.Outcome) []function.Attempt {
		return []function.Attempt{{ID: id, Version: 1, Duration: function.Duration(took), Outcome: o}}
	}
	call(-time.Second, "pay", time.Hour) // of the hour before
	call(0, "pay", 100*time.Millisecond)
	call(time.Minute, "pay", 200*time.Microsecond)
	call(time.Minute, "staging.pay", 3*time.Millisecond)
	run := function.Run{Function: "pay", State: function.RunSucceeded, Attempts: attempt("a", time.Second, function.Succeeded)}
	w.at(time.Minute, function.TopicRuns, event.TypeRunFinished, run)
	for range 3 { // one attempt with three events, of each of which is told
		run.Attempts = attempt("b", 2*time.Second, function.Failed)
		w.at(2*time.Minute, function.TopicRuns, event.TypeAttemptFailed, run)
	}
	for range 2 { // a build's end may be there twice
		w.at(3*time.Minute, function.TopicBuilds, event.TypeBuildFinished, function.BuildEvent{ID: "b", Functions: []string{"pay", "other"}, Took: function.Duration(90 * time.Second)})
	}
	call(time.Hour, "pay", 10*time.Millisecond)
}

const (
	twelve   = "12 pay: 4 invocations, 3101 ms, 396928 MiB ms, 20 in, 200 out, 90000 built; 12 staging.pay: 1 invocations, 3 ms, 1536 MiB ms, 10 in, 100 out, 0 built; "
	thirteen = "13 pay: 1 invocations, 10 ms, 1280 MiB ms, 10 in, 100 out, 0 built; "
)

func told(all []function.Usage) string {
	said := ""
	for _, u := range all {
		said += fmt.Sprintf("%d %s: %d invocations, %d ms, %d MiB ms, %d in, %d out, %d built; ", u.Hour.Hour(), u.Function, u.Invocations, u.Millis, u.MiBMillis, u.BytesIn, u.BytesOut, u.BuildMillis)
	}
	return said
}

// stored are the events of usage in the log.
func (w *world) stored() (ids map[string]int, said string) {
	w.Helper()
	ids = map[string]int{}
	var all []function.Usage
	_, err := eventlog.ReadAll(w.Context(), w.log, place(), func(r *eventlog.Record) error {
		e, err := eventlog.ToEvent(*r)
		w.ok(err)
		ids[e.ID]++
		if u, ok := decode(r); ok && !u.complete {
			all = append(all, u.Usage)
		}
		return nil
	})
	w.ok(err)
	return ids, told(all)
}

// keep has an owner count what is over; commit may end him.
func (w *world) keep(commit func(context.Context, []eventlog.Record) ([]eventlog.Position, error)) error {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	done := make(chan struct{})
	once := sync.OnceFunc(func() { close(done) })
	last := w.now.Add(-time.Hour - settling).Truncate(time.Hour)
	go func() {
		ended <- w.keeper.Keep(ctx, eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicJobs}, Commit: func(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
			at, err := commit(ctx, rs)
			if u, ok := decode(&rs[len(rs)-1]); ok && err == nil && u.Hour.Equal(last) {
				once()
			}
			return at, err
		}})
	}()
	select {
	case err := <-ended:
		cancel()
		return err
	case <-done:
	case <-time.After(10 * time.Second):
		w.Error("the last hour is not stored in 10s")
	}
	cancel()
	return <-ended
}

func TestHoursAreCountedOnceWhateverEndsANode(t *testing.T) {
	w := newWorld(t)
	w.day()
	all, err := w.keeper.Hours(t.Context(), noon, w.now, anyFunction, mostRows)
	if err != nil || told(all) != twelve {
		t.Errorf("while the hour goes on: %s, %v, want %s", told(all), err, twelve)
	}
	if n, _, err := w.keeper.resume(t.Context()); err != nil || !n.Equal(noon.Add(-time.Hour)) {
		t.Errorf("a log that was never counted begins with %v, %v, want the hour of its oldest record", n, err)
	}
	first, err := record(event.TypeUsageCompleted, noon.Add(-time.Hour), "", function.UsageHour{Hour: noon.Add(-time.Hour)})
	w.ok(err)
	if _, err := w.log.Append(t.Context(), []eventlog.Record{first}); err != nil {
		t.Fatal(err)
	}
	w.now = noon.Add(2*time.Hour + 5*time.Minute)

	killed := errors.New("killed")
	if err := w.keep(func(context.Context, []eventlog.Record) ([]eventlog.Position, error) { return nil, killed }); !errors.Is(err, killed) {
		t.Fatalf("a node that was killed before it stored: %v", err)
	}
	if _, said := w.stored(); said != "" {
		t.Fatalf("stored: %s, want nothing", said)
	}
	n := 0
	err = w.keep(func(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
		if n++; n == 1 { // stored, and nobody was told
			if _, err := w.log.Append(ctx, rs); err != nil {
				return nil, err
			}
		}
		return nil, killed
	})
	if !errors.Is(err, killed) {
		t.Fatalf("a node that was killed after it stored: %v", err)
	}
	if _, said := w.stored(); said != twelve {
		t.Fatalf("stored: %s, want %s", said, twelve)
	}
	for range 2 { // the second finds nothing to do
		ctx, cancel := context.WithCancel(t.Context())
		if n, _, err := w.keeper.resume(ctx); err == nil && n.Equal(noon.Add(time.Hour)) {
			w.ok(w.keep(w.log.Append))
		}
		cancel()
	}
	ids, said := w.stored()
	if said != twelve+thirteen {
		t.Errorf("stored: %s, want %s", said, twelve+thirteen)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("event %s is there %d times", id, n)
		}
	}
	all, err = w.keeper.Hours(t.Context(), noon.Add(-24*time.Hour), w.now, anyFunction, mostRows)
	if err != nil || told(all) != twelve+thirteen {
		t.Errorf("afterwards: %s, %v, want %s", told(all), err, twelve+thirteen)
	}
	if all, err = w.keeper.Hours(t.Context(), noon.Add(time.Hour), noon.Add(2*time.Hour), anyFunction, mostRows); err != nil || told(all) != thirteen {
		t.Errorf("of one hour: %s, %v, want %s", told(all), err, thirteen)
	}
}

// forgetful is a log whose retention has taken what stood before an offset of the requests.
type forgetful struct {
	eventlog.Log
	start int64
}

func (f *forgetful) from(p eventlog.Partition, at int64) int64 {
	if p.Topic == function.TopicRequests {
		at = max(at, f.start)
	}
	return at
}

func (f *forgetful) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	b, err := f.Log.Bounds(ctx, p)
	b.Start = f.from(p, b.Start)
	return b, err
}

func (f *forgetful) OffsetAt(ctx context.Context, p eventlog.Partition, at time.Time) (int64, error) {
	found, err := f.Log.OffsetAt(ctx, p, at)
	return f.from(p, found), err
}

func (f *forgetful) Read(ctx context.Context, p eventlog.Partition, at int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	return f.Log.Read(ctx, p, f.from(p, at), o)
}

func TestAnHourThatLacksRecordsIsMarked(t *testing.T) {
	w := newWorld(t)
	w.day()
	w.at(61*time.Minute, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: "pay"})
	w.at(62*time.Minute, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: "pay"})
	log := &forgetful{Log: w.log}
	w.keeper.o.Log = log
	lacking := func(when string, want ...time.Time) {
		t.Helper()
		got, err := w.keeper.Lacking(t.Context(), noon.Add(-time.Hour), noon.Add(24*time.Hour))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: Lacking = %v, %v, want %v", when, got, err, want)
		}
	}
	w.now = noon.Add(time.Hour + 5*time.Minute)
	w.ok(w.keep(w.log.Append))
	log.start = 4 // all of the hour before was counted
	lacking("what was counted is gone")
	log.start = 6
	lacking("what was not counted is gone", noon.Add(time.Hour))
	w.now = noon.Add(2*time.Hour + 5*time.Minute)
	w.ok(w.keep(w.log.Append))
	lacking("the hour is stored", noon.Add(time.Hour))
	log.start = 7 // all that there is of the hour was counted, and nothing came since
	lacking("later", noon.Add(time.Hour))
	w.now = noon.Add(3*time.Hour + 5*time.Minute)
	w.ok(w.keep(w.log.Append))
	lacking("an hour later", noon.Add(time.Hour))
}

// TestEachHourIsMarkedThatWhatIsGoneMayBeOf has nobody count for hours; in the second of them nothing was used, and of the third some is gone, which nobody can tell from
// the second's.
func TestEachHourIsMarkedThatWhatIsGoneMayBeOf(t *testing.T) {
	w := newWorld(t)
	ask := func(after time.Duration) {
		w.at(after, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: "pay"})
	}
	ask(time.Minute)
	log := &forgetful{Log: w.log}
	w.keeper.o.Log = log
	w.now = noon.Add(time.Hour + 5*time.Minute)
	w.ok(w.keep(w.log.Append))
	ask(2*time.Hour + time.Minute)
	ask(2*time.Hour + 2*time.Minute)
	ask(3*time.Hour + time.Minute)
	log.start = 2
	w.now = noon.Add(4*time.Hour + 5*time.Minute)
	want := fmt.Sprint([]time.Time{noon.Add(time.Hour), noon.Add(2 * time.Hour)})
	for _, when := range []string{"before they are stored", "stored"} {
		got, err := w.keeper.Lacking(t.Context(), noon.Add(-time.Hour), noon.Add(24*time.Hour))
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: Lacking = %v, %v, want %v", when, got, err, want)
		}
		if when != "stored" {
			w.ok(w.keep(w.log.Append))
		}
	}
}

// TestEachRecordIsOfOneHourThoughClocksDiffer has a node whose clock is fast tell of the next hour while others still tell of this one.
func TestEachRecordIsOfOneHourThoughClocksDiffer(t *testing.T) {
	w := newWorld(t)
	for _, after := range []time.Duration{time.Hour - 2*time.Second, time.Hour + time.Millisecond, time.Hour - time.Second, time.Hour + settling - time.Second, time.Hour - time.Millisecond} {
		w.at(after, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: "pay", Version: 1, Duration: function.Duration(time.Millisecond)})
	}
	for hour, want := range []int64{3, 2, 0} {
		from := noon.Add(time.Duration(hour) * time.Hour)
		all, err := w.keeper.count(t.Context(), from, from.Add(time.Hour))
		w.ok(err)
		var got int64
		for _, u := range all {
			got += u.Invocations
		}
		if got != want {
			t.Errorf("%d invocations are of the hour from %s, want %d", got, from.Format(time.TimeOnly), want)
		}
	}
}

// readings counts the records that are read.
type readings struct {
	eventlog.Log
	records int
}

func (r *readings) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	rs, err := r.Log.Read(ctx, p, from, o)
	r.records += len(rs)
	return rs, err
}

// TestWhatWasCountedIsNotReadAgain asks for the last hours of many, twice.
func TestWhatWasCountedIsNotReadAgain(t *testing.T) {
	w := newWorld(t)
	for h := range 300 {
		hour := noon.Add(time.Duration(h-300) * time.Hour)
		for _, typ := range []string{event.TypeUsage, event.TypeUsageCompleted} {
			r, err := record(typ, hour, "pay", function.Usage{Hour: hour, Function: "pay", Used: function.Used{Invocations: 1}})
			w.ok(err)
			r.Time = hour.Add(time.Hour + settling)
			_, err = w.log.Append(t.Context(), []eventlog.Record{r})
			w.ok(err)
		}
	}
	for range 100 {
		w.at(time.Minute, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: "pay", Version: 1, Duration: function.Duration(time.Millisecond)})
	}
	log := &readings{Log: w.log}
	var err error
	w.keeper, err = New(Options{Log: log, Catalog: w.catalog, Now: func() time.Time { return w.now }})
	w.ok(err)
	ask := func(want string) {
		t.Helper()
		all, err := w.keeper.Hours(t.Context(), noon.Add(-time.Hour), w.now, anyFunction, mostRows)
		said := ""
		for _, u := range all {
			said += fmt.Sprintf("%d: %d; ", u.Hour.Hour(), u.Invocations)
		}
		if err != nil || said != want {
			t.Errorf("Hours = %s, %v, want %s", said, err, want)
		}
	}
	ask("11: 1; 12: 100; ")
	log.records = 0
	w.at(2*time.Minute, function.TopicRequests, event.TypeRequestCompleted, function.Request{Function: "pay", Version: 1, Duration: function.Duration(time.Millisecond)})
	ask("11: 1; 12: 101; ")
	if log.records > 5 {
		t.Errorf("the second answer read %d records, want one request and the stored hour that was asked for", log.records)
	}
	w.now = noon.Add(time.Hour + 5*time.Minute)
	w.ok(w.keep(w.log.Append))
	ask("11: 1; 12: 101; ")
	ctx, cancel := context.WithCancel(t.Context())
	w.keeper.turn <- struct{}{} // somebody counts
	cancel()
	if _, err := w.keeper.Hours(ctx, noon, w.now, anyFunction, mostRows); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone waits for his turn: %v", err)
	}
}

func TestOnlyWhatMayBeToldAgainIsRemembered(t *testing.T) {
	w := newWorld(t)
	c := w.keeper.newCounter(noon)
	for _, a := range []function.Attempt{{ID: "a", Outcome: function.Succeeded}, {ID: "b", Outcome: function.Failed}, {ID: "c", Batch: 2, Outcome: function.Succeeded}} {
		a.Version = 1
		c.run(&function.Run{Function: "pay", Attempts: []function.Attempt{a}})
	}
	if len(c.told) != 2 || c.told["a"] {
		t.Errorf("remembered are %v, want b and c", c.told)
	}
}

func TestOnlyTheOwnerOfTheFirstPartitionCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &Keeper{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- k.Keep(ctx, eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicJobs, ID: 1}})
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Keep = %v", err)
		}
	})
}
