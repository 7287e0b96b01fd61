package disk_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

// joinAll joins a group and waits until the topic's partitions are assigned.
func joinAll(t testing.TB, l eventlog.Log, topic string) eventlog.Member {
	t.Helper()
	m, assigned, _ := joinTold(t, l, topic)
	<-assigned
	return m
}

func joinTold(t testing.TB, l eventlog.Log, topic string) (m eventlog.Member, assigned, lost chan []eventlog.Partition) {
	t.Helper()
	assigned, lost = make(chan []eventlog.Partition, 10), make(chan []eventlog.Partition, 10)
	m, err := l.Join(t.Context(), eventlog.JoinOptions{
		Group:    "g",
		Assigned: func(_ context.Context, ps []eventlog.Partition) { assigned <- ps },
		Revoked:  func(context.Context, []eventlog.Partition) {},
		Lost:     func(ps []eventlog.Partition) { lost <- ps },
	})
	if err != nil {
		t.Fatalf("Join() = %v", err)
	}
	if err := m.SetTopics(t.Context(), []string{topic}); err != nil {
		t.Fatalf("SetTopics() = %v", err)
	}
	return m, assigned, lost
}

// On one machine the newest member of a group owns everything at once; the older one loses it, whatever it is doing, and
// for good.
func TestNewestMemberOwnsEverything(t *testing.T) {
	l := mustOpen(t, disk.Options{Dir: "log", FS: vfs.NewMem()})
	defer l.Close()
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 2})
	want := []eventlog.Partition{{Topic: "x", ID: 0}, {Topic: "x", ID: 1}}
	old, assigned, lost := joinTold(t, l, "x")
	if got := <-assigned; !slices.Equal(got, want) {
		t.Fatalf("assigned %v, want %v", got, want)
	}
	commit := func(m eventlog.Member) error {
		_, err := m.Commit(t.Context(), eventlog.Txn{Records: []eventlog.Record{{Topic: "x"}}, Claims: want[:1]})
		return err
	}
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		done := 0
		defer func() { stopped <- done }()
		for {
			if err := commit(old); errors.Is(err, eventlog.ErrFenced) {
				return
			} else if err != nil {
				t.Errorf("Commit(old) = %v, want it stored or fenced", err)
				return
			}
			if done++; done == 20 {
				close(stop)
			}
		}
	}()
	<-stop
	next, assigned, _ := joinTold(t, l, "x")
	// All that the old member got in is visible when the new one has its partitions, and nothing comes after.
	<-assigned
	b, err := l.Bounds(t.Context(), want[0])
	if err != nil {
		t.Fatal(err)
	}
	if done := <-stopped; int64(done) != b.End {
		t.Errorf("the old member has %d commits, the new one found %d", done, b.End)
	}
	if got := <-lost; !slices.Equal(got, want) {
		t.Errorf("lost %v, want %v", got, want)
	}
	if err := commit(next); err != nil {
		t.Errorf("Commit(newest) = %v", err)
	}
	if err := next.Leave(t.Context()); err != nil {
		t.Errorf("Leave() = %v", err)
	}
	if err := commit(old); !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("Commit(old, after the newest has left) = %v, want it fenced for good", err)
	}
	if _, err := old.Commit(t.Context(), eventlog.Txn{Records: []eventlog.Record{{Topic: "x"}}}); !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("Commit(old, without claims) = %v, want it fenced", err)
	}
}
