package delay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// A delayed event of a sealed topic is sealed as that topic's, and one that was forgotten holds up no other.
func TestAForgottenEventIsNotReleasedAndHoldsUpNobody(t *testing.T) {
	w := newWorld(t, 1)
	e := &event.Event{ID: "a", Source: "/test", Type: "x", Subject: "k"}
	_, r, err := w.delay.Record(context.Background(), "events", e, w.now.Add(time.Minute))
	if err != nil || r.Seal == nil || r.Seal.Topic != "events" || string(r.Seal.Key) != "k" {
		t.Fatalf("Record = %+v, %v; want one with the seal of its event", r.Seal, err)
	}
	r.Value, r.Headers = []byte{}, []eventlog.Header{{Name: event.HeaderSeal, Value: []byte("gone")}} // as the log gives it then
	if _, err := w.log.Append(context.Background(), []eventlog.Record{r}); err != nil {
		t.Fatal(err)
	}
	w.put("events", "b", "k", time.Minute)
	w.restart()
	if list, total, err := w.delay.List(context.Background(), 10, nil); err != nil || total != 1 || len(list) != 1 || list[0].Event.ID != "b" {
		t.Errorf("List = %+v, %d, %v; want b alone", list, total, err)
	}
	if err := w.pass(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	rs, err := w.log.Read(context.Background(), eventlog.Partition{Topic: "events"}, 0, eventlog.ReadOptions{NoWait: true})
	if err != nil || len(rs) != 1 {
		t.Fatalf("released are %d events, %v; want one", len(rs), err)
	}
	if got, err := eventlog.ToEvent(rs[0]); err != nil || got.ID != "b" {
		t.Errorf("released is %+v, %v; want b", got, err)
	}
}

// What is forgotten after it was read and before it is stored does not come back under another key: it keeps the one that it waited under.
func TestAReleasedEventKeepsTheKeyThatItWaitedUnder(t *testing.T) {
	w := newWorld(t, 1)
	for _, seal := range []string{"mine", ""} {
		e := &event.Event{ID: "of-" + seal, Source: "/test", Type: "x", Subject: "k"}
		_, r, err := w.delay.Record(t.Context(), "events", e, w.now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if seal != "" {
			r.Headers = []eventlog.Header{{Name: event.HeaderSeal, Value: []byte(seal)}} // as the log gives it
		}
		k := &keeper{Delay: w.delay}
		out, err := k.releaseOf(&r)
		if err != nil || len(out.records) != 2 || out.records[0].Topic != "events" {
			t.Fatalf("releaseOf = %+v, %v; want an event and a tombstone", out, err)
		}
		if got := out.records[0].Seal; seal == "" && got != nil || seal != "" && (got == nil || got.By != seal) {
			t.Errorf("an event that waited under %q is released with the seal %+v", seal, got)
		}
	}
}

func TestSealedCountsWhatWaitsUnderSomeSeals(t *testing.T) {
	w := newWorld(t, 2)
	var last eventlog.Record
	for i, seal := range []string{"mine", "other", "", "mine", "too"} {
		_, r, err := w.delay.Record(t.Context(), "events", &event.Event{ID: event.NewID(), Source: "/test", Type: "x"}, w.now.Add(time.Duration(i+1)*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if seal != "" {
			r.Headers = []eventlog.Header{{Name: event.HeaderSeal, Value: []byte(seal)}}
		}
		if _, err := w.log.Append(t.Context(), []eventlog.Record{r}); err != nil {
			t.Fatal(err)
		}
		last = r
	}
	mine := func(seal string) bool { return slices.Contains([]string{"mine", "too"}, seal) }
	if n, err := w.delay.Sealed(t.Context(), mine); n != 3 || err != nil {
		t.Errorf("Sealed = %d, %v, want 3", n, err)
	}
	if _, err := w.log.Append(t.Context(), []eventlog.Record{{Topic: last.Topic, Partition: last.Partition, Key: last.Key}}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.delay.Sealed(t.Context(), mine); n != 2 || err != nil {
		t.Errorf("Sealed = %d, %v after one was released, want 2", n, err)
	}
}
