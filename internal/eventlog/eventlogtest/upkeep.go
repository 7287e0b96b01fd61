package eventlogtest

import (
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

func testRestart(t *testing.T, f Factory) {
	l := f.Open(t)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2, Retention: time.Hour})
	topic := topicNamed(t, l, "x")
	m := join(t, l, "g", "x")
	m.want(t, "assigned", part("x", 0), part("x", 1))
	offset := eventlog.GroupOffset{Partition: part("x", 0), Offset: 5, Metadata: "m"}
	if _, err := m.Commit(ctx(t), eventlog.Txn{
		Records: []eventlog.Record{rec("x", 0, "a"), rec("x", 1, "b"), rec("x", 0, "c")}, Group: "g", Offsets: []eventlog.GroupOffset{offset},
	}); err != nil {
		t.Fatalf("Commit() = %v", err)
	}
	before := readAll(t, l, part("x", 0), 0)
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}

	l = open(t, f)
	if got := topicNamed(t, l, "x"); got != topic {
		t.Errorf("topic after restart = %+v, want %+v", got, topic)
	}
	after := readAll(t, l, part("x", 0), 0)
	if !slices.EqualFunc(before, after, sameRecord) {
		t.Errorf("records after restart = %v, want %v", after, before)
	}
	wantOffsets(t, l, "g", offset)
	ps := appendAll(t, l, rec("x", 0, "d"))
	if last := after[len(after)-1].Offset; ps[0].Offset <= last {
		t.Errorf("offset after restart = %d, want more than %d", ps[0].Offset, last)
	}
	wantValues(t, readAll(t, l, part("x", 0), 0), "a", "c", "d")
	wantValues(t, readAll(t, l, part("x", 1), 0), "b")
}

func testClosed(t *testing.T, f Factory) {
	l := f.Open(t)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	m := join(t, l, "g", "x")
	m.want(t, "assigned", part("x", 0))
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close(again) = %v", err)
	}
	c := ctx(t)
	for name, call := range map[string]func() error{
		"CreateTopic":   func() error { return l.CreateTopic(c, eventlog.Topic{Name: "y"}) },
		"AlterTopic":    func() error { return l.AlterTopic(c, "x", eventlog.TopicChange{}) },
		"DeleteTopic":   func() error { return l.DeleteTopic(c, "x") },
		"Topics":        func() error { _, err := l.Topics(c); return err },
		"Append":        func() error { _, err := l.Append(c, []eventlog.Record{rec("x", 0, "v")}); return err },
		"Read":          func() error { _, err := l.Read(c, part("x", 0), 0, eventlog.ReadOptions{}); return err },
		"Bounds":        func() error { _, err := l.Bounds(c, part("x", 0)); return err },
		"OffsetAt":      func() error { _, err := l.OffsetAt(c, part("x", 0), time.Now()); return err },
		"CommitOffsets": func() error { return l.CommitOffsets(c, "g", []eventlog.GroupOffset{{Partition: part("x", 0)}}) },
		"Offsets":       func() error { _, err := l.Offsets(c, "g"); return err },
		"Groups":        func() error { _, err := l.Groups(c); return err },
		"Commit":        func() error { _, err := m.Commit(c, eventlog.Txn{}); return err },
		"SetTopics":     func() error { return m.SetTopics(c, nil) },
	} {
		wantKind(t, name+"(after Close)", call(), fault.Unavailable)
	}
}

// sweeper returns the log's Sweep, or nil where retention and compaction come in their own time.
func sweeper(t testing.TB, l eventlog.Log) func() {
	s, ok := l.(Sweeper)
	if !ok {
		return nil
	}
	return func() {
		t.Helper()
		if err := s.Sweep(ctx(t)); err != nil {
			t.Fatalf("Sweep() = %v", err)
		}
	}
}

func testRetentionByAge(t *testing.T, f Factory) {
	l := f.Open(t)
	sweep := sweeper(t, l)
	if sweep == nil || f.Advance == nil {
		if err := l.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		return
	}
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2, Retention: time.Hour})
	create(t, l, eventlog.Topic{Name: "kept", Partitions: 1, Retention: eventlog.Forever})
	appendAll(t, l, rec("x", 0, "old"), rec("x", 1, "old"), rec("kept", 0, "old"))
	f.Advance(45 * time.Minute)
	ps := appendAll(t, l, rec("x", 0, "new"))
	sweep()
	wantValues(t, readAll(t, l, part("x", 0), 0), "old", "new")
	f.Advance(30 * time.Minute)
	sweep()
	wantValues(t, readAll(t, l, part("x", 0), 0), "new")
	wantValues(t, readAll(t, l, part("x", 1), 0))
	wantValues(t, readAll(t, l, part("kept", 0), 0), "old")
	if b := bounds(t, l, part("x", 0)); b.Start != ps[0].Offset {
		t.Errorf("start = %d, want %d", b.Start, ps[0].Offset)
	}
	f.Advance(2 * time.Hour)
	sweep()
	empty := bounds(t, l, part("x", 0))
	if empty.Start != empty.End || empty.End <= ps[0].Offset {
		t.Errorf("bounds = %+v, want empty past %d", empty, ps[0].Offset)
	}
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}

	l = open(t, f)
	if b := bounds(t, l, part("x", 0)); b != empty {
		t.Errorf("bounds after restart = %+v, want %+v", b, empty)
	}
	if ps := appendAll(t, l, rec("x", 0, "next")); ps[0].Offset < empty.End {
		t.Errorf("offset after all was removed = %d, want at least %d: offsets are never used again", ps[0].Offset, empty.End)
	}
}

func testRetentionBySize(t *testing.T, f Factory) {
	l := f.Open(t)
	sweep := sweeper(t, l)
	if sweep == nil {
		if err := l.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		return
	}
	const each, bound = 10_000, 200_000
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2, MaxBytes: bound})
	for i := range 50 {
		appendAll(t, l, eventlog.Record{Topic: "x", Partition: int32(i % 2), Value: make([]byte, each)})
		if f.Advance != nil {
			f.Advance(time.Millisecond) // the oldest goes first; of records of one moment, any may
		}
	}
	sweep()
	left := len(readAll(t, l, part("x", 0), 0)) + len(readAll(t, l, part("x", 1), 0))
	if left*each > bound || left*each < bound-3*each {
		t.Errorf("%d records of %d bytes are left, want just under %d bytes", left, each, bound)
	}
	for id := range int32(2) {
		b := bounds(t, l, part("x", id))
		if rs := readAll(t, l, part("x", id), 0); b.Start == 0 || len(rs) == 0 || rs[0].Offset != b.Start {
			t.Errorf("partition %d has bounds %+v and holds %d records, want some from the moved start on", id, b, len(rs))
		}
	}
	// The size of what is kept outlives a restart.
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	l = open(t, f)
	sweep = sweeper(t, l)
	sweep()
	if again := len(readAll(t, l, part("x", 0), 0)) + len(readAll(t, l, part("x", 1), 0)); again != left {
		t.Errorf("%d records are left after a restart and another sweep, want %d", again, left)
	}
}

func keyed(topic, key, value string) eventlog.Record {
	return eventlog.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
}

func testCompaction(t *testing.T, f Factory) {
	l := f.Open(t)
	sweep := sweeper(t, l)
	if sweep == nil {
		if err := l.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		return
	}
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1, Compact: true})
	for _, v := range numbered("a", 3000) {
		appendAll(t, l, keyed("x", "a", v), keyed("x", "b"+v[len(v)-1:], v))
	}
	sweep()
	rs := readAll(t, l, part("x", 0), 0)
	if len(rs) != 11 {
		t.Fatalf("%d records are left of 11 keys: %q", len(rs), values(rs))
	}
	for i, r := range rs[1:] {
		if r.Offset <= rs[i].Offset {
			t.Errorf("offset %d after %d, want them rising", r.Offset, rs[i].Offset)
		}
	}
	// What came before, and what comes after, are compacted with each other.
	end := bounds(t, l, part("x", 0)).End
	appendAll(t, l, keyed("x", "a", "last"), keyed("x", "new", "n"))
	sweep()
	rs = readAll(t, l, part("x", 0), 0)
	if len(rs) != 12 || string(rs[10].Value) != "last" || rs[10].Offset != end {
		t.Errorf("%d records %q, want 12 with last at %d", len(rs), values(rs), end)
	}
	// A reader that stands in a gap goes on behind it.
	got, err := l.Read(ctx(t), part("x", 0), 1, eventlog.ReadOptions{MaxRecords: 1})
	if err != nil || len(got) != 1 || got[0].Offset != rs[0].Offset {
		t.Errorf("Read(1) = %v, %v, want the record at %d", got, err, rs[0].Offset)
	}
	if err := l.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	again := readAll(t, open(t, f), part("x", 0), 0)
	if !slices.EqualFunc(rs, again, sameRecord) {
		t.Errorf("records after restart = %q, want %q", values(again), values(rs))
	}
}

func testTombstones(t *testing.T, f Factory) {
	l := open(t, f)
	sweep := sweeper(t, l)
	if sweep == nil || f.Advance == nil {
		return
	}
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1, Compact: true})
	dead := eventlog.Record{Topic: "x", Key: []byte("k")}
	appendAll(t, l, keyed("x", "k", "v"), keyed("x", "stays", "s"), dead)
	sweep()
	rs := readAll(t, l, part("x", 0), 0)
	if len(rs) != 2 || rs[1].Value != nil || string(rs[1].Key) != "k" {
		t.Fatalf("records = %v, want the tombstone to be seen for a while", rs)
	}
	f.Advance(48 * time.Hour)
	appendAll(t, l, keyed("x", "other", "o"))
	sweep()
	wantValues(t, readAll(t, l, part("x", 0), 0), "s", "o")
}
