package image

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
)

// roomReserve is how many bytes of the disk images leave free: twice what the event log keeps for itself, so that pushes are refused
// before events are.
const roomReserve = 512 << 20

// roomEvery is after how many written bytes the free space is measured again.
const roomEvery = 16 << 20

// room holds writers to the reserve.
type room struct {
	what string // that needs it
	free func() (uint64, error)
}

func roomOf(dir, what string) room {
	return room{what, func() (uint64, error) {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			return 0, fmt.Errorf("measure free space of %s: %w", dir, err)
		}
		return s.Bavail * uint64(s.Bsize), nil
	}}
}

// CheckRoom refuses, with a word of what needs it, when the disk of a directory has no room beyond the reserve.
func CheckRoom(dir, what string) error { return roomOf(dir, what).check() }

// WithRoom is w as long as there is room.
func WithRoom(dir, what string, w io.Writer) io.Writer { return roomOf(dir, what).writer(w) }

// check refuses when the reserve is reached.
func (r room) check() error {
	free, err := r.free()
	if err != nil {
		return err
	}
	if free < roomReserve {
		return fault.New(fault.Unavailable, "no room for %s: %d MiB free; the last %d MiB are kept for events and results", r.what, free>>20, roomReserve>>20).
			WithHint("free space on the disk of the data directory, then try again")
	}
	return nil
}

// writer is w as long as there is room.
func (r room) writer(w io.Writer) io.Writer { return &roomWriter{room: r, w: w} }

type roomWriter struct {
	room  room
	w     io.Writer
	since int // bytes written since the last look
}

func (w *roomWriter) Write(p []byte) (int, error) {
	if w.since == 0 || w.since >= roomEvery {
		if err := w.room.check(); err != nil {
			return 0, err
		}
		w.since = 0
	}
	n, err := w.w.Write(p)
	w.since += n
	return n, err
}
