package eventlog_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
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
