package disk

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// design.md section 7: the bounds of free space.
const (
	lowFree    = 1 << 30
	lowPercent = 5
	emptyFree  = 256 << 20
)

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

// lookAtSpace asks how much room there is and wakes the writers that wait for it.
func (l *Log) lookAtSpace() error {
	free, total, err := l.freeSpace()
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("measure free space of %s: %w", l.dir, err)
	}
	now := spaceOf(free, total)
	if before := eventlog.Space(l.space.Swap(uint32(now))); before != now {
		l.log.Warn("room on disk", "dir", l.dir, "free", free, "total", total, "level", int(now))
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
