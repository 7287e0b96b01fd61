package history

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// start is the time of the first record of every test; each record is a second later.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a log with the two topics, and a history of it.
type world struct {
	t    *testing.T
	log  eventlog.Log
	dir  string
	past atomic.Int64 // time since start
	last []eventlog.Position
	*History
	stop func()
}

func (w *world) now() time.Time { return start.Add(time.Duration(w.past.Load())) }

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &world{t: t, log: l, dir: filepath.Join(t.TempDir(), "history")}
	w.topic(eventlog.Topic{Name: function.TopicRuns, Partitions: 2, Retention: eventlog.Forever, MaxBytes: eventlog.Forever})
	w.topic(eventlog.Topic{Name: function.TopicDead, Partitions: 2, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: true})
	w.open()
	return w
}

func (w *world) topic(t eventlog.Topic) {
	w.t.Helper()
	if err := w.log.CreateTopic(w.t.Context(), t); err != nil {
		w.t.Fatal(err)
	}
}

// open opens the history and runs it; the test's end closes it when restart has not.
func (w *world) open() {
	w.t.Helper()
	h, err := Open(Options{Log: w.log, Dir: w.dir, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	w.History = h
	closed := false
	w.stop = func() {
		if closed {
			return
		}
		closed = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run = %v", err)
		}
		if err := h.Close(); err != nil {
			w.t.Errorf("Close = %v", err)
		}
	}
	w.t.Cleanup(w.stop)
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.open()
	w.catchUp()
}

func (w *world) catchUp() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if err := w.CatchUp(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) append(records ...eventlog.Record) {
	w.t.Helper()
	for i := range records {
		records[i].Time = w.now()
	}
	w.past.Add(int64(time.Second))
	at, err := w.log.Append(w.t.Context(), records)
	if err != nil {
		w.t.Fatal(err)
	}
	w.last = at
}

func record(t *testing.T, topic, typ, subject string, data any) eventlog.Record {
	t.Helper()
	b, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.FromEvent(topic, &event.Event{
		ID: event.NewID(), Source: "/test", Type: typ, Subject: subject, DataContentType: "application/json", Data: b,
	})
}

func (w *world) run(typ string, r function.Run) eventlog.Record {
	return record(w.t, function.TopicRuns, typ, r.ID, r)
}

func (w *world) dead(r function.Run) eventlog.Record {
	r.State = function.RunDead
	return record(w.t, function.TopicDead, event.TypeDeadLetterCreated, r.ID, function.DeadLetter{Run: r, Event: json.RawMessage(`{"id":"e"}`)})
}

func tombstone(id string) eventlog.Record {
	return eventlog.Record{Topic: function.TopicDead, Partition: eventlog.AnyPartition, Key: []byte(id)}
}

func story(id, fn string, state function.RunState, attempts ...int) function.Run {
	r := function.Run{ID: id, Function: fn, Trigger: "on-" + fn, State: state, Event: function.EventRef{Topic: "events", ID: "event-of-" + id}}
	for _, n := range attempts {
		r.Attempts = append(r.Attempts, function.Attempt{Number: n, Outcome: function.Failed})
	}
	return r
}

// shop appends the runs that most tests ask about.
func (w *world) shop() {
	w.append(w.run(event.TypeRunFinished, story("r1", "pay", function.RunSucceeded, 1)))
	w.append(w.run(event.TypeAttemptFailed, story("r2", "pay", function.RunRetrying, 1)))
	w.append(w.run(event.TypeAttemptFailed, story("r3", "ship", function.RunRetrying, 1)))
	w.append(w.run(event.TypeRunFinished, story("r2", "pay", function.RunSucceeded, 1, 2)))
	dead := story("r4", "pay", function.RunDead, 1, 2, 3)
	w.append(w.run(event.TypeRunFinished, dead), w.dead(dead))
}

// dump is everything that the index answers, for comparisons.
func (w *world) dump() string {
	w.t.Helper()
	runs, err := w.Runs(Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	dead, err := w.DeadLetters(Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := json.Marshal([]any{runs, dead})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func ids(runs []*function.Run) string {
	var out []string
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

func TestRunsAreFoundByWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.catchUp()
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"all", Query{}, "r4 r2 r3 r1"},
		{"function", Query{Function: "pay"}, "r4 r2 r1"},
		{"function that is not there", Query{Function: "pa"}, ""},
		{"trigger", Query{Trigger: "on-ship"}, "r3"},
		{"retrying", Query{State: function.RunRetrying}, "r3"},
		{"succeeded", Query{State: function.RunSucceeded}, "r2 r1"},
		{"function and state", Query{Function: "pay", State: function.RunDead}, "r4"},
		{"event", Query{EventID: "event-of-r2"}, "r2"},
		{"event of another function", Query{EventID: "event-of-r2", Function: "ship"}, ""},
		{"since", Query{Since: start.Add(3 * time.Second)}, "r4 r2"},
		{"before", Query{Before: start.Add(3 * time.Second)}, "r3 r1"},
		{"between", Query{Since: start.Add(2 * time.Second), Before: start.Add(4 * time.Second)}, "r2 r3"},
	} {
		p, err := w.Runs(c.q)
		if err != nil || ids(p.Rows) != c.want || p.Next != "" {
			t.Errorf("%s: Runs = %q next %q, %v, want %q", c.name, ids(p.Rows), p.Next, err, c.want)
		}
	}
}

// A function that seldom fails, among others that do all the time: its runs are found without a look at theirs, and are as they stand now.
func TestWhatFailsIsFoundByItsFunction(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.append(w.run(event.TypeRunFinished, story(fmt.Sprint("bad-", i), "bad", function.RunDead, 1)))
	}
	w.append(w.run(event.TypeAttemptFailed, story("g1", "good", function.RunRetrying, 1)), w.run(event.TypeRunFinished, story("g2", "good", function.RunDead, 1)))
	w.append(w.run(event.TypeRunFinished, story("g1", "good", function.RunDead, 1, 2)))
	w.append(record(t, function.TopicRuns, event.TypeDeadLetterResolved, "g2", map[string]string{"reason": "seen"}))
	w.catchUp()
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Function: "good", State: function.RunDead}, "g2 g1"},
		{Query{Function: "good", State: function.RunRetrying}, ""},
		{Query{Function: "goo", State: function.RunDead}, ""},
		{Query{Function: "good", State: function.RunDead, Before: start.Add(22 * time.Second)}, "g1"},
	} {
		p, err := w.Runs(c.q)
		if err != nil || ids(p.Rows) != c.want {
			t.Errorf("Runs(%+v) = %q, %v, want %q", c.q, ids(p.Rows), err, c.want)
		}
		s, err := w.newScan(runsTable(), c.q, c.q.probes(runsTable()))
		if err != nil {
			t.Fatal(err)
		}
		looked := 0
		for s.next() {
			looked++
		}
		s.close()
		if want := len(strings.Fields(c.want)); looked != want {
			t.Errorf("Runs(%+v) looks at %d rows, want %d", c.q, looked, want)
		}
	}
	w.past.Add(int64(48 * time.Hour))
	day := 24 * time.Hour
	if err := w.log.AlterTopic(t.Context(), function.TopicRuns, eventlog.TopicChange{Retention: &day}); err != nil {
		t.Fatal(err)
	}
	topics, err := w.log.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if topic.Name == function.TopicRuns {
			if err := w.expire(t.Context(), runsTable(), topic); err != nil {
				t.Fatal(err)
			}
		}
	}
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'R'}, UpperBound: []byte{'R' + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		t.Errorf("when all runs are past, the index still has %q", it.Key())
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.append(w.run(event.TypeRunFinished, story(fmt.Sprint("r", i), "pay", function.RunSucceeded)))
	}
	// Two of the same time.
	w.append(w.run(event.TypeRunFinished, story("s1", "pay", function.RunSucceeded)), w.run(event.TypeRunFinished, story("s2", "pay", function.RunSucceeded)))
	w.catchUp()
	for _, q := range []Query{{Limit: 2}, {Limit: 2, Function: "pay"}, {Limit: 3}} {
		got := w.pages(q)
		if want := []string{"s1", "s2", "r6", "r5", "r4", "r3", "r2", "r1", "r0"}; !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", q.Limit, got, want)
		}
	}
	if _, err := w.Runs(Query{After: "nonsense!"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Runs after nonsense = %v, want invalid", err)
	}
}

func TestARunKeepsAllAttempts(t *testing.T) {
	w := newWorld(t)
	w.append(w.run(event.TypeAttemptFailed, story("r", "pay", function.RunRetrying, 1)))
	w.append(w.run(event.TypeAttemptFailed, story("r", "pay", function.RunRetrying, 2)))
	w.append(w.run(event.TypeRunFinished, story("r", "pay", function.RunSucceeded, 2, 3)))
	w.catchUp()
	r, err := w.RunByID("r")
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, a := range r.Attempts {
		numbers = append(numbers, a.Number)
	}
	if r.State != function.RunSucceeded || !slices.Equal(numbers, []int{1, 2, 3}) {
		t.Errorf("run is %s with attempts %v, want succeeded with 1 2 3", r.State, numbers)
	}
	if _, err := w.RunByID("x"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("RunByID(x) = %v, want not found", err)
	}
}

// The same end told twice, as by two owners of one partition, is one run, where it was told last.
func TestARunThatEndedTwiceIsListedOnce(t *testing.T) {
	w := newWorld(t)
	w.append(w.run(event.TypeRunFinished, story("twice", "pay", function.RunDead, 1)))
	w.append(w.run(event.TypeRunFinished, story("other", "pay", function.RunSucceeded, 1)))
	w.append(w.run(event.TypeRunFinished, story("twice", "pay", function.RunSucceeded, 1)))
	w.catchUp()
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "twice other"}, {Query{Function: "pay"}, "twice other"}, {Query{EventID: "event-of-twice"}, "twice"},
		{Query{State: function.RunDead}, ""}, {Query{Limit: 1}, "twice"},
	} {
		if p, err := w.Runs(c.q); err != nil || ids(p.Rows) != c.want {
			t.Errorf("Runs(%+v) = %q, %v, want %q", c.q, ids(p.Rows), err, c.want)
		}
	}
}

func TestADeadLetterGoesByItsTombstone(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.catchUp()
	d, err := w.DeadLetter("r4")
	if err != nil || d.Run.Function != "pay" || len(d.Run.Attempts) != 3 || string(d.Event) != `{"id":"e"}` {
		t.Fatalf("DeadLetter = %+v, %v", d, err)
	}
	if p, err := w.DeadLetters(Query{Function: "ship"}); err != nil || len(p.Rows) != 0 {
		t.Errorf("DeadLetters of ship = %v, %v, want none", p.Rows, err)
	}
	w.append(tombstone("r4"), record(t, function.TopicRuns, event.TypeDeadLetterResolved, "r4", map[string]string{"id": "r4", "reason": "redriven", "run": "r9"}))
	for _, at := range w.last {
		if err := w.Wait(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.DeadLetter("r4"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("DeadLetter after its tombstone = %v, want not found", err)
	}
	if p, err := w.DeadLetters(Query{}); err != nil || len(p.Rows) != 0 {
		t.Errorf("DeadLetters = %v, %v, want none", p.Rows, err)
	}
	r, err := w.RunByID("r4")
	if err != nil || r.State != function.RunDead || r.Reason != "resolved: redriven by run r9" {
		t.Errorf("run = %+v, %v, want dead and resolved", r, err)
	}
}

// Every record is folded twice, and once more after a restart.
func TestFoldIsSafeUnderRedelivery(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.append(w.dead(story("r5", "ship", function.RunDead, 1)))
	w.append(tombstone("r4"), record(t, function.TopicRuns, event.TypeDeadLetterResolved, "r4", map[string]string{"reason": "redriven"}))
	w.catchUp()
	want := w.dump()
	w.restart()
	if got := w.dump(); got != want {
		t.Fatalf("after a restart\n%s\nwant\n%s", got, want)
	}
	w.stop()
	h, err := Open(Options{Log: w.log, Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	w.History = h
	defer h.Close()
	for _, topic := range []string{function.TopicRuns, function.TopicDead} {
		for id := range int32(2) {
			p := eventlog.Partition{Topic: topic, ID: id}
			records, err := w.log.Read(t.Context(), p, 0, eventlog.ReadOptions{NoWait: true})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				// A fold that has forgotten how far it was.
				if err := (&fold{history: h, table: tableOf(topic), partition: p}).apply(records); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if got := w.dump(); got != want {
		t.Errorf("folded again\n%s\nwant\n%s", got, want)
	}
}

func TestTheIndexIsBuiltAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		hurt func(t *testing.T, w *world)
	}{
		{"thrown away", func(t *testing.T, w *world) { must(t, os.RemoveAll(w.dir)) }},
		{"another format", func(t *testing.T, w *world) {
			must(t, os.WriteFile(filepath.Join(w.dir, formatFile), []byte("999"), 0o600))
		}},
		{"no format", func(t *testing.T, w *world) { must(t, os.Remove(filepath.Join(w.dir, formatFile))) }},
		{"damaged", func(t *testing.T, w *world) {
			names, err := filepath.Glob(filepath.Join(w.dir, "MANIFEST-*"))
			if err != nil || len(names) == 0 {
				t.Fatal("no manifest to damage", err)
			}
			for _, n := range names {
				must(t, os.WriteFile(n, []byte("this is not what stood here before, and long enough to be read"), 0o600))
			}
		}},
		{"too old", func(t *testing.T, w *world) { w.past.Add(int64(2 * staleDead)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.shop()
			w.catchUp()
			want := w.dump()
			w.stop()
			c.hurt(t, w)
			w.open()
			w.catchUp()
			if got := w.dump(); got != want {
				t.Errorf("after that\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnotherLogIsAnotherHistory(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.catchUp()
	w.stop()
	for _, topic := range []string{function.TopicRuns, function.TopicDead} {
		must(t, w.log.DeleteTopic(t.Context(), topic))
		w.topic(eventlog.Topic{Name: topic, Partitions: 2, Retention: eventlog.Forever, MaxBytes: eventlog.Forever, Compact: topic == function.TopicDead})
	}
	w.append(w.run(event.TypeRunFinished, story("new", "pay", function.RunSucceeded)))
	w.open()
	w.catchUp()
	if p, err := w.Runs(Query{}); err != nil || ids(p.Rows) != "new" {
		t.Errorf("Runs = %q, %v, want only that of the new topic", ids(p.Rows), err)
	}
	if p, err := w.DeadLetters(Query{}); err != nil || len(p.Rows) != 0 {
		t.Errorf("DeadLetters = %d, %v, want none", len(p.Rows), err)
	}
}

func TestExpiredRowsGo(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.catchUp()
	w.stop()
	hour := time.Hour
	must(t, w.log.AlterTopic(t.Context(), function.TopicRuns, eventlog.TopicChange{Retention: &hour}))
	// r1, r2 and r3 are older than an hour, r4 is not.
	w.past.Store(int64(hour + 3500*time.Millisecond))
	h, err := Open(Options{Log: w.log, Dir: w.dir, Now: w.now})
	must(t, err)
	defer h.Close()
	_, err = h.survey(t.Context(), map[eventlog.Partition]bool{})
	must(t, err)
	p, err := h.Runs(Query{})
	if err != nil || ids(p.Rows) != "r4" {
		t.Errorf("Runs = %q, %v, want r4 alone", ids(p.Rows), err)
	}
	if p, err := h.Runs(Query{EventID: "event-of-r1"}); err != nil || len(p.Rows) != 0 {
		t.Errorf("Runs of an expired event = %q, %v, want none", ids(p.Rows), err)
	}
	if _, err := h.RunByID("r1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("RunByID of an expired run = %v, want not found", err)
	}
	if p, err := h.DeadLetters(Query{}); err != nil || len(p.Rows) != 1 {
		t.Errorf("DeadLetters = %d, %v, want the one that no retention took", len(p.Rows), err)
	}
}

func TestRecordsOfNoMeaningAreSkipped(t *testing.T) {
	w := newWorld(t)
	w.append(
		eventlog.Record{Topic: function.TopicRuns, Value: []byte("no event")},
		record(t, function.TopicRuns, event.TypeRunFinished, "x", "no run"),
		record(t, function.TopicRuns, event.TypeRunFinished, "x", function.Run{}),
		record(t, function.TopicRuns, "dalamb.run.dreamt.v9", "x", story("dream", "pay", function.RunSucceeded)),
		eventlog.Record{Topic: function.TopicDead, Key: []byte("d"), Value: []byte("{")},
	)
	w.append(w.run(event.TypeRunFinished, story("good", "pay", function.RunSucceeded)))
	w.catchUp()
	if p, err := w.Runs(Query{}); err != nil || ids(p.Rows) != "good" {
		t.Errorf("Runs = %q, %v, want the good one", ids(p.Rows), err)
	}
	if err := w.Wait(t.Context(), eventlog.Position{Topic: "events"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Wait for another topic = %v, want invalid", err)
	}
}

func TestNewPartitionsAreFollowed(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.catchUp()
	w.stop()
	h, err := Open(Options{Log: w.log, Dir: w.dir, Tidy: time.Millisecond})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	four := int32(4)
	must(t, w.log.AlterTopic(t.Context(), function.TopicRuns, eventlog.TopicChange{Partitions: &four}))
	r := w.run(event.TypeRunFinished, story("late", "pay", function.RunSucceeded))
	r.Partition = 3
	w.append(r)
	wait, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if err := h.Wait(wait, w.last[0]); err != nil {
		t.Errorf("Wait for a partition that came later = %v", err)
	}
	cancel()
	must(t, <-done)
	must(t, h.Close())
}

func TestWaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Wait(ctx, eventlog.Position{Topic: function.TopicRuns, Offset: 99}); err == nil {
		t.Error("Wait for what never comes = nil")
	}
}
