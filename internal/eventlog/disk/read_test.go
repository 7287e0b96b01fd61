package disk

import (
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// TestLentRecordsShareTheirHeaders: who reads all that is written pays for no memory of each record.
func TestLentRecordsShareTheirHeaders(t *testing.T) {
	var r eventlog.Record
	var first *eventlog.Header
	for _, key := range []string{"a", "b", "c"} {
		in := eventlog.Record{Key: []byte(key), Headers: []eventlog.Header{{Name: "n", Value: []byte("1")}, {Name: "m"}}}
		if err := readRecord(encode(&in, 1, 1, true), &r, true); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = &r.Headers[0]
		}
		if string(r.Key) != key || len(r.Headers) != 2 || &r.Headers[0] != first {
			t.Errorf("record %s is %+v, want its headers where those of the one before were", key, r)
		}
	}
}
