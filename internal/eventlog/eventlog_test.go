package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// The vectors are those of Apache Kafka's UtilsTest.testMurmur2, cut to the positive number that the partitioner uses.
func TestPartitionFor(t *testing.T) {
	for _, c := range []struct {
		key  string
		hash int32
	}{
		{"21", -973932308},
		{"foobar", -790332482},
		{"a-little-bit-long-string", -985981536},
		{"a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
		{"abc", 479470107},
	} {
		for _, n := range []int32{1, 2, 3, 8, 50, 1 << 30, 1<<31 - 1} {
			want := int32(uint32(c.hash)&0x7fffffff) % n
			if got := eventlog.PartitionFor([]byte(c.key), n); got != want {
				t.Errorf("PartitionFor(%s, %d) = %d, want %d", c.key, n, got, want)
			}
		}
	}
}

func TestEventRoundTrip(t *testing.T) {
	in := &event.Event{
		ID: "1", Source: "/shop", Type: "order.requested", Subject: "o1", Time: time.UnixMilli(1_700_000_000_000).UTC(),
		DataContentType: "application/json", Extensions: map[string]any{event.ExtHops: int32(3)}, Data: []byte(`{"a":1}`),
	}
	r := eventlog.FromEvent("events", in)
	if r.Topic != "events" || r.Partition != eventlog.AnyPartition || string(r.Key) != "o1" || !r.Time.IsZero() {
		t.Errorf("FromEvent() = %+v, want topic events, any partition, key o1, no time", r)
	}
	out, err := eventlog.ToEvent(r)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("ToEvent(FromEvent(e)) = %+v, %v, want %+v", out, err, in)
	}
}

func TestToEventNamesTheRecord(t *testing.T) {
	_, err := eventlog.ToEvent(eventlog.Record{Topic: "events", Partition: 2, Offset: 7, Value: []byte("no event")})
	if err == nil || !strings.Contains(err.Error(), "events/2 offset 7") {
		t.Errorf("ToEvent(no event) = %v, want an error that names events/2 offset 7", err)
	}
}

func TestEventOfIsWhatAListenerSees(t *testing.T) {
	binary := func(pairs ...string) []eventlog.Header {
		hs := []eventlog.Header{{Name: "ce_specversion", Value: []byte("1.0")}, {Name: "ce_source", Value: []byte("/s")}, {Name: "ce_type", Value: []byte("t")}}
		for i := 0; i < len(pairs); i += 2 {
			hs = append(hs, eventlog.Header{Name: pairs[i], Value: []byte(pairs[i+1])})
		}
		return hs
	}
	structured := []eventlog.Header{{Name: "Content-Type", Value: []byte("application/cloudevents+json")}}
	for _, c := range []struct {
		name  string
		r     eventlog.Record
		typ   string // "" = no event
		fault string // in the data
	}{
		{"a binary event", eventlog.Record{Topic: "a", Headers: binary("ce_id", "1")}, "t", ""},
		{"a structured event", eventlog.Record{Topic: "a", Headers: structured, Value: []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"u"}`)}, "u", ""},
		{"no event", eventlog.Record{Topic: "a", Value: []byte("x")}, event.TypeRecord, ""},
		{"a binary event without id", eventlog.Record{Topic: "a", Headers: binary()}, event.TypeRecord, `attribute \"id\": is required`},
		{"a corrupt header", eventlog.Record{Topic: "a", Headers: binary("ce_id", "\xff")}, event.TypeRecord, `not valid UTF-8`},
		{"a broken structured event", eventlog.Record{Topic: "a", Headers: structured, Value: []byte(`{`)}, event.TypeRecord, `"fault"`},
		{"another version", eventlog.Record{Topic: "a", Headers: []eventlog.Header{{Name: "ce_specversion", Value: []byte("2.0")}}}, event.TypeRecord, `2.0`},
		{"an event of a hundred megabytes", eventlog.Record{Topic: "a", Headers: binary("ce_id", "1"), Value: make([]byte, 100<<20)}, event.TypeRecord, `the record has 1048576`},
		{"a tombstone on a topic of dalamb's", eventlog.Record{Topic: "_dalamb.dead", Key: []byte("k")}, "", ""},
		{"an event on a topic of dalamb's", eventlog.Record{Topic: "_dalamb.dead", Headers: binary("ce_id", "1")}, "t", ""},
	} {
		e := eventlog.EventOf(&c.r)
		switch {
		case e == nil && c.typ == "":
		case e == nil || e.Type != c.typ:
			t.Errorf("%s: EventOf = %+v, want type %q", c.name, e, c.typ)
		case !strings.Contains(string(e.Data), c.fault):
			t.Errorf("%s: data = %.300s, want %q in it", c.name, e.Data, c.fault)
		}
	}
}

func TestPassingErrorsAreWaitedFor(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{fault.New(fault.Unavailable, "away"), true},
		{fault.New(fault.Timeout, "slow"), true},
		{fault.New(fault.Unauthenticated, "the password is being changed"), true},
		{fault.New(fault.Denied, "the right was taken"), true},
		{context.DeadlineExceeded, true},
		{fmt.Errorf("read: %w", context.Canceled), false},
		{fault.New(fault.NotFound, "no topic"), false},
		{eventlog.ErrFenced, false},
		{errors.New("a bug"), false},
	} {
		if got := eventlog.Passing(c.err); got != c.want {
			t.Errorf("Passing(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}
