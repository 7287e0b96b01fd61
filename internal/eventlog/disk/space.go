package disk

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// design.md section 7: the bounds of free space.
const (
	lowFree    = 1 << 30
	lowPercent = 5
	emptyFree  = 256 << 20
)

// writeCost is how much room a stored byte may take at most before Pebble has come to rest: once in the write-ahead log,
// once in the table that the memtable becomes, once in the copy that a compaction makes. The flushes still to come of
// what was written before a measurement, four memtables or 128 MiB at most, fit in the reserve itself.
const writeCost = 3

// measureEvery is after how many bytes free space is measured whatever the account says: others use the disk too.
const measureEvery = 8 << 20

// room is the account of the free space between two measurements: as measured, less what was let in since.
type room struct {
	mu       sync.Mutex
	known    bool
	free     uint64 // as measured
	total    uint64
	began    int64 // bytes of all writes so far
	ended    int64 // of these, of writes that have ended: their bytes are in the write-ahead log
	measured int64 // what ended was when free was measured; all above may not be in that figure
}

func (r *room) begin(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began += int64(bytes)
}

func (r *room) end(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended += int64(bytes)
}

// mark is what ended is before a measurement, for set after it.
func (r *room) mark() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

func (r *room) set(free, total uint64, mark int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Of two measurements at the same time the older one must not win.
	if mark >= r.measured {
		r.known, r.free, r.total, r.measured = true, free, total, mark
	}
}

// below says whether less than bytes were free.
func (r *room) below(bytes uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known && r.free < bytes
}

// stale says whether much was let in since free was measured.
func (r *room) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.began-r.measured >= measureEvery
}

// levels returns the level as measured, and the worst that it can be by now.
func (r *room) levels() (measured, now eventlog.Space) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known {
		return eventlog.SpaceOK, eventlog.SpaceOK
	}
	left := r.free - min(r.free, writeCost*uint64(r.began-r.measured))
	return spaceOf(r.free, r.total), spaceOf(left, r.total)
}

// Space is eventlog.SpaceReporter's.
func (l *Log) Space() eventlog.Space {
	if l.guard.isFull() {
		return eventlog.SpaceEmpty
	}
	return eventlog.Space(l.space.Load())
}

func spaceOf(free, total uint64) eventlog.Space {
	switch {
	case free < emptyFree:
		return eventlog.SpaceEmpty
	case free < lowFree || free < total/100*lowPercent:
		return eventlog.SpaceLow
	}
	return eventlog.SpaceOK
}

// admit refuses events that could eat into the reserve. Their bytes are on the account already. It measures whenever
// the account alone cannot tell, so neither a fast writer nor new room waits for the next poll.
func (l *Log) admit() error {
	if l.guard.isFull() {
		return errDiskFull(nil)
	}
	measured, now := l.room.levels()
	if now != measured || now == eventlog.SpaceEmpty || l.room.stale() {
		if err := l.lookAtSpace(); err != nil {
			return fault.New(fault.Unavailable, "the event log takes no events: %w", err)
		}
		_, now = l.room.levels()
	}
	if now == eventlog.SpaceEmpty {
		return l.errReserve()
	}
	return nil
}

func (l *Log) errReserve() error {
	l.room.mu.Lock()
	free, under := l.room.free, uint64(l.room.began-l.room.measured)
	l.room.mu.Unlock()
	said := fmt.Sprintf("%d MiB free; the last %d MiB are kept for results of functions", free>>20, emptyFree>>20)
	if free >= emptyFree {
		said += fmt.Sprintf(", and what is being written may take %d MiB", (writeCost*under+1<<20-1)>>20)
	}
	return errDiskFull(errors.New(said))
}

// lookAtSpace measures how much room there is and wakes the writers that wait for it.
func (l *Log) lookAtSpace() error {
	mark := l.room.mark()
	free, total, err := l.freeSpace()
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("measure free space of %s: %w", l.dir, err)
	}
	l.room.set(free, total, mark)
	now := spaceOf(free, total)
	l.guard.thrifty.Store(now != eventlog.SpaceOK || l.erasing.Load())
	if before := eventlog.Space(l.space.Swap(uint32(now))); before != now {
		l.log.Warn("room on disk", "dir", l.dir, "free", free, "total", total, "level", int(now))
		if now > before {
			l.sweepSoon()
		}
	}
	if free > 0 {
		l.guard.tryAgain()
	}
	return nil
}

func diskUsage(fs vfs.FS, dir string) func() (free, total uint64, err error) {
	return func() (uint64, uint64, error) {
		u, err := fs.GetDiskUsage(dir)
		return u.AvailBytes, u.TotalBytes, err
	}
}
