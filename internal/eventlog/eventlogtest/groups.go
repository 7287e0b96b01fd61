package eventlogtest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

func wantOffsets(t testing.TB, l eventlog.Log, group string, want ...eventlog.GroupOffset) {
	t.Helper()
	got, err := l.Offsets(ctx(t), group)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Offsets(%s) = %v, %v, want %v", group, got, err, want)
	}
}

func testOffsets(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2})
	create(t, l, eventlog.Topic{Name: "a", Partitions: 1})
	wantOffsets(t, l, "unknown")
	set := func(group string, os ...eventlog.GroupOffset) {
		t.Helper()
		if err := l.CommitOffsets(ctx(t), group, os); err != nil {
			t.Fatalf("CommitOffsets(%s, %v) = %v", group, os, err)
		}
	}
	x0 := eventlog.GroupOffset{Partition: part("x", 0), Offset: 7, Metadata: "m"}
	x1 := eventlog.GroupOffset{Partition: part("x", 1), Offset: 0}
	a0 := eventlog.GroupOffset{Partition: part("a", 0), Offset: 1 << 40}
	set("g", x1, x0, a0)
	set("f", x0)
	wantOffsets(t, l, "g", a0, x0, x1)
	x0.Offset, x0.Metadata = 3, strings.Repeat("m", 4096)
	set("g", x0)
	wantOffsets(t, l, "g", a0, x0, x1)
	if got, err := l.Groups(ctx(t)); err != nil || !slices.Equal(got, []string{"f", "g"}) {
		t.Errorf("Groups() = %v, %v, want f, g", got, err)
	}
}

func testOffsetsRefused(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	good := eventlog.GroupOffset{Partition: part("x", 0), Offset: 1}
	for _, c := range []struct {
		name  string
		group string
		bad   eventlog.GroupOffset
		want  fault.Kind
	}{
		{"unknown topic", "g", eventlog.GroupOffset{Partition: part("nowhere", 0)}, fault.NotFound},
		{"unknown partition", "g", eventlog.GroupOffset{Partition: part("x", 1)}, fault.NotFound},
		{"negative", "g", eventlog.GroupOffset{Partition: part("x", 0), Offset: -1}, fault.Invalid},
		{"long metadata", "g", eventlog.GroupOffset{Partition: part("x", 0), Metadata: strings.Repeat("m", 4097)}, fault.Invalid},
		{"no group", "", good, fault.Invalid},
	} {
		err := l.CommitOffsets(ctx(t), c.group, []eventlog.GroupOffset{good, c.bad})
		wantKind(t, "CommitOffsets("+c.name+")", err, c.want)
	}
	if got, err := l.Groups(ctx(t)); err != nil || len(got) != 0 {
		t.Errorf("Groups() = %v, %v after refused calls, want none", got, err)
	}
}

// told is what a member's callbacks were told.
type told struct {
	kind string
	ps   []eventlog.Partition
}

// joined is a member whose callbacks write to a channel. Revoked waits for handOver where it is not nil.
type joined struct {
	eventlog.Member
	told     chan told
	handOver chan struct{}
}

func join(t testing.TB, l eventlog.Log, group string, topics ...string) *joined {
	t.Helper()
	j := &joined{told: make(chan told, 100)}
	m, err := l.Join(ctx(t), eventlog.JoinOptions{
		Group:    group,
		Assigned: func(_ context.Context, ps []eventlog.Partition) { j.told <- told{"assigned", ps} },
		Revoked: func(_ context.Context, ps []eventlog.Partition) {
			j.told <- told{"revoked", ps}
			if j.handOver != nil {
				<-j.handOver
			}
		},
		Lost: func(ps []eventlog.Partition) { j.told <- told{"lost", ps} },
	})
	if err != nil {
		t.Fatalf("Join(%s) = %v", group, err)
	}
	j.Member = m
	if len(topics) > 0 {
		if err := m.SetTopics(ctx(t), topics); err != nil {
			t.Fatalf("SetTopics(%v) = %v", topics, err)
		}
	}
	return j
}

func (j *joined) want(t testing.TB, kind string, ps ...eventlog.Partition) {
	t.Helper()
	select {
	case got := <-j.told:
		if got.kind != kind || !sameSet(got.ps, ps) {
			t.Fatalf("told %s %v, want %s %v", got.kind, got.ps, kind, ps)
		}
	case <-ctx(t).Done():
		t.Fatalf("not told of %s %v in %s", kind, ps, patience)
	}
}

func sameSet(a, b []eventlog.Partition) bool {
	if len(a) != len(b) {
		return false
	}
	for _, p := range a {
		if !slices.Contains(b, p) {
			return false
		}
	}
	return true
}

func testMembers(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2})
	create(t, l, eventlog.Topic{Name: "y", Partitions: 1})
	m := join(t, l, "g", "x", "later")
	m.want(t, "assigned", part("x", 0), part("x", 1))

	create(t, l, eventlog.Topic{Name: "later", Partitions: 1})
	m.want(t, "assigned", part("later", 0))
	if err := l.AlterTopic(ctx(t), "x", eventlog.TopicChange{Partitions: ptr[int32](3)}); err != nil {
		t.Fatalf("AlterTopic() = %v", err)
	}
	m.want(t, "assigned", part("x", 2))

	m.handOver = make(chan struct{})
	if err := m.SetTopics(ctx(t), []string{"y", "later"}); err != nil {
		t.Fatalf("SetTopics() = %v", err)
	}
	m.want(t, "revoked", part("x", 0), part("x", 1), part("x", 2))
	if _, err := m.Commit(ctx(t), eventlog.Txn{Claims: []eventlog.Partition{part("x", 0)}}); err != nil {
		t.Errorf("Commit(while handing over) = %v, want it stored", err)
	}
	close(m.handOver)
	m.want(t, "assigned", part("y", 0))
	_, err := m.Commit(ctx(t), eventlog.Txn{Claims: []eventlog.Partition{part("y", 0), part("x", 0)}})
	wantFenced(t, "Commit(claim given back)", err)

	if err := l.DeleteTopic(ctx(t), "later"); err != nil {
		t.Fatalf("DeleteTopic() = %v", err)
	}
	m.want(t, "lost", part("later", 0))
	if err := m.Leave(ctx(t)); err != nil {
		t.Fatalf("Leave() = %v", err)
	}
	m.want(t, "revoked", part("y", 0))
	_, err = m.Commit(ctx(t), eventlog.Txn{Claims: []eventlog.Partition{part("y", 0)}})
	wantFenced(t, "Commit(after Leave)", err)
	if err := m.Leave(ctx(t)); err != nil {
		t.Errorf("Leave(again) = %v", err)
	}
}

func testFencing(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	x := part("x", 0)
	old := join(t, l, "g", "x")
	old.want(t, "assigned", x)
	other := join(t, l, "another group", "x")
	other.want(t, "assigned", x)
	txn := func(v string) eventlog.Txn {
		return eventlog.Txn{
			Records: []eventlog.Record{rec("x", 0, v)}, Group: "g",
			Offsets: []eventlog.GroupOffset{{Partition: x, Offset: 1, Metadata: v}},
			Claims:  []eventlog.Partition{x},
		}
	}
	if _, err := old.Commit(ctx(t), txn("old")); err != nil {
		t.Fatalf("Commit(owner) = %v", err)
	}
	if err := old.Leave(ctx(t)); err != nil {
		t.Fatalf("Leave() = %v", err)
	}
	old.want(t, "revoked", x)
	next := join(t, l, "g", "x")
	next.want(t, "assigned", x)
	_, err := old.Commit(ctx(t), txn("late"))
	wantFenced(t, "Commit(of the old owner)", err)
	if _, err := next.Commit(ctx(t), txn("new")); err != nil {
		t.Fatalf("Commit(new owner) = %v", err)
	}
	if _, err := other.Commit(ctx(t), eventlog.Txn{Records: []eventlog.Record{rec("x", 0, "other")}, Claims: []eventlog.Partition{x}}); err != nil {
		t.Fatalf("Commit(other group) = %v", err)
	}
	wantValues(t, readAll(t, l, x, 0), "old", "new", "other")
	wantOffsets(t, l, "g", eventlog.GroupOffset{Partition: x, Offset: 1, Metadata: "new"})
}

func testCommit(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2})
	m := join(t, l, "g", "x")
	m.want(t, "assigned", part("x", 0), part("x", 1))
	offset := eventlog.GroupOffset{Partition: part("x", 0), Offset: 5, Metadata: "m"}
	ps, err := m.Commit(ctx(t), eventlog.Txn{
		Records: []eventlog.Record{rec("x", 1, "a"), rec("x", 0, "b")},
		Group:   "g", Offsets: []eventlog.GroupOffset{offset}, Claims: []eventlog.Partition{part("x", 0)},
	})
	if err != nil || len(ps) != 2 || ps[0].Partition != 1 || ps[1].Partition != 0 {
		t.Fatalf("Commit() = %v, %v, want positions on 1 and 0", ps, err)
	}
	wantValues(t, readAll(t, l, part("x", 0), 0), "b")
	wantValues(t, readAll(t, l, part("x", 1), 0), "a")
	wantOffsets(t, l, "g", offset)

	// Whatever is wrong with one part, nothing of the whole is stored.
	for _, c := range []struct {
		name string
		txn  eventlog.Txn
		want fault.Kind
	}{
		{"record", eventlog.Txn{Records: []eventlog.Record{rec("x", 0, "no"), rec("nowhere", 0, "no")}}, fault.NotFound},
		{"offset", eventlog.Txn{Records: []eventlog.Record{rec("x", 0, "no")}, Group: "g",
			Offsets: []eventlog.GroupOffset{{Partition: part("x", 7), Offset: 9}}}, fault.NotFound},
		{"claim", eventlog.Txn{Records: []eventlog.Record{rec("x", 0, "no")}, Claims: []eventlog.Partition{part("x", 7)}}, fault.Conflict},
	} {
		_, err := m.Commit(ctx(t), c.txn)
		wantKind(t, "Commit(bad "+c.name+")", err, c.want)
	}
	wantValues(t, readAll(t, l, part("x", 0), 0), "b")
	wantOffsets(t, l, "g", offset)
}
