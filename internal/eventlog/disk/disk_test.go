package disk_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
)

// clock is a clock that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// plenty is a disk with room.
func plenty() (free, total uint64, err error) { return 1 << 40, 1 << 41, nil }

func mustOpen(t testing.TB, o disk.Options) *disk.Log {
	t.Helper()
	if o.FreeSpace == nil {
		o.FreeSpace = plenty
	}
	l, err := disk.Open(o)
	if err != nil {
		t.Fatalf("Open(%s) = %v", o.Dir, err)
	}
	return l
}

func TestConformance(t *testing.T) {
	eventlogtest.Run(t, func(t *testing.T) eventlogtest.Factory {
		c, fs := &clock{}, vfs.NewMem()
		return eventlogtest.Factory{
			Open: func(t testing.TB) eventlog.Log {
				return mustOpen(t, disk.Options{Dir: "data/log", FS: fs, Now: c.now})
			},
			Advance: c.advance,
		}
	})
}

func TestConformanceOnRealFiles(t *testing.T) {
	eventlogtest.Run(t, func(t *testing.T) eventlogtest.Factory {
		c, dir := &clock{}, t.TempDir()
		return eventlogtest.Factory{
			Open:    func(t testing.TB) eventlog.Log { return mustOpen(t, disk.Options{Dir: dir, Now: c.now}) },
			Advance: c.advance,
		}
	})
}
