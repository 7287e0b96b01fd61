package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/fault"
)

// breaker injects an error into the operations that pick chooses, from the moment it is on.
type breaker struct {
	on   atomic.Bool
	err  error
	pick func(op errorfs.Op) bool
	hits atomic.Int64
}

func (b *breaker) String() string { return "breaker" }

func (b *breaker) MaybeError(op errorfs.Op) error {
	if b.on.Load() && b.pick(op) {
		b.hits.Add(1)
		return b.err
	}
	return nil
}

// breaking wraps a file system. Unlike errorfs it reaches recycled write-ahead logs too.
func breaking(fs vfs.FS, in errorfs.Injector) vfs.FS { return recycling{errorfs.Wrap(fs, in)} }

type recycling struct{ *errorfs.FS }

func (r recycling) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := r.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return r.OpenReadWrite(newname, c)
}

func isWrite(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileWriteAt
}

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

func newTopic(t testing.TB, l eventlog.Log, topic eventlog.Topic) {
	t.Helper()
	if err := l.CreateTopic(t.Context(), topic); err != nil {
		t.Fatalf("CreateTopic(%+v) = %v", topic, err)
	}
}

// load runs writers against l until each has got an error or made its calls, and returns the errors.
func load(l eventlog.Log, h *eventlogtest.History, writers, calls int, seed uint64) []error {
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range calls {
				c := h.Begin(strconv.Itoa(w), rng)
				ps, err := l.Append(context.Background(), c.Records)
				h.End(c, ps, err)
				if err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	all.Wait()
	return errs
}

// Whatever write or fsync fails below Pebble: the callers get an error, the log takes no more, the process lives, reads
// go on, and what a power cut then leaves has all that was acknowledged and nothing in part.
func TestFailedWriteEndsWriting(t *testing.T) {
	eio := &fs.PathError{Op: "write", Path: "disk", Err: syscall.EIO}
	for _, c := range []struct {
		name string
		pick func(op errorfs.Op) bool
	}{
		{"write-ahead log written", func(op errorfs.Op) bool { return isWrite(op) && strings.HasSuffix(op.Path, ".log") }},
		{"write-ahead log synced", func(op errorfs.Op) bool { return isSync(op) && strings.HasSuffix(op.Path, ".log") }},
		{"write-ahead log made", func(op errorfs.Op) bool {
			return (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpRename) && strings.HasSuffix(op.Path, ".log")
		}},
		{"manifest written", func(op errorfs.Op) bool { return isWrite(op) && strings.Contains(op.Path, "MANIFEST") }},
		{"manifest synced", func(op errorfs.Op) bool { return isSync(op) && strings.Contains(op.Path, "MANIFEST") }},
		{"table made", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") }},
		{"table written", func(op errorfs.Op) bool { return isWrite(op) && strings.HasSuffix(op.Path, ".sst") }},
		{"table synced", func(op errorfs.Op) bool { return isSync(op) && strings.HasSuffix(op.Path, ".sst") }},
		{"directory synced", func(op errorfs.Op) bool { return isSync(op) && strings.HasSuffix(op.Path, "db") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			b := &breaker{err: eio, pick: c.pick}
			l := mustOpen(t, disk.Options{Dir: "log", FS: breaking(mem, b)}.WithSmallTables())
			newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 3})
			if err := fill(l, "before"); err != nil {
				t.Fatalf("Append() before the failure = %v", err)
			}
			h := eventlogtest.NewHistory("x", 3)
			if errs := load(l, h, 4, 20, 1); errors.Join(errs...) != nil {
				t.Fatalf("Append() before the failure = %v", errors.Join(errs...))
			}
			b.on.Store(true)
			filled := fill(l, "after")
			if b.hits.Load() == 0 {
				t.Fatal("no operation was hit")
			}
			if fault.KindOf(filled) != fault.Unavailable || !errors.Is(filled, syscall.EIO) || !strings.Contains(fault.HintOf(filled), "restart") {
				t.Fatalf("Append(failing disk) = %v (hint %q), want unavailable, the cause, and to restart", filled, fault.HintOf(filled))
			}
			b.on.Store(false)
			for _, err := range load(l, h, 2, 1, 2) {
				if fault.KindOf(err) != fault.Unavailable {
					t.Errorf("Append(after a failed write) = %v, want unavailable for good", err)
				}
			}
			if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: "y"}); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("CreateTopic(after a failed write) = %v, want unavailable", err)
			}
			if rs, err := l.Read(t.Context(), eventlog.Partition{Topic: "x"}, 0, eventlog.ReadOptions{}); err != nil || len(rs) == 0 {
				t.Errorf("Read(after a failed write) = %d records, %v, want reads to go on", len(rs), err)
			}
			crashed := mem.CrashClone(vfs.CrashCloneCfg{})
			if err := l.Close(); err != nil {
				t.Errorf("Close(after a failed write) = %v", err)
			}
			for name, left := range map[string]vfs.FS{"power cut": crashed, "closed": mem} {
				again := mustOpen(t, disk.Options{Dir: "log", FS: left})
				after := h.Snapshot()
				if err := errors.Join(after.Check(t.Context(), again), filledWith(again, "before")); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if errs := load(again, after, 2, 5, 3); errors.Join(errs...) != nil {
					t.Errorf("%s: Append(after restart) = %v", name, errors.Join(errs...))
				}
				if err := again.Close(); err != nil {
					t.Errorf("%s: Close() = %v", name, err)
				}
			}
		})
	}
}

const fillRecords = 400

// fill appends to a topic of its own, so much that Pebble turns over its write-ahead log, writes tables and merges them,
// until there is enough or an error.
func fill(l eventlog.Log, topic string) error {
	if err := l.CreateTopic(context.Background(), eventlog.Topic{Name: topic, Partitions: 1}); err != nil {
		return err
	}
	value := make([]byte, 32<<10)
	for range fillRecords {
		if _, err := l.Append(context.Background(), []eventlog.Record{{Topic: topic, Value: value}}); err != nil {
			return err
		}
	}
	return nil
}

// filledWith checks that all that fill appended is there.
func filledWith(l eventlog.Log, topic string) error {
	n := 0
	for from := int64(0); ; {
		rs, err := l.Read(context.Background(), eventlog.Partition{Topic: topic}, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			break
		}
		n += len(rs)
		from = rs[len(rs)-1].Offset + 1
	}
	if n != fillRecords {
		return fmt.Errorf("%d records are left of %d", n, fillRecords)
	}
	return nil
}

// A full disk refuses writes while it is full, and the log goes on by itself when there is room.
func TestFullDisk(t *testing.T) {
	for _, c := range []struct {
		name string
		pick func(op errorfs.Op) bool
	}{
		{"write-ahead log", func(op errorfs.Op) bool { return isWrite(op) && strings.HasSuffix(op.Path, ".log") }},
		{"tables", func(op errorfs.Op) bool { return isWrite(op) && strings.HasSuffix(op.Path, ".sst") }},
		{"everything", isWrite},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewMem()
			b := &breaker{err: &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}, pick: c.pick}
			l := mustOpen(t, disk.Options{Dir: "log", FS: breaking(mem, b)}.WithSmallTables())
			newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 3})
			h := eventlogtest.NewHistory("x", 3)
			if errs := load(l, h, 4, 20, 1); errors.Join(errs...) != nil {
				t.Fatalf("Append() = %v", errors.Join(errs...))
			}
			b.on.Store(true)
			if err := fill(l, "fill"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "disk full") {
				t.Fatalf("Append(full disk) = %v, want unavailable, disk full", err)
			}
			if l.Space() != eventlog.SpaceEmpty {
				t.Errorf("Space() = %d, want SpaceEmpty", l.Space())
			}
			for _, err := range load(l, h, 3, 1, 2) {
				if fault.KindOf(err) != fault.Unavailable {
					t.Errorf("Append(full disk) = %v, want unavailable", err)
				}
			}
			b.on.Store(false)
			waitForRoom(t, l)
			if errs := load(l, h, 4, 20, 3); errors.Join(errs...) != nil {
				t.Errorf("Append(room again) = %v", errors.Join(errs...))
			}
			if err := h.Check(t.Context(), l); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
			again := mustOpen(t, disk.Options{Dir: "log", FS: mem})
			defer again.Close()
			if err := h.Check(t.Context(), again); err != nil {
				t.Errorf("after restart: %v", err)
			}
		})
	}
}

// waitForRoom sweeps, which looks at the room on the disk, until the log takes writes.
func waitForRoom(t *testing.T, l *disk.Log) {
	t.Helper()
	for t.Context().Err() == nil && l.Space() != eventlog.SpaceOK {
		if err := l.Sweep(t.Context()); err != nil && fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("Sweep() = %v", err)
		}
	}
}

// Close does not wait for room.
func TestCloseOnFullDisk(t *testing.T) {
	mem := vfs.NewCrashableMem()
	b := &breaker{err: syscall.ENOSPC, pick: isWrite}
	l := mustOpen(t, disk.Options{Dir: "log", FS: breaking(mem, b)}.WithSmallTables())
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 3})
	h := eventlogtest.NewHistory("x", 3)
	load(l, h, 4, 20, 1)
	b.on.Store(true)
	load(l, h, 4, 20, 2)
	if err := l.Close(); err != nil {
		t.Errorf("Close(full disk) = %v", err)
	}
	b.on.Store(false)
	again := mustOpen(t, disk.Options{Dir: "log", FS: mem})
	defer again.Close()
	if err := h.Check(t.Context(), again); err != nil {
		t.Error(err)
	}
}

// A power cut at any moment, with any part of what was not synced yet on the disk.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			rng := rand.New(rand.NewPCG(seed, 7))
			var syncs atomic.Int64
			last := 5 + rng.Int64N(60)
			var crashed atomic.Pointer[vfs.MemFS]
			var acked *eventlogtest.History
			h := eventlogtest.NewHistory("x", 3)
			cut := errorfs.InjectorFunc(func(op errorfs.Op) error {
				if isSync(op) && strings.HasSuffix(op.Path, ".log") && syncs.Add(1) == last {
					// First what was promised, then what is left: a promise made in between would be no loss.
					acked = h.Snapshot()
					crashed.Store(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}))
				}
				return nil
			})
			l := mustOpen(t, disk.Options{Dir: "log", FS: breaking(mem, cut)})
			newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 3})
			for crashed.Load() == nil {
				if errs := load(l, h, 4, 10, seed+uint64(syncs.Load())); errors.Join(errs...) != nil {
					t.Fatal(errors.Join(errs...))
				}
			}
			if err := l.Close(); err != nil {
				t.Fatalf("Close() = %v", err)
			}
			again := mustOpen(t, disk.Options{Dir: "log", FS: crashed.Load()})
			defer again.Close()
			if err := acked.Check(t.Context(), again); err != nil {
				t.Error(err)
			}
			if errs := load(again, acked, 2, 5, seed); errors.Join(errs...) != nil {
				t.Errorf("Append(after the power cut) = %v", errors.Join(errs...))
			}
		})
	}
}

// Whichever operation fails while a log is opened, Open returns with an error or a log that works, and the next Open
// finds everything.
func TestFailureWhileOpening(t *testing.T) {
	for name, cause := range map[string]error{"broken": syscall.EIO, "full": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			h := eventlogtest.NewHistory("x", 3)
			l := mustOpen(t, disk.Options{Dir: "log", FS: mem}.WithSmallTables())
			newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 3})
			if err := errors.Join(load(l, h, 4, 20, 1)...); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			refused := 0
			for at, hit := int64(1), true; hit; at++ {
				var ops atomic.Int64
				in := errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && ops.Add(1) >= at {
						return &fs.PathError{Op: "write", Path: op.Path, Err: cause}
					}
					return nil
				})
				l, err := disk.Open(disk.Options{Dir: "log", FS: breaking(mem, in), FreeSpace: plenty}.WithSmallTables())
				hit = ops.Load() >= at
				if err != nil {
					refused++
				} else if err := l.Close(); err != nil {
					t.Errorf("Close(after failure %d) = %v", at, err)
				}
				again := mustOpen(t, disk.Options{Dir: "log", FS: mem}.WithSmallTables())
				if err := h.Check(t.Context(), again); err != nil {
					t.Fatalf("after failure %d while opening: %v", at, err)
				}
				if err := again.Close(); err != nil {
					t.Fatalf("Close() = %v", err)
				}
			}
			if refused < 5 {
				t.Errorf("%d openings were refused, too few to mean anything", refused)
			}
		})
	}
}
