package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

// world is a log, a catalog, and who judges at the times that the test says.
type world struct {
	*testing.T
	log     *disk.Log
	catalog *catalog.Catalog
	now     time.Time
	lags    map[string]Lag
	unasked error // why the lags are only a part
	keeper  *Keeper
	judge   *judge
}

func newWorld(t *testing.T, alerts ...function.Alert) *world {
	t.Helper()
	w := &world{T: t, now: time.Now().Truncate(time.Second)}
	var err error
	w.log, err = disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	w.ok(err)
	for _, topic := range []string{function.TopicControl, function.TopicAlerts, function.TopicRequests, function.TopicRuns, function.TopicLogs, function.TopicEvents, function.TopicCallbacks} {
		w.ok(w.log.CreateTopic(t.Context(), eventlog.Topic{Name: topic, Partitions: 1, Compact: topic == function.TopicCallbacks}))
	}
	w.catalog, err = catalog.New(catalog.Options{Log: w.log})
	w.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.catalog.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); w.log.Close() })
	w.submit(catalog.SetSecret{Name: "key", Sealed: secret.Sealed{Key: "age1x"}})
	for _, a := range alerts {
		w.submit(catalog.SetAlert{Alert: a})
	}
	w.keeper, err = New(Options{Log: w.log, Catalog: w.catalog, Now: func() time.Time { return w.now }, Lag: func(context.Context) (map[string]Lag, error) { return w.lags, w.unasked }})
	w.ok(err)
	w.restart()
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) submit(c catalog.Change) {
	w.Helper()
	_, err := w.catalog.Submit(w.Context(), c)
	w.ok(err)
}

// restart has another owner judge, who knows what the log says.
func (w *world) restart() {
	w.Helper()
	said, err := w.keeper.States(w.Context())
	w.ok(err)
	w.judge = &judge{Keeper: w.keeper, own: eventlog.Owned{Partition: place(), Commit: w.log.Append}, said: said}
}

// after lets time pass, and judges.
func (w *world) after(d time.Duration) {
	w.Helper()
	w.now = w.now.Add(d)
	w.ok(w.judge.round(w.Context()))
}

func (w *world) happens(topic, typ, fn string, data any) {
	w.Helper()
	text, err := json.Marshal(data)
	w.ok(err)
	r := eventlog.FromEvent(topic, &event.Event{ID: event.NewID(), Source: "/x", Type: typ, Subject: fn, Data: text})
	r.Time = w.now
	_, err = w.log.Append(w.Context(), []eventlog.Record{r})
	w.ok(err)
}

// called says that a function was called so often, and failed so often.
func (w *world) called(fn string, well, failed int) {
	w.Helper()
	for i := range well + failed {
		q := function.Request{Function: fn, Outcome: function.Succeeded, Status: 200, Duration: function.Duration(10 * time.Millisecond)}
		if i >= well {
			q.Outcome, q.Status = function.Failed, 502
		}
		w.happens(function.TopicRequests, event.TypeRequestCompleted, fn, q)
	}
}

// said are the changes of an alert that the log has, the oldest first.
func (w *world) said(name string) string {
	w.Helper()
	all, err := w.keeper.History(w.Context(), name, 100)
	w.ok(err)
	var words []string
	for i := len(all) - 1; i >= 0; i-- {
		words = append(words, string(all[i].State)+" "+all[i].Shown)
	}
	return strings.Join(words, ", ")
}

func (w *world) want(name, want string) {
	w.Helper()
	if got := w.said(name); got != want {
		w.Errorf("of %s was said: %s; want %s", name, got, want)
	}
}

func TestAnAlertFiresOnceAndIsResolved(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "fails", When: "error-rate > 10% for 30s", Functions: []string{"pay"}, Window: function.Duration(time.Minute)})
	w.called("pay", 5, 4)
	w.after(0)
	w.after(40 * time.Second)
	w.want("fails", "") // of 9 calls nothing is said
	w.called("pay", 6, 5)
	w.called("bake", 0, 50) // another function
	w.after(0)
	w.after(20 * time.Second)
	w.want("fails", "") // not for long enough
	w.called("pay", 0, 1)
	w.after(12 * time.Second)
	w.want("fails", "firing 50%")
	for range 5 {
		w.after(time.Second)
	}
	w.want("fails", "firing 50%") // and once
	w.restart()
	w.after(time.Second)
	w.want("fails", "firing 50%") // another owner knows
	w.called("pay", 200, 0)
	w.after(time.Second)
	w.after(20 * time.Second)
	w.called("pay", 10, 20)
	w.after(time.Second) // again, before it was resolved
	w.called("pay", 500, 0)
	w.after(time.Second)
	w.after(29 * time.Second)
	w.want("fails", "firing 50%")
	w.after(2 * time.Second)
	if got := w.said("fails"); !strings.HasPrefix(got, "firing 50%, ok ") {
		t.Errorf("was said: %s; want that it is resolved", got)
	}
	history, err := w.keeper.History(t.Context(), "fails", 1)
	if err != nil || len(history) != 1 || history[0].Fired == nil || !history[0].Fired.Before(history[0].Since) || history[0].When != "error-rate > 10% for 30s" {
		t.Errorf("the newest is %+v, %v", history, err)
	}
}

func TestEachMeasureIsOfWhatHappens(t *testing.T) {
	died := function.Run{Function: "pay", State: function.RunDead, Attempts: []function.Attempt{{ID: "i-1", Version: 1, Outcome: function.Failed, Duration: function.Duration(time.Second)}}}
	resolved := died
	resolved.Reason = function.ReasonResolved + "discarded"
	for _, c := range []struct {
		when   string
		happen func(w *world)
		want   string
	}{
		{"p95 > 500ms", func(w *world) {
			for i := range 20 {
				w.happens(function.TopicRequests, event.TypeRequestCompleted, "pay", function.Request{Function: "pay", Outcome: function.Succeeded, Duration: function.Duration(time.Duration(i) * 50 * time.Millisecond)})
			}
		}, "firing 950ms"},
		{"p95 > 500ms", func(w *world) { w.called("pay", 50, 0) }, ""},
		{"invocations < 3", func(w *world) { w.called("pay", 2, 0) }, "firing 2"},
		{"invocations > 3", func(w *world) { // attempts of runs are invocations too, each once
			for range 2 {
				w.happens(function.TopicRuns, event.TypeRunFinished, "pay", died)
			}
			w.called("pay", 2, 1)
			w.happens(function.TopicRuns, event.TypeBatchFinished, "pay", function.RunBatch{Run: function.Run{Function: "pay", State: function.RunSucceeded, Attempts: []function.Attempt{{ID: "i-2", Batch: 9, Outcome: function.Succeeded}}}})
		}, "firing 5"},
		{"dead-letters > 0", func(w *world) {
			w.happens(function.TopicRuns, event.TypeRunFinished, "pay", died)
			w.happens(function.TopicRuns, event.TypeRunFinished, "pay", resolved)
		}, "firing 1"},
		{"breakers-opened > 0", func(w *world) {
			w.happens(function.TopicEvents, event.TypeBreakerOpened, "pay", function.BreakerChanged{Function: "pay"})
			w.happens(function.TopicEvents, event.TypeBreakerClosed, "pay", function.BreakerChanged{Function: "pay"})
		}, "firing 1"},
		{"lag > 100", func(w *world) { w.lags = map[string]Lag{"pay": {Events: 101}, "other": {Events: 5000}} }, "firing 101"},
		{"error-rate > 5%", func(w *world) { // what the client did wrongly is not the function's failure
			for range 20 {
				w.happens(function.TopicRequests, event.TypeRequestCompleted, "pay", function.Request{Function: "pay", Outcome: function.Failed, Status: 404})
			}
			w.happens(function.TopicRequests, event.TypeRequestCompleted, "pay", "no request")
		}, ""},
	} {
		w := newWorld(t, function.Alert{Name: "a", When: c.when, Functions: []string{"pa*"}})
		c.happen(w)
		w.after(time.Second)
		if got := w.said("a"); got != c.want {
			t.Errorf("%s: %s, want %s", c.when, got, c.want)
		}
	}
}

func TestLinesAreCountedByLevelAndText(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "oven", When: "log-lines > 1", Level: function.LogWarn, Text: "COLD", Calm: function.Duration(time.Second), Window: function.Duration(10 * time.Second)})
	for _, text := range []string{"ERROR oven is cold", "oven is cold", "ERROR oven is hot", `{"level":"warn","msg":"cold"}`} {
		w.happens(function.TopicLogs, event.TypeLogWritten, "bake", function.LogLine{Function: "bake", Text: text})
	}
	w.after(time.Second)
	w.want("oven", "firing 2")
	w.after(8 * time.Second)
	w.want("oven", "firing 2") // still in the window
	w.after(3 * time.Second)
	w.after(time.Second)
	w.want("oven", "firing 2, ok 0")
}

func TestAnAlertThatIsChangedOrRemovedIsResolved(t *testing.T) {
	one := function.Alert{Name: "a", When: "invocations > 0"}
	w := newWorld(t, one)
	w.called("pay", 1, 0)
	w.after(time.Second)
	w.want("a", "firing 1")
	w.now = w.now.Add(time.Minute) // the log's own clock says when an alert was changed
	one.When = "invocations > 1000"
	w.submit(catalog.SetAlert{Alert: one})
	w.after(0)
	w.want("a", "firing 1, ok 1")
	w.submit(catalog.RemoveAlert{Name: "a"})
	w.after(0)
	w.want("a", "firing 1, ok 1")
	if len(w.judge.watched) != 0 {
		t.Errorf("a removed alert is judged: %+v", w.judge.watched)
	}
}

// TestALagThatCannotBeAskedForChangesNothing has the log answer for one node only, or not at all.
func TestALagThatCannotBeAskedForChangesNothing(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "behind", When: "lag > 1000"}, function.Alert{Name: "idle", When: "lag < 10 for 10s"})
	w.lags = map[string]Lag{"pay": {Events: 5000}}
	w.after(time.Second)
	w.want("behind", "firing 5000")
	w.lags, w.unasked = map[string]Lag{"pay": {3, true}}, errors.New("no broker answers")
	for range 30 {
		w.after(10 * time.Second)
	}
	w.want("behind", "firing 5000")
	w.want("idle", "")
	w.lags = nil
	for range 30 {
		w.after(10 * time.Second)
	}
	w.want("behind", "firing 5000")
	w.want("idle", "")
	w.lags, w.unasked = map[string]Lag{"pay": {Events: 3}}, nil
	for range 30 {
		w.after(10 * time.Second)
	}
	w.want("behind", "firing 5000, ok 3")
	w.want("idle", "firing 3")
}

// TestAPartOfALagDecidesWhereItCan: it is a lower bound. What is known of other functions is judged as ever.
func TestAPartOfALagDecidesWhereItCan(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "behind", When: "lag > 1000"}, function.Alert{Name: "idle", When: "lag < 10"},
		function.Alert{Name: "ship", When: "lag > 10", Functions: []string{"ship"}})
	w.lags = map[string]Lag{"pay": {Events: 3}, "ship": {Events: 0}}
	w.after(time.Second)
	w.want("idle", "firing 3")
	w.lags, w.unasked = map[string]Lag{"pay": {5000, true}, "ship": {Events: 20}}, errors.New("not all was read in time")
	for range 30 {
		w.after(10 * time.Second)
	}
	w.want("behind", "firing 5000")
	w.want("idle", "firing 3, ok 5000")
	w.want("ship", "firing 20")
	w.lags = map[string]Lag{"pay": {3, true}, "ship": {Events: 0}}
	for range 30 {
		w.after(10 * time.Second)
	}
	w.want("behind", "firing 5000")
	w.want("idle", "firing 3, ok 5000")
	w.want("ship", "firing 20, ok 0")
}

// TestAWebhookIsToldInTheSameTransaction: the callback has the event, and a try is marked.
func TestAWebhookIsToldInTheSameTransaction(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "a", When: "invocations > 0", Webhook: "https://ops.example/in", Secret: "key"})
	_, err := w.keeper.Test(t.Context(), "a")
	w.ok(err)
	w.restart() // what was a try is no state
	w.called("pay", 1, 0)
	w.after(time.Second)
	w.after(time.Second)
	w.want("a", "firing 0, firing 1")
	said := ""
	_, err = eventlog.ReadAll(t.Context(), w.log, eventlog.Partition{Topic: function.TopicCallbacks}, func(r *eventlog.Record) error {
		var c function.Callback
		w.ok(json.Unmarshal(r.Value, &c))
		var e struct {
			ID, Type string
			Data     function.AlertChanged
		}
		w.ok(json.Unmarshal(c.Body, &e))
		said += fmt.Sprintf("%s %s %s %v %v; ", c.URL, c.Secret, e.Type, e.Data.Test, e.ID == string(r.Key))
		return nil
	})
	w.ok(err)
	if want := "https://ops.example/in key dalamb.alert.fired.v1 true true; https://ops.example/in key dalamb.alert.fired.v1 false true; "; said != want {
		t.Errorf("callbacks: %s, want %s", said, want)
	}
}

// TestWhatHappenedBeforeANewOwnerCounts: he reads as far back as the window is long.
func TestWhatHappenedBeforeANewOwnerCounts(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "a", When: "invocations > 4"})
	w.called("pay", 3, 0)
	w.after(10 * time.Second)
	w.restart()
	w.called("pay", 2, 0)
	w.after(time.Second)
	w.want("a", "firing 5")
}

func TestKeepJudgesUntilItIsTold(t *testing.T) {
	w := newWorld(t, function.Alert{Name: "a", When: "lag > 0"})
	w.lags = map[string]Lag{"pay": {Events: 1}}
	k, err := New(Options{Log: w.log, Catalog: w.catalog, Every: time.Millisecond, Lag: func(context.Context) (map[string]Lag, error) { return w.lags, nil }})
	w.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := k.Keep(ctx, eventlog.Owned{Partition: place(), Commit: w.log.Append}); err != nil {
			t.Errorf("Keep = %v", err)
		}
	})
	rs, err := w.log.Read(t.Context(), place(), 0, eventlog.ReadOptions{})
	cancel()
	keeping.Wait()
	if err != nil || len(rs) != 1 {
		t.Fatalf("records %v, %v", rs, err)
	}
	w.want("a", "firing 1")
}

func TestWhatIsRememberedOfFailuresIsBounded(t *testing.T) {
	s := newSeen()
	for i := range 5 * mostSeen {
		id := fmt.Sprint("attempt-", i)
		if s.add(id) || !s.add(id) {
			t.Fatalf("attempt %d is not new once", i)
		}
		if near := fmt.Sprint("attempt-", i-mostSeen/2); i >= mostSeen/2 && !s.add(near) {
			t.Fatalf("attempt %d is not known any more, %d later", i, mostSeen/2)
		}
		if n := len(s.newer) + len(s.older); n > 2*mostSeen {
			t.Fatalf("%d attempts are remembered", n)
		}
	}
}
