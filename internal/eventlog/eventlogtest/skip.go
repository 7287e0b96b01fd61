package eventlogtest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// testSkip: whatever a log skips, a search finds what it would have found by reading all, from both ends, also after a restart and in a topic whose records
// have gone in part.
func testSkip(t *testing.T, f Factory) {
	l := f.Open(t)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	create(t, l, eventlog.Topic{Name: "newest", Partitions: 1, Compact: true})
	fill := func(topic string, from, to int) {
		var rs []eventlog.Record
		for i := from; i < to; i++ {
			r := eventlog.Record{Topic: topic, Key: fmt.Append(nil, "key-", i/1500), Value: []byte("v"), Headers: []eventlog.Header{{Name: "ce_type", Value: fmt.Append(nil, "type-", i/2500)}}}
			switch {
			case i%4999 == 0:
				r.Headers = nil // nobody knows its type
			case i%4987 == 0:
				r.Headers = append(r.Headers, eventlog.Header{Name: "Content-Type", Value: []byte("application/cloudevents+json")})
			case i%3001 == 0 && topic == "x":
				r.Key = nil
			}
			if rs = append(rs, r); len(rs) == 500 {
				appendAll(t, l, rs...)
				rs = nil
			}
		}
		appendAll(t, l, rs...)
	}
	fill("x", 0, 10_100)
	fill("newest", 0, 10_100)
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	l = open(t, f)
	fill("x", 10_100, 19_000)
	if s, ok := l.(Sweeper); ok {
		if err := s.Sweep(ctx(t)); err != nil {
			t.Fatalf("Sweep() = %v", err)
		}
	}
	searches := map[string]eventlog.Wanted{"anything": {}}
	for _, n := range []int{0, 2, 5, 12, 99} {
		searches[fmt.Sprint("key ", n)] = eventlog.Wanted{Key: fmt.Append(nil, "key-", n)}
		typ := fmt.Append(nil, "type-", n/2)
		ofType := func(got []byte) bool { return bytes.Equal(got, typ) }
		searches[fmt.Sprint("type ", n/2)] = eventlog.Wanted{Type: ofType}
		searches[fmt.Sprint("both ", n)] = eventlog.Wanted{Key: fmt.Append(nil, "key-", n), Type: ofType}
	}
	for _, topic := range []string{"x", "newest"} {
		p := part(topic, 0)
		all := readAll(t, l, p, 0)
		end := all[len(all)-1].Offset + 1
		for name, w := range searches {
			fits := func(r *eventlog.Record) bool {
				typ, known := eventlog.TypeIn(r)
				return (w.Key == nil || bytes.Equal(r.Key, w.Key)) && (w.Type == nil || !known || w.Type(typ))
			}
			for _, s := range [][2]int64{{0, end}, {1700, 9000}, {end - 10, end}, {5000, 5001}} {
				ahead, err := eventlog.SkipAhead(ctx(t), l, p, s[0], s[1], w)
				if err != nil {
					t.Fatalf("SkipAhead() = %v", err)
				}
				back, err := eventlog.SkipBack(ctx(t), l, p, s[0], s[1], w)
				if err != nil {
					t.Fatalf("SkipBack() = %v", err)
				}
				if ahead < s[0] || ahead > s[1] || back < s[0] || back > s[1] {
					t.Fatalf("%s in %s %v: SkipAhead = %d, SkipBack = %d", name, topic, s, ahead, back)
				}
				for i := range all {
					r := &all[i]
					if r.Offset >= s[0] && r.Offset < s[1] && fits(r) && (r.Offset < ahead || r.Offset >= back) {
						t.Fatalf("%s in %s %v: SkipAhead = %d and SkipBack = %d pass by what is wanted at %d", name, topic, s, ahead, back, r.Offset)
					}
				}
			}
		}
	}
}
