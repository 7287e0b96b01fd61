package disk

import (
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// TestLendingCopiesNothing: it is there for who reads all that is written.
func TestLendingCopiesNothing(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "x", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	const n = 500
	records := make([]eventlog.Record, n)
	for i := range records {
		records[i] = eventlog.Record{Topic: "x", Key: []byte("k"), Value: make([]byte, 100), Headers: []eventlog.Header{{Name: "a", Value: []byte("1")}, {Name: "b"}}}
	}
	if _, err := l.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	allocations := testing.AllocsPerRun(20, func() {
		if got, err := l.Lend(t.Context(), eventlog.Partition{Topic: "x"}, 0, eventlog.ReadOptions{}, func(*eventlog.Record) {}); got != n || err != nil {
			t.Errorf("Lend() = %d, %v, want %d", got, err, n)
		}
	})
	if allocations > n/5 { // an iterator's, and not one for each record
		t.Errorf("%g allocations for %d records", allocations, n)
	}
}
