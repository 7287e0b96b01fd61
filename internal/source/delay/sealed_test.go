package delay

import (
	"context"
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
