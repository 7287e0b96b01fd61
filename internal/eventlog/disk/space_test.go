package disk_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
)

const mib = 1 << 20

// notes gathers a log's lines.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// A writer that is faster than any poll is warned of first and refused before it eats into the reserve; results,
// settings and deletes go on; and room is seen at once.
func TestReserveIsHeldForEachWrite(t *testing.T) {
	var free atomic.Int64
	free.Store(1030 * mib)
	said := &notes{}
	l := mustOpen(t, disk.Options{Dir: "log", FS: vfs.NewMem(), Log: slog.New(slog.NewTextHandler(said, nil)),
		FreeSpace: func() (uint64, uint64, error) { return uint64(free.Load()), 2 << 30, nil }})
	defer l.Close()
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	newTopic(t, l, eventlog.Topic{Name: "old", Partitions: 1})
	m := joinAll(t, l, "x")
	value := make([]byte, 900_000)
	var refusal error
	for n := 0; refusal == nil && n < 200; n++ {
		if left := free.Load(); left > 300*mib && left < 1010*mib {
			if !strings.Contains(said.String(), "room on disk") {
				t.Fatalf("no warning with %d MiB free", left/mib)
			}
			free.Store(300 * mib)
		}
		if _, refusal = l.Append(t.Context(), []eventlog.Record{{Topic: "x", Value: value}}); refusal == nil {
			free.Add(-2 * int64(len(value)))
		}
	}
	if got := free.Load(); got < 256*mib || got > 280*mib {
		t.Errorf("refused with %d MiB free, want a little over 256", got/mib)
	}
	const want = "MiB free; the last 256 MiB are kept for results of functions"
	if fault.KindOf(refusal) != fault.Unavailable || !strings.Contains(refusal.Error(), "disk full") || !strings.Contains(refusal.Error(), want) {
		t.Errorf("Append() = %v, want unavailable, disk full, %q", refusal, want)
	}

	free.Store(200 * mib)
	_, refusal = l.Append(t.Context(), []eventlog.Record{{Topic: "x"}})
	if refusal == nil || !strings.Contains(refusal.Error(), "200 "+want) {
		t.Errorf("Append() = %v, want the figures", refusal)
	}
	if _, err := m.Commit(t.Context(), eventlog.Txn{Records: []eventlog.Record{{Topic: "x", Value: value}}}); err != nil {
		t.Errorf("Commit() = %v", err)
	}
	if err := l.DeleteTopic(t.Context(), "old"); err != nil {
		t.Errorf("DeleteTopic() = %v", err)
	}
	bound := int64(mib)
	if err := l.AlterTopic(t.Context(), "x", eventlog.TopicChange{MaxBytes: &bound}); err != nil {
		t.Errorf("AlterTopic() = %v", err)
	}
	if err := l.Sweep(t.Context()); err != nil {
		t.Errorf("Sweep() = %v", err)
	}
	free.Store(260 * mib)
	if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x"}}); err != nil {
		t.Errorf("Append(room again) = %v", err)
	}
	if got := l.Space(); got != eventlog.SpaceLow {
		t.Errorf("Space(room again) = %d, want SpaceLow", got)
	}
}

// Writers at the same time share one account.
func TestReserveIsHeldAmongWriters(t *testing.T) {
	// What is in flight takes no room yet, so every measurement says the same.
	l := mustOpen(t, disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 270 * mib, 2 << 30, nil }})
	defer l.Close()
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	for _, c := range []struct {
		bytes int
		fits  bool
	}{{4 * mib, true}, {5 * mib, false}} {
		_, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x", Value: make([]byte, c.bytes)}})
		if fits := err == nil; fits != c.fits {
			t.Errorf("Append(%d MiB) with 14 MiB over the reserve = %v, want fits = %t", c.bytes/mib, err, c.fits)
		}
	}
}

// noRoomForTables is a disk that is full for tables; hit is closed when the first one finds that out.
func noRoomForTables() (b *breaker, hit <-chan struct{}) {
	found, once := make(chan struct{}), sync.Once{}
	return &breaker{err: &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}, pick: func(op errorfs.Op) bool {
		table := isWrite(op) && strings.HasSuffix(op.Path, ".sst")
		if table {
			once.Do(func() { close(found) })
		}
		return table
	}}, found
}

// fillTable appends to a topic of its own no more than makes Pebble write a small table, so that its memtables have room
// for what comes next, and waits until events are refused.
func fillTable(t *testing.T, l *disk.Log, hit <-chan struct{}) {
	t.Helper()
	newTopic(t, l, eventlog.Topic{Name: "fill", Partitions: 1})
	value := make([]byte, 32<<10)
	for range 10 {
		// The last ones may be refused already.
		if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "fill", Value: value}}); err != nil {
			if fault.KindOf(err) != fault.Unavailable {
				t.Fatal(err)
			}
			break
		}
	}
	<-hit
	for l.Space() != eventlog.SpaceEmpty {
		runtime.Gosched()
	}
}

// While only tables wait for room, what makes room and what functions return is taken.
func TestRoomIsMadeOnFullDisk(t *testing.T) {
	b, hit := noRoomForTables()
	l := mustOpen(t, disk.Options{Dir: "log", FS: breaking(vfs.NewMem(), b)}.WithSmallTables())
	defer l.Close()
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	newTopic(t, l, eventlog.Topic{Name: "y", Partitions: 1})
	m := joinAll(t, l, "x")
	b.on.Store(true)
	fillTable(t, l, hit)
	if _, err := m.Commit(t.Context(), eventlog.Txn{Records: []eventlog.Record{{Topic: "x"}}}); err != nil {
		t.Errorf("Commit(full disk) = %v", err)
	}
	bound := int64(mib)
	if err := l.AlterTopic(t.Context(), "y", eventlog.TopicChange{MaxBytes: &bound}); err != nil {
		t.Errorf("AlterTopic(full disk) = %v", err)
	}
	if err := l.DeleteTopic(t.Context(), "fill"); err != nil {
		t.Errorf("DeleteTopic(full disk) = %v", err)
	}
	b.on.Store(false)
	waitForRoom(t, l)
}

// Close does not wait for a sweep that waits for room to give room back.
func TestCloseWhileRoomIsGivenBack(t *testing.T) {
	b, hit := noRoomForTables()
	l := mustOpen(t, disk.Options{Dir: "log", FS: breaking(vfs.NewMem(), b)}.WithSmallTables())
	b.on.Store(true)
	fillTable(t, l, hit)
	if err := l.DeleteTopic(t.Context(), "fill"); err != nil {
		t.Fatal(err)
	}
	swept := make(chan error)
	go func() { swept <- l.Sweep(t.Context()) }()
	if err := l.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := <-swept; err != nil && fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Sweep(closed meanwhile) = %v", err)
	}
}

// The room of removed records comes back with the sweep, not with some later compaction.
func TestSweepGivesRoomBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		remove func(t *testing.T, l *disk.Log) error
	}{
		{"retention", func(t *testing.T, l *disk.Log) error {
			bound := int64(mib)
			return l.AlterTopic(t.Context(), "x", eventlog.TopicChange{MaxBytes: &bound})
		}},
		{"topic deleted", func(t *testing.T, l *disk.Log) error { return l.DeleteTopic(t.Context(), "x") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewMem()
			l := mustOpen(t, disk.Options{Dir: "log", FS: mem, FreeSpace: func() (uint64, uint64, error) { return 600 * mib, 2 << 30, nil }})
			defer l.Close()
			newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 2})
			for range 40 {
				if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x", Partition: eventlog.AnyPartition, Value: noise(1_000_000)}}); err != nil {
					t.Fatal(err)
				}
			}
			before := stored(t, mem)
			if err := c.remove(t, l); err != nil {
				t.Fatal(err)
			}
			if err := l.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			// Pebble takes the files that nothing refers to any more away on a goroutine of its own.
			after, patience := stored(t, mem), time.Now().Add(10*time.Second)
			for look := time.NewTicker(5 * time.Millisecond); after > 12*mib && time.Now().Before(patience); <-look.C {
				after = stored(t, mem)
			}
			if before < 40_000_000 || after > 12*mib {
				t.Errorf("%d bytes of files before, %d after, want at least 40 MB and at most 12 MiB", before, after)
			}
		})
	}
}

func stored(t *testing.T, mem vfs.FS) (bytes int64) {
	t.Helper()
	names, err := mem.List("log/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		// A file may go between List and Stat.
		if info, err := mem.Stat("log/db/" + n); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// noise is a value that does not compress.
func noise(n int) []byte {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}
