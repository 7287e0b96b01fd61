package eventlogtest

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

func testAppend(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2, Retention: eventlog.Forever})
	create(t, l, eventlog.Topic{Name: "y", Partitions: 1, Retention: eventlog.Forever})
	at := time.UnixMilli(1_700_000_000_123).UTC()
	in := []eventlog.Record{
		{Topic: "x", Partition: 1, Time: at, Key: []byte("k"), Value: []byte("v"), Headers: []eventlog.Header{
			{Name: "h", Value: []byte("1")}, {Name: "h", Value: []byte("2")}, {Name: "", Value: nil},
		}},
		{Topic: "y", Partition: 0, Time: at, Key: []byte{}, Value: []byte{}},
		{Topic: "x", Partition: 1, Time: at, Value: bytes.Repeat([]byte("long"), 100_000)},
		{Topic: "x", Partition: 1, Time: at},
	}
	ps := appendAll(t, l, in...)
	want := []eventlog.Position{{Topic: "x", Partition: 1}, {Topic: "y"}, {Topic: "x", Partition: 1}, {Topic: "x", Partition: 1}}
	for i, p := range ps {
		if p.Topic != want[i].Topic || p.Partition != want[i].Partition {
			t.Errorf("position %d = %+v, want %s/%d", i, p, want[i].Topic, want[i].Partition)
		}
	}
	if ps[0].Offset >= ps[2].Offset || ps[2].Offset >= ps[3].Offset {
		t.Errorf("offsets %d, %d, %d, want them rising", ps[0].Offset, ps[2].Offset, ps[3].Offset)
	}
	got := append(readAll(t, l, part("x", 1), 0), readAll(t, l, part("y", 0), 0)...)
	for i, r := range []int{0, 2, 3, 1} {
		w := in[r]
		w.Offset = ps[r].Offset
		if !sameRecord(got[i], w) {
			t.Errorf("record %d = %.200v, want %.200v", r, got[i], w)
		}
	}
	if b := bounds(t, l, part("x", 0)); b.Start != b.End {
		t.Errorf("bounds of the partition without records = %+v, want it empty", b)
	}
	if ps, err := l.Append(ctx(t), nil); err != nil || len(ps) != 0 {
		t.Errorf("Append(nothing) = %v, %v, want nothing", ps, err)
	}
}

// sameRecord compares all of two records; nil and empty keys and values are different, header values are not.
func sameRecord(a, b eventlog.Record) bool {
	return a.Topic == b.Topic && a.Partition == b.Partition && a.Offset == b.Offset && a.Time.Equal(b.Time) &&
		bytes.Equal(a.Key, b.Key) && (a.Key == nil) == (b.Key == nil) &&
		bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y eventlog.Header) bool {
			return x.Name == y.Name && bytes.Equal(x.Value, y.Value)
		})
}

func testAppendRefused(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	create(t, l, eventlog.Topic{Name: "compacted", Partitions: 1, Compact: true})
	good := rec("x", 0, "good")
	for _, c := range []struct {
		name string
		bad  eventlog.Record
		want fault.Kind
	}{
		{"unknown topic", rec("nowhere", 0, "v"), fault.NotFound},
		{"partition too high", rec("x", 1, "v"), fault.NotFound},
		{"partition below any", rec("x", -2, "v"), fault.NotFound},
		{"too large", eventlog.Record{Topic: "x", Value: make([]byte, 64<<20)}, fault.TooLarge},
		{"compacted without key", rec("compacted", 0, "v"), fault.Invalid},
	} {
		_, err := l.Append(ctx(t), []eventlog.Record{good, c.bad})
		wantKind(t, "Append("+c.name+")", err, c.want)
	}
	over, cancel := context.WithCancel(ctx(t))
	cancel()
	if _, err := l.Append(over, []eventlog.Record{good}); err == nil {
		t.Error("Append(ctx done) = nil, want an error")
	}
	if b := bounds(t, l, part("x", 0)); b.Start != b.End {
		t.Errorf("bounds = %+v after refused calls, want empty", b)
	}
}

func testPartitioning(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 5})
	for _, key := range numbered("key", 50) {
		ps := appendAll(t, l, eventlog.Record{Topic: "x", Partition: eventlog.AnyPartition, Key: []byte(key)})
		if want := eventlog.PartitionFor([]byte(key), 5); ps[0].Partition != want {
			t.Errorf("partition of %s = %d, want %d", key, ps[0].Partition, want)
		}
	}
	ps := appendAll(t, l, eventlog.Record{Topic: "x", Partition: eventlog.AnyPartition, Value: []byte("no key")})
	if p := ps[0].Partition; p < 0 || p >= 5 {
		t.Errorf("partition without key = %d, want one of 5", p)
	}
}

func testTimes(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	given := time.UnixMilli(5_000_000_000_000).UTC()
	appendAll(t, l, rec("x", 0, "a"))
	appendAll(t, l, eventlog.Record{Topic: "x", Time: given, Value: []byte("given")})
	if f.Advance != nil {
		f.Advance(-time.Hour)
	}
	for range 20 {
		appendAll(t, l, rec("x", 0, "b"))
	}
	var last time.Time
	for _, r := range readAll(t, l, part("x", 0), 0) {
		if string(r.Value) == "given" {
			if !r.Time.Equal(given) {
				t.Errorf("time = %v, want %v as given", r.Time, given)
			}
			continue
		}
		if r.Time.IsZero() || r.Time.Before(last) || r.Time.Nanosecond()%1e6 != 0 {
			t.Errorf("stamp = %v after %v, want it set, not back, whole milliseconds", r.Time, last)
		}
		last = r.Time
	}
}

func testRead(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	p := part("x", 0)
	var in []eventlog.Record
	for _, v := range numbered("v", 2500) {
		in = append(in, rec("x", 0, v))
	}
	ps := appendAll(t, l, in...)
	read := func(from int64, o eventlog.ReadOptions) []eventlog.Record {
		t.Helper()
		rs, err := l.Read(ctx(t), p, from, o)
		if err != nil {
			t.Fatalf("Read(%d, %+v) = %v", from, o, err)
		}
		return rs
	}
	if rs := read(0, eventlog.ReadOptions{}); len(rs) == 0 || len(rs) > 1000 {
		t.Errorf("Read(no bound) = %d records, want 1 to 1000", len(rs))
	}
	wantValues(t, read(ps[7].Offset, eventlog.ReadOptions{MaxRecords: 2}), "v7", "v8")
	wantValues(t, read(ps[7].Offset, eventlog.ReadOptions{MaxBytes: 1}), "v7")
	wantValues(t, read(-5, eventlog.ReadOptions{MaxRecords: 1}), "v0")
	wantValues(t, read(ps[2499].Offset, eventlog.ReadOptions{}), "v2499")
	wantValues(t, read(ps[2499].Offset+1, eventlog.ReadOptions{NoWait: true}))
	wantValues(t, read(ps[2499].Offset+1000, eventlog.ReadOptions{NoWait: true}))
	if all := readAll(t, l, p, 0); len(all) != 2500 || !slices.Equal(values(all), numbered("v", 2500)) {
		t.Errorf("read all = %d records, want 2500 in order", len(all))
	}
	for _, bad := range []eventlog.Partition{part("x", 1), part("x", -1), part("nowhere", 0)} {
		_, err := l.Read(ctx(t), bad, 0, eventlog.ReadOptions{NoWait: true})
		wantKind(t, "Read(unknown)", err, fault.NotFound)
		_, err = l.Bounds(ctx(t), bad)
		wantKind(t, "Bounds(unknown)", err, fault.NotFound)
	}
}

func testReadBlocks(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2})
	const n = 300
	got := make(chan []string, 4)
	for range cap(got) {
		go func() {
			var vs []string
			for from := int64(0); len(vs) < n; {
				rs, err := l.Read(ctx(t), part("x", 0), from, eventlog.ReadOptions{})
				if err != nil || len(rs) == 0 {
					t.Errorf("Read(%d) = %d records, %v, want some", from, len(rs), err)
					break
				}
				vs = append(vs, values(rs)...)
				from = rs[len(rs)-1].Offset + 1
			}
			got <- vs
		}()
	}
	for _, v := range numbered("v", n) {
		appendAll(t, l, rec("x", 1, "other"), rec("x", 0, v))
	}
	for range cap(got) {
		if vs := <-got; !slices.Equal(vs, numbered("v", n)) {
			t.Errorf("reader at the tail got %d values, want %d in order", len(vs), n)
		}
	}
}

func testReadUnblocks(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	read := func(c context.Context) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := l.Read(c, part("x", 0), 0, eventlog.ReadOptions{})
			done <- err
		}()
		return done
	}
	c, cancel := context.WithCancel(ctx(t))
	done := read(c)
	cancel()
	wantKind(t, "Read(cancelled)", <-done, fault.Unavailable)
	c, cancel = context.WithTimeout(ctx(t), time.Millisecond)
	defer cancel()
	wantKind(t, "Read(deadline)", <-read(c), fault.Timeout)
	done = read(ctx(t))
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	wantKind(t, "Read(closed)", <-done, fault.Unavailable)
}

func testOffsetAt(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1, Retention: eventlog.Forever}) // its records are years old
	at := func(ms int64) time.Time { return time.UnixMilli(1_700_000_000_000 + ms).UTC() }
	var in []eventlog.Record
	times := []int64{10, 20, 20, 15, 30, 5, 40}
	for _, ms := range times {
		in = append(in, eventlog.Record{Topic: "x", Time: at(ms), Value: []byte("v")})
	}
	ps := appendAll(t, l, in...)
	end := bounds(t, l, part("x", 0)).End
	for _, c := range []struct {
		t    time.Time
		want int64
	}{
		{at(0), ps[0].Offset}, {at(10), ps[0].Offset}, {at(11), ps[1].Offset}, {at(20), ps[1].Offset},
		{at(21), ps[4].Offset}, {at(30), ps[4].Offset}, {at(31), ps[6].Offset}, {at(40), ps[6].Offset}, {at(41), end},
		{at(40).Add(time.Nanosecond), end}, {at(10).Add(-time.Nanosecond), ps[0].Offset}, {time.Time{}, ps[0].Offset},
	} {
		got, err := l.OffsetAt(ctx(t), part("x", 0), c.t)
		if err != nil || got != c.want {
			t.Errorf("OffsetAt(%v) = %d, %v, want %d", c.t, got, err, c.want)
		}
	}
	_, err := l.OffsetAt(ctx(t), part("x", 9), at(0))
	wantKind(t, "OffsetAt(unknown)", err, fault.NotFound)
}
