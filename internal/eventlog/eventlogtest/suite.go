// Package eventlogtest is the conformance suite of eventlog.Log: what the port's contract says, as tests that every
// driver passes. It does not test what is particular to a driver: crashes, full disks and lost brokers are tested beside
// the driver, with this package's History as the judge.
package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Factory opens logs over one store.
type Factory struct {
	// Open opens the store. The suite closes what it opens, and opens again only after that.
	Open func(t testing.TB) eventlog.Log
	// Advance moves the clock by which the log stamps and expires. nil = the log has a clock of its own, and what needs
	// another time of day is not tested.
	Advance func(d time.Duration)
}

// Sweeper is an optional ability of a Log, found by assertion: do now what retention and compaction do by themselves.
type Sweeper interface {
	Sweep(ctx context.Context) error
}

// Run runs the whole suite. fresh makes a store of its own for each test.
func Run(t *testing.T, fresh func(t *testing.T) Factory) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, f Factory)
	}{
		{"Topics", testTopics},
		{"TopicSettings", testTopicSettings},
		{"DeleteTopic", testDeleteTopic},
		{"TopicMadeAgain", testTopicMadeAgain},
		{"Append", testAppend},
		{"AppendRefused", testAppendRefused},
		{"Partitioning", testPartitioning},
		{"Times", testTimes},
		{"Read", testRead},
		{"ReadBlocks", testReadBlocks},
		{"ReadUnblocks", testReadUnblocks},
		{"Lend", testLend},
		{"Skip", testSkip},
		{"OffsetAt", testOffsetAt},
		{"Offsets", testOffsets},
		{"OffsetsRefused", testOffsetsRefused},
		{"Members", testMembers},
		{"Fencing", testFencing},
		{"Commit", testCommit},
		{"AtomicView", testAtomicView},
		{"Restart", testRestart},
		{"Closed", testClosed},
		{"RetentionByAge", testRetentionByAge},
		{"RetentionBySize", testRetentionBySize},
		{"Compaction", testCompaction},
		{"CompactionOfTombstones", testTombstones},
		{"CompactionAtOnce", testCompact},
		{"Size", testSize},
		{"History", testHistory},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

// patience bounds what must happen but has no time of its own.
const patience = 20 * time.Second

func open(t testing.TB, f Factory) eventlog.Log {
	t.Helper()
	l := f.Open(t)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return l
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return c
}

func create(t testing.TB, l eventlog.Log, topic eventlog.Topic) {
	t.Helper()
	if err := l.CreateTopic(ctx(t), topic); err != nil {
		t.Fatalf("CreateTopic(%+v) = %v", topic, err)
	}
}

// rec is a record with a value for a partition.
func rec(topic string, partition int32, value string) eventlog.Record {
	return eventlog.Record{Topic: topic, Partition: partition, Value: []byte(value)}
}

func appendAll(t testing.TB, l eventlog.Log, rs ...eventlog.Record) []eventlog.Position {
	t.Helper()
	ps, err := l.Append(ctx(t), rs)
	if err != nil {
		t.Fatalf("Append(%d records) = %v", len(rs), err)
	}
	if len(ps) != len(rs) {
		t.Fatalf("Append(%d records) = %d positions", len(rs), len(ps))
	}
	return ps
}

// readAll reads a partition from an offset to its end.
func readAll(t testing.TB, l eventlog.Log, p eventlog.Partition, from int64) []eventlog.Record {
	t.Helper()
	var all []eventlog.Record
	for {
		rs, err := l.Read(ctx(t), p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			t.Fatalf("Read(%v, %d) = %v", p, from, err)
		}
		if len(rs) == 0 {
			return all
		}
		all = append(all, rs...)
		from = rs[len(rs)-1].Offset + 1
	}
}

func values(rs []eventlog.Record) []string {
	vs := make([]string, len(rs))
	for i, r := range rs {
		vs[i] = string(r.Value)
	}
	return vs
}

func wantValues(t testing.TB, rs []eventlog.Record, want ...string) {
	t.Helper()
	if got := values(rs); !slices.Equal(got, want) {
		t.Fatalf("values = %q, want %q", got, want)
	}
}

func wantKind(t testing.TB, call string, err error, want fault.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s = nil, want an error of kind %q", call, want)
	}
	if got := fault.KindOf(err); got != want {
		t.Fatalf("%s = %v of kind %q, want kind %q", call, err, got, want)
	}
}

func wantFenced(t testing.TB, call string, err error) {
	t.Helper()
	if !errors.Is(err, eventlog.ErrFenced) {
		t.Fatalf("%s = %v, want ErrFenced", call, err)
	}
}

func bounds(t testing.TB, l eventlog.Log, p eventlog.Partition) eventlog.Bounds {
	t.Helper()
	b, err := l.Bounds(ctx(t), p)
	if err != nil {
		t.Fatalf("Bounds(%v) = %v", p, err)
	}
	return b
}

func part(topic string, id int32) eventlog.Partition {
	return eventlog.Partition{Topic: topic, ID: id}
}

func numbered(prefix string, n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return s
}

func ptr[T any](v T) *T { return &v }
