package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestATopicDeletedUnderATriggerStopsThatTriggerAlone deletes a topic while one of its events runs and others wait. What ran has its
// result; triggers of other topics go on; the node can be stopped and started.
func TestATopicDeletedUnderATriggerStopsThatTriggerAlone(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	if err := w.disk.CreateTopic(context.Background(), eventlog.Topic{Name: "short", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	w.deployMax("gone", 1, function.Trigger{Name: "t", Topic: "short"})
	w.deploy("other", function.Trigger{Name: "t"})
	began, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	player := play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "other" {
			return succeed(), nil
		}
		once.Do(func() { close(began) })
		select {
		case <-release:
			return succeed(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	n := w.node(player)
	for i := range 3 {
		w.append("short", newEvent(fmt.Sprint("s", i), "x", "k"))
	}
	<-began
	if err := w.disk.DeleteTopic(context.Background(), "short"); err != nil {
		t.Fatal(err)
	}
	close(release)
	others := func(want int) func() bool {
		return func() bool {
			got := 0
			for _, run := range w.runs() {
				if run.Function == "other" && run.State == function.RunSucceeded {
					got++
				}
			}
			return got == want
		}
	}
	w.append("events", newEvent("o0", "x", "k"))
	w.await("the other trigger's event", others(1))
	n.quit()
	w.node(player)
	w.append("events", newEvent("o1", "x", "k"))
	w.await("the other trigger's event after a restart", others(2))
	for _, run := range w.runs() {
		if run.Function == "gone" && run.State != function.RunSucceeded && run.State != function.RunExpired {
			t.Errorf("run = %+v, want it to have succeeded or to say that the topic took its event away", run)
		}
	}
}

// TestPartitionsAddedUnderATriggerAreServed widens a topic while its trigger runs: what comes in the new partitions runs too, from
// their first offset on, and once.
func TestPartitionsAddedUnderATriggerAreServed(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.append("events", newEvent("before", "x", ""))
	w.deploy("f", function.Trigger{Name: "t"})
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
	w.append("events", newEvent("0", "x", ""))
	w.awaitFinished(1)
	four := int32(4)
	for _, topic := range []string{function.TopicProgress, function.TopicDelayed, function.TopicEvents} {
		if err := w.disk.AlterTopic(context.Background(), topic, eventlog.TopicChange{Partitions: &four}); err != nil {
			t.Fatal(err)
		}
	}
	var rs []eventlog.Record
	for i := range 40 {
		r := eventlog.FromEvent("events", newEvent(fmt.Sprint(1+i), "x", fmt.Sprint(i)))
		r.Partition = int32(i) % four
		rs = append(rs, r)
	}
	if _, err := w.disk.Append(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for _, run := range w.awaitFinished(41) {
		if run.State != function.RunSucceeded {
			t.Errorf("run = %+v", run)
		}
		ran[run.Event.ID]++
	}
	for i := range 41 {
		if ran[fmt.Sprint(i)] != 1 {
			t.Errorf("event %d has %d runs, want one", i, ran[fmt.Sprint(i)])
		}
	}
	if ran["before"] != 0 {
		t.Error("the event from before the trigger ran")
	}
}

// TestRecordsThatCannotBeEventsHoldUpNobody has a record of a hundred megabytes and one with corrupt headers between two events of the
// same key: the function is told what they are, in their order.
func TestRecordsThatCannotBeEventsHoldUpNobody(t *testing.T) {
	large := make([]byte, 100<<20)
	w := newWorld(t, setting{partitions: 1, wrap: func(l eventlog.Log) eventlog.Log { return swollen{l, large} }})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	var mu sync.Mutex
	var order []string
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		e := c.Invocation.Event
		mu.Lock()
		defer mu.Unlock()
		if e.Type != event.TypeRecord {
			order = append(order, e.ID)
			return succeed(), nil
		}
		var d struct {
			Size  int64
			Fault string
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Errorf("data %.200s: %v", e.Data, err)
		}
		if d.Fault == "" {
			t.Errorf("data %.200s names no fault", e.Data)
		}
		order = append(order, fmt.Sprint("record of ", d.Size>>20, " MiB"))
		return succeed(), nil
	}))
	corrupt := eventlog.FromEvent("events", newEvent("bad", "x", "k"))
	for i := range corrupt.Headers {
		if corrupt.Headers[i].Name == "ce_type" {
			corrupt.Headers[i].Value = []byte{0xff, 0xfe}
		}
	}
	rs := []eventlog.Record{
		eventlog.FromEvent("events", newEvent("first", "x", "k")), corrupt,
		eventlog.FromEvent("events", newEvent(swollenID, "x", "k")), eventlog.FromEvent("events", newEvent("last", "x", "k")),
	}
	if _, err := w.disk.Append(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	for _, run := range w.awaitFinished(len(rs)) {
		if run.State != function.RunSucceeded {
			t.Errorf("run = %+v", run)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if got, want := fmt.Sprint(order), "[first record of 0 MiB record of 100 MiB last]"; got != want {
		t.Errorf("the function got %s, want %s", got, want)
	}
}

// swollenID is the event whose record is large.
const swollenID = "large"

// swollen is a log in which somebody else, whose bounds are wider, wrote one record.
type swollen struct {
	eventlog.Log
	value []byte
}

func (l swollen) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	rs, err := l.Log.Read(ctx, p, from, o)
	for i := range rs {
		if e, bad := eventlog.ToEvent(rs[i]); p.Topic == function.TopicEvents && bad == nil && e.ID == swollenID {
			rs[i].Value = l.value
		}
	}
	return rs, err
}

// TestATopicMadeAgainIsReadFromItsStart deletes the topic of a trigger and at once makes one of the same name: where the trigger began in
// the old one, and how far it had come there, says nothing of the new one.
func TestATopicMadeAgainIsReadFromItsStart(t *testing.T) {
	for _, start := range []function.Start{function.StartLatest, function.StartEarliest} {
		t.Run(string(start), func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			put := func(what string, n int) {
				t.Helper()
				for i := range n {
					w.append("mine", newEvent(fmt.Sprint(what, i), "x", ""))
				}
			}
			mine := eventlog.Topic{Name: "mine", Partitions: 1}
			create := func() {
				t.Helper()
				if err := w.disk.CreateTopic(t.Context(), mine); err != nil {
					t.Fatal(err)
				}
			}
			create()
			put("old", 5)
			w.change(catalog.Deploy{Version: function.Version{Spec: function.Spec{
				Name: "f", Scale: function.Scale{Max: 4},
				Triggers: []function.Trigger{{Name: "t", Topic: "mine", Start: start, Order: function.OrderKey, Retry: function.Retry{Attempts: 1}}},
			}}})
			n := w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
			put("live", 1)
			want := 1
			if start == function.StartEarliest {
				want += 5
			}
			w.awaitFinished(want)
			for round := range 3 {
				if err := w.disk.DeleteTopic(t.Context(), "mine"); err != nil {
					t.Fatal(err)
				}
				create()
				put(fmt.Sprint("round ", round, " event "), 6)
				want += 6
				w.awaitFinished(want)
			}
			n.quit()
			if err := w.disk.DeleteTopic(t.Context(), "mine"); err != nil {
				t.Fatal(err)
			}
			create()
			put("while no node ran ", 6)
			want += 6
			w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
			ran := map[string]int{}
			for _, run := range w.awaitFinished(want) {
				if run.State != function.RunSucceeded {
					t.Errorf("run = %+v", run)
				}
				ran[run.Event.ID]++
			}
			if len(ran) != want {
				t.Errorf("%d events ran, want %d: %v", len(ran), want, ran)
			}
		})
	}
}

// TestABrokerThatHasYetToLearnOfATopicStopsNobody has the log say once that a topic is not there which the node owns.
func TestABrokerThatHasYetToLearnOfATopicStopsNobody(t *testing.T) {
	var once sync.Once
	w := newWorld(t, setting{partitions: 1, wrap: func(l eventlog.Log) eventlog.Log { return mistaken{l, &once} }})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
	w.append("events", newEvent("0", "x", ""))
	if run := w.awaitFinished(1)[0]; run.State != function.RunSucceeded {
		t.Errorf("run = %+v", run)
	}
}

// mistaken is a log that does not know of a topic once.
type mistaken struct {
	eventlog.Log
	once *sync.Once
}

func (l mistaken) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) (rs []eventlog.Record, err error) {
	if p.Topic == function.TopicEvents {
		l.once.Do(func() { err = eventlog.NoTopic(p.Topic) })
	}
	if err != nil {
		return nil, err
	}
	return l.Log.Read(ctx, p, from, o)
}
