package await

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// counted is a log that knows how many of it read at a time, and how many records they got.
type counted struct {
	*disk.Log
	reading, most, got atomic.Int64
}

func (c *counted) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if !o.NoWait {
		c.most.Store(max(c.most.Load(), c.reading.Add(1)))
		defer c.reading.Add(-1)
	}
	rs, err := c.Log.Read(ctx, p, from, o)
	c.got.Add(int64(len(rs)))
	return rs, err
}

type node struct {
	*Follower
	t   *testing.T
	log *counted
}

func start(t *testing.T, o Options) *node {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, log: &counted{Log: l}}
	for _, topic := range []eventlog.Topic{{Name: "orders", Partitions: 4}, {Name: "other", Partitions: 1}, {Name: function.TopicDead, Partitions: 2, Compact: true}} {
		if err := l.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	o.Log = n.log
	if n.Follower, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = l.Close()
	})
	return n
}

func (n *node) append(rs ...eventlog.Record) []eventlog.Position {
	n.t.Helper()
	at, err := n.log.Append(context.Background(), rs)
	if err != nil {
		n.t.Fatal(err)
	}
	return at
}

// follows is an event that follows from a request.
func follows(id, typ, key string) *event.Event {
	return &event.Event{ID: event.NewID(), Source: "/test", Type: typ, Data: []byte(`{"key":"` + key + `"}`), Extensions: map[string]any{event.ExtCorrelationID: id, event.ExtPartitionKey: key}}
}

func (n *node) emit(id, typ, key string) {
	n.t.Helper()
	n.append(eventlog.FromEvent("orders", follows(id, typ, key)))
}

// die makes a dead letter of an event.
func (n *node) die(run string, e *event.Event) {
	n.t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		n.t.Fatal(err)
	}
	data, err := json.Marshal(function.DeadLetter{Run: function.Run{ID: run}, Event: text})
	if err != nil {
		n.t.Fatal(err)
	}
	n.append(eventlog.FromEvent(function.TopicDead, &event.Event{ID: event.NewID(), Source: "/test", Type: event.TypeDeadLetterCreated, Subject: run, Data: data}))
}

// want is for the confirmation of a request.
func want(t *testing.T, id string) Want {
	t.Helper()
	p, err := match.Parse([]byte(`{"type":["order.confirmed"]}`))
	if err != nil {
		t.Fatal(err)
	}
	return Want{ID: id, Topic: "orders", Pattern: p}
}

func (n *node) expect(w Want) *Wait {
	n.t.Helper()
	wait, err := n.Expect(context.Background(), w)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(wait.Stop)
	return wait
}

// next is what who waits finds next.
func (n *node) next(w *Wait) Found {
	n.t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(10 * time.Second):
		n.t.Fatal("nothing is found in 10s")
	}
	found, err := w.Look(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return found
}

func (n *node) find(w Want) Found {
	n.t.Helper()
	w.Since = time.Now()
	found, err := n.Find(context.Background(), w)
	if err != nil {
		n.t.Fatal(err)
	}
	return found
}

func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !there(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("not in 10s: %s", what)
		}
	}
}

func TestTheFirstEventThatFollowsAnswers(t *testing.T) {
	n := start(t, Options{})
	n.emit("a", "order.confirmed", "too early")
	first, second := n.expect(want(t, "a")), n.expect(want(t, "b"))
	n.append(eventlog.FromEvent("other", follows("a", "order.confirmed", "elsewhere")))
	n.emit("a", "order.paid", "not wanted")
	n.emit("nobody", "order.confirmed", "another's")
	n.emit("a", "order.confirmed", "one")
	if found := n.next(first); found.Event == nil || found.Event.Key() != "one" || found.Dead {
		t.Fatalf("found %+v, want the event", found)
	}
	n.emit("a", "order.confirmed", "one") // the same partition, so it is read later
	n.emit("b", "order.confirmed", "one")
	if found := n.next(second); found.Event == nil || found.Event.Extension(event.ExtCorrelationID) != "b" {
		t.Fatalf("found %+v, want the other event", found)
	}
	before, _ := first.Look(t.Context())
	first.Stop()
	n.log.got.Store(0)
	if found := n.find(want(t, "a")); found.Event == nil || found.Event.ID != before.Event.ID || n.log.got.Load() != 1 {
		t.Errorf("who asks later finds %+v among %d records, want the same, where it is", found, n.log.got.Load())
	}
}

// TestWhatWasFoundIsNotKept: only where it is.
func TestWhatWasFoundIsNotKept(t *testing.T) {
	n := start(t, Options{})
	w, err := n.Expect(t.Context(), want(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	n.emit("a", "order.confirmed", "k")
	heard := weak.Make(n.next(w).Event)
	w.Stop()
	w = nil
	until(t, "the event that was waited for is gone", func() bool { runtime.GC(); return heard.Value() == nil })
	n.emit("b", "order.confirmed", "k")
	read := weak.Make(n.find(want(t, "b")).Event)
	until(t, "the event that was looked for is gone", func() bool { runtime.GC(); return read.Value() == nil })
	for _, id := range []string{"a", "b"} {
		if found := n.find(want(t, id)); found.Event == nil {
			t.Errorf("nobody knows where the answer to %s is", id)
		}
	}
}

func TestOneReaderOfEachPartitionServesAll(t *testing.T) {
	n := start(t, Options{})
	var waits []*Wait
	for i := range 100 {
		waits = append(waits, n.expect(want(t, fmt.Sprint(i))))
	}
	for i := range waits {
		n.emit(fmt.Sprint(i), "order.confirmed", fmt.Sprint(i))
	}
	for i, w := range waits {
		if found := n.next(w); found.Event == nil || found.Event.Key() != fmt.Sprint(i) {
			t.Errorf("%d found %+v", i, found)
		}
	}
	if most := n.log.most.Load(); most > 4+2 {
		t.Errorf("%d read at a time; the two topics have 6 partitions", most)
	}
}

func TestEventsOfOtherProducersAnswer(t *testing.T) {
	n := start(t, Options{})
	w := n.expect(want(t, "a"))
	text, err := json.Marshal(follows("a", "order.confirmed", "k"))
	if err != nil {
		t.Fatal(err)
	}
	structured := eventlog.Record{Topic: "orders", Partition: 1, Value: text, Headers: []eventlog.Header{{Name: "Content-Type", Value: []byte("application/cloudevents+json; charset=utf-8")}}}
	broken := structured
	broken.Value = []byte("{")
	n.append(broken, eventlog.Record{Topic: "orders", Partition: 1, Value: []byte("no event")}, structured)
	if found := n.next(w); found.Event == nil || found.Event.Type != "order.confirmed" {
		t.Errorf("found %+v", found)
	}
}

func TestADeadLetterTellsThatNothingComes(t *testing.T) {
	n := start(t, Options{})
	w := n.expect(want(t, "a"))
	n.die("the request's own run", &event.Event{ID: "a", Source: "/test", Type: "x"})
	n.die("another's run", follows("b", "x", "k"))
	n.die("run", follows("a", "order.requested", "k"))
	if found := n.next(w); !found.Dead || found.Event != nil {
		t.Fatalf("found %+v, want a dead letter", found)
	}
	w.Stop()
	if found := n.find(want(t, "a")); !found.Dead {
		t.Errorf("who asks later finds %+v, want a dead letter", found)
	}
	n.append(eventlog.Record{Topic: function.TopicDead, Partition: eventlog.AnyPartition, Key: []byte("run")})
	if found := n.find(want(t, "a")); found.Dead {
		t.Errorf("a dead letter that is resolved is found: %+v", found)
	}
	n.emit("a", "order.confirmed", "at last")
	n.die("run2", follows("a", "order.confirmed", "k"))
	if found := n.find(want(t, "a")); found.Event == nil || found.Dead {
		t.Errorf("found %+v, want the event", found)
	}
}

func TestWhatIsKnownNeedsNoTurn(t *testing.T) {
	n := start(t, Options{})
	n.emit("a", "order.confirmed", "k")
	n.find(want(t, "a"))
	for range maxSearches {
		n.searches <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if found, err := n.Find(ctx, want(t, "a")); err != nil || found.Event == nil {
		t.Errorf("found %+v, %v, want the event", found, err)
	}
}

func TestADeadLetterFromBeforeTheWaitIsNotForgotten(t *testing.T) {
	n := start(t, Options{})
	later := want(t, "a")
	later.Since = time.Now()
	n.die("run", follows("a", "order.requested", "k"))
	w := n.expect(later)
	for range 2 {
		if found, err := w.Look(t.Context()); err != nil || !found.Dead {
			t.Errorf("found %+v, %v, want a dead letter", found, err)
		}
	}
}

func TestWhoAsksLaterFindsWhatCame(t *testing.T) {
	n := start(t, Options{})
	w := n.expect(want(t, "a"))
	for i := range 50 {
		n.emit("other", "order.confirmed", fmt.Sprint(i))
	}
	until(t, "all has gone by", func() bool {
		sum := int64(0)
		for _, r := range w.joined[0].readersNow() {
			sum += r.next.Load()
		}
		return sum == 50
	})
	w.Stop()
	n.log.got.Store(0)
	if found := n.find(want(t, "a")); found != (Found{}) || n.log.got.Load() > 0 {
		t.Errorf("found %+v among %d records, of which all were known", found, n.log.got.Load())
	}
	n.emit("other", "order.confirmed", "k")
	if found := n.find(want(t, "a")); found != (Found{}) {
		t.Errorf("found %+v, want nothing", found)
	}
	n.log.got.Store(0)
	n.emit("a", "order.confirmed", "k")
	if found := n.find(want(t, "a")); found.Event == nil || n.log.got.Load() > 10 { // its own search, and who reads on for others; all are 52
		t.Errorf("found %+v among %d records, want it among what is new", found, n.log.got.Load())
	}
	fresh, err := New(Options{Log: n.log}) // another node, which has seen nothing of it
	if err != nil {
		t.Fatal(err)
	}
	later := want(t, "a")
	later.Since = time.Now()
	if found, err := fresh.Find(t.Context(), later); err != nil || found.Event == nil {
		t.Errorf("another node finds %+v, %v", found, err)
	}
	again := n.expect(later)
	if found, err := again.Look(t.Context()); err != nil || found.Event == nil {
		t.Errorf("who waits later finds %+v, %v", found, err)
	}
}

func TestATopicIsReadOnlyWhileSomebodyWaits(t *testing.T) {
	n := start(t, Options{Survey: time.Millisecond, Idle: time.Millisecond})
	w := n.expect(want(t, "a"))
	until(t, "all partitions are read", func() bool { return n.log.reading.Load() == 6 })
	w.Stop()
	until(t, "nothing is read", func() bool { return n.log.reading.Load() == 0 })
	w = n.expect(want(t, "b"))
	n.emit("b", "order.confirmed", "k")
	if found := n.next(w); found.Event == nil {
		t.Errorf("found %+v", found)
	}
}

func TestPartitionsThatAreNewAreRead(t *testing.T) {
	n := start(t, Options{Survey: time.Millisecond})
	w := n.expect(want(t, "a"))
	six := int32(6)
	if err := n.log.AlterTopic(t.Context(), "orders", eventlog.TopicChange{Partitions: &six}); err != nil {
		t.Fatal(err)
	}
	r := eventlog.FromEvent("orders", follows("a", "order.confirmed", "k"))
	r.Partition = 5
	n.append(r)
	if found := n.next(w); found.Event == nil {
		t.Errorf("found %+v", found)
	}
}

func TestATopicThatGoesAndComesBackIsAnother(t *testing.T) {
	n := start(t, Options{})
	n.expect(want(t, "a"))
	until(t, "all partitions are read", func() bool { return n.log.reading.Load() == 6 })
	if err := n.log.DeleteTopic(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	until(t, "the topic is forgotten", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.topics["orders"] == nil
	})
	if _, err := n.Expect(t.Context(), want(t, "b")); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Expect = %v, want that there is no topic", err)
	}
	if err := n.log.CreateTopic(t.Context(), eventlog.Topic{Name: "orders", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	w := n.expect(want(t, "c"))
	n.emit("c", "order.confirmed", "k")
	if found := n.next(w); found.Event == nil {
		t.Errorf("found %+v", found)
	}
}

func TestNobodyWaitsOnANodeThatStops(t *testing.T) {
	n := start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := New(Options{Log: n.log})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Expect(t.Context(), want(t, "a")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Expect = %v, want Unavailable", err)
	}
	if len(f.topics) > 0 {
		t.Errorf("it keeps %v", f.topics)
	}
}

func TestNewWantsALog(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "needs a log") {
		t.Errorf("New = %v", err)
	}
}
