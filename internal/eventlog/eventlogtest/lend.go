package eventlogtest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// testLend: what is lent is what is read, with nothing of the record before it.
func testLend(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	value := bytes.Repeat([]byte("v"), 1000)
	shapes := []eventlog.Record{
		{Key: []byte("k"), Value: value, Headers: []eventlog.Header{{Name: "a", Value: []byte("1")}, {Name: "b", Value: []byte("2")}, {Name: "c"}}},
		{Value: []byte{}, Headers: []eventlog.Header{{Name: "b", Value: []byte("3")}, {Name: "b", Value: []byte("4")}}},
		{Key: []byte{}, Value: value[:10]},
		{Value: value[:1], Headers: []eventlog.Header{{Name: "a", Value: []byte("5")}, {Name: "b"}, {Name: "c"}, {Name: "d", Value: []byte("6")}}},
	}
	for i := range 3 * len(shapes) {
		r := shapes[i%len(shapes)]
		r.Topic = "x"
		if _, err := l.Append(t.Context(), []eventlog.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	p := eventlog.Partition{Topic: "x"}
	read, err := l.Read(t.Context(), p, 0, eventlog.ReadOptions{NoWait: true})
	if err != nil || len(read) != 3*len(shapes) {
		t.Fatalf("Read() = %d records, %v", len(read), err)
	}
	var want []string
	for i := range read {
		want = append(want, fmt.Sprintf("%#v", read[i]))
	}
	for _, c := range []struct {
		from int64
		o    eventlog.ReadOptions
		want []string
	}{
		{0, eventlog.ReadOptions{}, want},
		{5, eventlog.ReadOptions{MaxRecords: 4}, want[5:9]},
		{0, eventlog.ReadOptions{MaxBytes: 1}, want[:1]},
		{int64(len(want)), eventlog.ReadOptions{}, nil},
	} {
		var got []string
		n, err := eventlog.Lend(t.Context(), l, p, c.from, c.o, func(r *eventlog.Record) { got = append(got, fmt.Sprintf("%#v", *r)) })
		if err != nil || n != len(got) || c.o.MaxBytes == 0 && !slices.Equal(got, c.want) || c.o.MaxBytes > 0 && (n == 0 || got[0] != c.want[0]) {
			t.Errorf("Lend(%d, %+v) = %d, %v:\n%q\nwant\n%q", c.from, c.o, n, err, got, c.want)
		}
	}
	nothing := func(*eventlog.Record) { t.Error("a record of another topic is lent") }
	if _, err := eventlog.Lend(t.Context(), l, eventlog.Partition{Topic: "none"}, 0, eventlog.ReadOptions{}, nothing); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Lend of a topic that is not there = %v, want not found", err)
	}
	if _, err := eventlog.Lend(t.Context(), l, p, 0, eventlog.ReadOptions{TopicID: "another"}, nothing); err == nil {
		t.Error("Lend of another topic of the same name, want an error")
	}
}
