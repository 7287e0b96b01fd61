package eventlogtest

import (
	"strconv"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// testCompact is of a log that compacts when it is told to: also a few records, far from what makes it do so by itself.
func testCompact(t *testing.T, f Factory) {
	l := open(t, f)
	compacter, can := l.(eventlog.Compacter)
	if !can {
		return // it need not
	}
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1, Compact: true})
	create(t, l, eventlog.Topic{Name: "plain", Partitions: 1})
	for i := range 10 {
		large := keyed("x", strconv.Itoa(i), string(make([]byte, 100_000)))
		appendAll(t, l, large)
	}
	for i := range 9 {
		appendAll(t, l, eventlog.Record{Topic: "x", Key: []byte(strconv.Itoa(i))})
	}
	appendAll(t, l, keyed("plain", "k", "a"), keyed("plain", "k", "b"))
	for range 2 { // the second finds nothing to do
		for _, topic := range []string{"x", "plain"} {
			if err := compacter.Compact(ctx(t), topic); err != nil {
				t.Fatalf("Compact(%s) = %v", topic, err)
			}
		}
		rs := readAll(t, l, part("x", 0), 0)
		if len(rs) != 10 || string(rs[0].Key) != "9" || len(rs[0].Value) != 100_000 {
			t.Fatalf("%d records are left, want the one that nothing deletes and 9 tombstones", len(rs))
		}
		wantValues(t, readAll(t, l, part("plain", 0), 0), "a", "b")
		if sizer, can := l.(eventlog.Sizer); can {
			if n, err := sizer.Size(ctx(t), "x"); err != nil || n > 110_000 {
				t.Errorf("Size() = %d, %v; want that of what is left", n, err)
			}
		}
	}
	wantKind(t, "Compact(none)", compacter.Compact(ctx(t), "none"), fault.NotFound)
}
