package disk_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

// onceLog is a log on fs whose clock the test moves.
func onceLog(t *testing.T, fs vfs.FS, now *time.Time) *disk.Log {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: fs, Now: func() time.Time { return *now }, FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendOnce(t *testing.T, l *disk.Log, topic string, ids ...string) (offsets []int64, repeated []bool) {
	t.Helper()
	var rs []eventlog.Record
	for _, id := range ids {
		rs = append(rs, eventlog.Record{Topic: topic, Partition: eventlog.AnyPartition, Value: []byte(id)})
	}
	ps, repeated, err := l.AppendOnce(t.Context(), rs, eventlog.Once{IDs: ids, Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		if p.Topic != topic {
			t.Errorf("position %v, want one in %s", p, topic)
		}
		offsets = append(offsets, p.Offset)
	}
	return offsets, repeated
}

func TestAppendOnce(t *testing.T) {
	now, fs := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), vfs.NewMem()
	l := onceLog(t, fs, &now)
	for _, name := range []string{"a", "b"} {
		if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: name, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, topic string, ids []string, want string) {
		t.Helper()
		offsets, repeated := appendOnce(t, l, topic, ids...)
		if got := fmt.Sprint(offsets, repeated); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("first", "a", []string{"1", "2"}, "[0 1] [false false]")
	check("again", "a", []string{"2", "3", "1"}, "[1 2 0] [true false true]")
	check("twice in one call", "a", []string{"4", "5", "4"}, "[3 4 3] [false false true]")
	check("another topic", "b", []string{"1"}, "[0] [false]")
	now = now.Add(59 * time.Second)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = onceLog(t, fs, &now)
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := l.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after a restart, within the window", "a", []string{"1"}, "[0] [true]")
	now = now.Add(time.Second)
	check("after the window", "a", []string{"1"}, "[5] [false]")
	if err := l.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after the others were forgotten", "a", []string{"1", "2"}, "[5 6] [true false]")
	if err := l.DeleteTopic(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "a", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	check("a topic made again", "a", []string{"1"}, "[0] [false]")
}

func TestAppendOnceIsAtomicUnderConcurrentSends(t *testing.T) {
	now := time.Now()
	l := onceLog(t, vfs.NewMem(), &now)
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "a", Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	const senders, events = 16, 50
	answers := make([][]string, senders)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range events {
				id := fmt.Sprint(i)
				ps, _, err := l.AppendOnce(t.Context(), []eventlog.Record{{Topic: "a", Partition: eventlog.AnyPartition, Value: []byte(id)}}, eventlog.Once{IDs: []string{id}, Window: time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				answers[s] = append(answers[s], fmt.Sprint(ps[0].Partition, "@", ps[0].Offset))
			}
		})
	}
	all.Wait()
	for s := range senders {
		if fmt.Sprint(answers[s]) != fmt.Sprint(answers[0]) {
			t.Fatalf("sender %d was told %v, sender 0 %v", s, answers[s], answers[0])
		}
	}
	stored := int64(0)
	for id := range int32(4) {
		b, err := l.Bounds(t.Context(), eventlog.Partition{Topic: "a", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		stored += b.End - b.Start
	}
	if stored != events {
		t.Errorf("%d events are stored, want %d", stored, events)
	}
}
