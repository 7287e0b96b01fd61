package delay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// world is a log with delayed events, and a clock that stands still until it is told.
type world struct {
	t     testing.TB
	log   eventlog.Log
	delay *Delay
	mu    sync.Mutex
	now   time.Time
	fail  error // of the next commit
	keep  []*keeper
	from  []int64
}

func newWorld(t testing.TB, partitions int32) *world {
	w := &world{t: t, now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	clock := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	var err error
	w.log, err = enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []eventlog.Topic{{Name: function.TopicDelayed, Partitions: partitions, Compact: true}, {Name: "events", Partitions: 1}} {
		if err := w.log.CreateTopic(context.Background(), topic); err != nil {
			t.Fatal(err)
		}
	}
	if w.delay, err = New(Options{Log: w.log, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.log.Close(); err != nil {
			t.Error(err)
		}
	})
	w.restart()
	return w
}

func (w *world) owned(id int32) eventlog.Owned {
	return eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicDelayed, ID: id}, Commit: func(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
		if err := w.fail; err != nil {
			w.fail = nil
			return nil, err
		}
		return w.log.Append(ctx, rs)
	}}
}

// restart forgets what is in memory.
func (w *world) restart() {
	w.t.Helper()
	n, err := w.delay.count(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	w.keep, w.from = nil, nil
	for id := range n {
		k := &keeper{Delay: w.delay, own: w.owned(id), calendar: newCalendar()}
		from, err := k.recall(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		w.keep, w.from = append(w.keep, k), append(w.from, from)
	}
}

func (w *world) put(topic, id, key string, in time.Duration) string {
	w.t.Helper()
	e := &event.Event{ID: id, Source: "/test", Type: "x", Subject: key}
	name, r, err := w.delay.Record(context.Background(), topic, e, w.now.Add(in))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.log.Append(context.Background(), []eventlog.Record{r}); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// pass lets time go by and everybody do what there is to do.
func (w *world) pass(d time.Duration) error {
	w.t.Helper()
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	for i, k := range w.keep {
		for more := true; more; {
			rs, err := w.log.Read(context.Background(), k.own.Partition, w.from[i], eventlog.ReadOptions{NoWait: true})
			if err != nil {
				w.t.Fatal(err)
			}
			more = len(rs) > 0
			for j := range rs {
				w.from[i] = rs[j].Offset + 1
				if n, ok := noteOf(&rs[j]); ok {
					k.note(n, k.calendar.add)
				}
			}
		}
		for {
			nap, err := k.round(context.Background())
			if err != nil {
				return err
			}
			if nap > 0 {
				break
			}
		}
	}
	return nil
}

// released lists the ids in a topic.
func (w *world) released(topic string) string {
	w.t.Helper()
	var ids []string
	for from := int64(0); ; {
		rs, err := w.log.Read(context.Background(), eventlog.Partition{Topic: topic}, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(rs) == 0 {
			return strings.Join(ids, " ")
		}
		for _, r := range rs {
			e, err := eventlog.ToEvent(r)
			if err != nil {
				w.t.Fatal(err)
			}
			ids, from = append(ids, e.ID), r.Offset+1
		}
	}
}

func (w *world) want(topic, want string) {
	w.t.Helper()
	if got := w.released(topic); got != want {
		w.t.Errorf("released to %s: %s, want %s", topic, got, want)
	}
}

func TestEventsComeWhenTheyAreDue(t *testing.T) {
	w := newWorld(t, 1)
	w.put("events", "b", "", 2*time.Minute)
	w.put("events", "a", "", time.Minute)
	w.put("events", "same-1", "k", 3*time.Minute)
	w.put("events", "same-2", "k", 3*time.Minute)
	ok(t, w.pass(30*time.Second))
	w.want("events", "")
	ok(t, w.pass(31*time.Second))
	w.want("events", "a")
	w.restart()
	ok(t, w.pass(time.Hour))
	ok(t, w.pass(time.Hour))
	w.want("events", "a b same-1 same-2")
	if list, total, err := w.delay.List(t.Context(), 10, nil); err != nil || total != 0 || len(list) != 0 {
		t.Errorf("List = %v, %d, %v, want none", list, total, err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestACommitThatFailsReleasesNothingAndTheNextDoes(t *testing.T) {
	w := newWorld(t, 1)
	for i := range 5 {
		w.put("events", fmt.Sprint(i), "", time.Minute)
	}
	w.fail = eventlog.ErrFenced
	if err := w.pass(time.Hour); !errors.Is(err, eventlog.ErrFenced) {
		t.Fatalf("round = %v, want %v", err, eventlog.ErrFenced)
	}
	w.want("events", "")
	w.restart()
	ok(t, w.pass(0))
	w.want("events", "0 1 2 3 4")
}

func TestATopicThatIsMissingHoldsUpItsOwnEventsAlone(t *testing.T) {
	w := newWorld(t, 1)
	for _, topic := range []string{"events", "gone", "events", "gone", "events"} {
		w.put(topic, topic, "", time.Minute)
	}
	ok(t, w.pass(time.Hour))
	w.want("events", "events events events")
	ok(t, w.log.CreateTopic(t.Context(), eventlog.Topic{Name: "gone", Partitions: 1}))
	ok(t, w.pass(later))
	w.want("gone", "gone gone")
}

// cancel asks, and lets the owner answer.
func (w *world) cancel(id string) error {
	w.t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- w.delay.Cancel(context.Background(), id) }()
	for {
		select {
		case err := <-answer:
			return err
		default:
			if err := w.pass(0); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.put("events", "a", "k", time.Minute), w.put("events", "b", "k", 2*time.Minute)
	ok(t, w.cancel(b))
	if err := w.cancel(b); fault.KindOf(err) != fault.NotFound {
		t.Errorf("cancel again = %v, want not found", err)
	}
	list, total, err := w.delay.List(t.Context(), 10, nil)
	if err != nil || total != 1 || list[0].ID != a || list[0].Event.ID != "a" || list[0].Topic != "events" {
		t.Errorf("List = %+v, %d, %v, want a alone", list, total, err)
	}
	others := func(topic string) bool { return topic != "events" }
	if list, total, err := w.delay.List(t.Context(), 10, others); err != nil || total != 0 || len(list) != 0 {
		t.Errorf("List of other topics = %+v, %d, %v, want none", list, total, err)
	}
	w.put("own", "c", "k", 3*time.Minute)
	if list, _, err := w.delay.List(t.Context(), 10, others); err != nil || len(list) != 1 {
		t.Errorf("List of other topics = %+v, %v, want the one behind those of events", list, err)
	}
	w.delay.look = 1
	if list, _, err := w.delay.List(t.Context(), 10, others); err != nil || len(list) != 0 {
		t.Errorf("List of other topics, of the first one that waits = %+v, %v, want none", list, err)
	}
	ok(t, w.pass(time.Hour))
	w.want("events", "a")
	if err := w.cancel(a); fault.KindOf(err) != fault.NotFound {
		t.Errorf("cancel what was released = %v, want not found", err)
	}
	w.restart()
	ok(t, w.pass(time.Hour))
	w.want("events", "a")
	for _, bad := range []string{"", "a", "d9-1-0000000000000001", "d0-1-1", "d-1-1-1", b + "0"} {
		if err := w.delay.Cancel(t.Context(), bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Cancel(%q) = %v, want invalid", bad, err)
		}
	}
}

func TestARequestToCancelOutlivesItsOwner(t *testing.T) {
	w := newWorld(t, 1)
	name, _ := parseName(w.put("events", "a", "", time.Minute))
	_, err := w.log.Append(t.Context(), []eventlog.Record{{Topic: function.TopicDelayed, Key: name.key(), Value: []byte{formatCancel}}})
	ok(t, err)
	w.restart()
	ok(t, w.pass(time.Hour))
	w.want("events", "")
}

func TestTooFarAhead(t *testing.T) {
	w := newWorld(t, 1)
	_, _, err := w.delay.Record(t.Context(), "events", &event.Event{ID: "a", Source: "/t", Type: "x"}, w.now.Add(Longest+time.Second))
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "more than a year away") {
		t.Errorf("Record = %v, want invalid", err)
	}
}

func TestKeepFollowsWhatComes(t *testing.T) {
	w := newWorld(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.delay.Keep(ctx, w.owned(0)) }()
	w.put("events", "a", "", 0)
	rs, err := w.log.Read(t.Context(), eventlog.Partition{Topic: "events"}, 0, eventlog.ReadOptions{})
	if err != nil || len(rs) != 1 {
		t.Errorf("Read = %v, %v", rs, err)
	}
	stop()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Keep = %v", err)
	}
}

// Each event comes once, whatever fails and however often the owner changes, and in order of when it was due and came.
func TestEachDelayedEventComesOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 1)
		type put struct {
			id  string
			due time.Time
		}
		var all []put
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"put", "put", "pass", "fail", "restart"}).Draw(rt, "step") {
			case "put":
				in := time.Duration(rapid.IntRange(1, 5).Draw(rt, "minutes")) * time.Minute
				all = append(all, put{fmt.Sprint(i), w.now.Add(in)})
				w.put("events", fmt.Sprint(i), "", in)
			case "pass":
				if w.pass(time.Minute) != nil {
					w.restart()
				}
			case "fail":
				w.fail = fault.New(fault.Unavailable, "no")
			case "restart":
				w.restart()
			}
		}
		w.fail = nil
		if err := w.pass(time.Hour); err != nil {
			rt.Fatal(err)
		}
		got := strings.Fields(w.released("events"))
		var want []string
		for _, p := range all {
			want = append(want, p.id)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			rt.Fatalf("released %v, want %v", got, want)
		}
	})
}

func FuzzDecodeHeld(f *testing.F) {
	good, err := held{Topic: "events", Accepted: time.Unix(1e9, 0).UTC(), Event: &event.Event{ID: "a", Source: "/t", Type: "x", Data: []byte(`{"a":1}`)}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "d3-19a7c2e4f00-9f86d081884c7d65")
	f.Add([]byte{formatCancel}, "d0-0-0000000000000000")
	f.Fuzz(func(t *testing.T, value []byte, name string) {
		if n, ok := parseName(name); ok && n.String() != name {
			t.Fatalf("%q reads as %+v, which is %q", name, n, n)
		}
		h, err := decodeHeld(value)
		if err != nil {
			return
		}
		if _, err := h.encode(); err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
	})
}
