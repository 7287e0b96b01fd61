package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
)

// errReadOnly is the answer to who would change a log that is only read.
var errReadOnly = fault.New(fault.Denied, "the event log was opened to be read")

// readFS is a file system for a Pebble that only reads, on which it may not even take its lock: the log's own is enough.
type readFS struct{ vfs.FS }

func (readFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// lockToRead keeps nodes from the directory while it is read: by the lock that a node takes where this process may write there, else by one that readers share.
// It refuses where a node has it. Where there is no file to lock, no node has ever been.
func lockToRead(o Options) (io.Closer, error) {
	lock, err := lockDir(o.FS, o.Dir, o.Now())
	if err == nil || fault.KindOf(err) == fault.Conflict {
		return lock, err
	}
	f, err := os.Open(o.FS.PathJoin(o.Dir, "lock"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, unreadable(o.Dir, err)
	}
	spec := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &spec); isHeld(err) { // a file system may know no locks at all
		return nil, errors.Join(lockFault(o.FS, o.Dir, err), f.Close())
	}
	return f, nil
}

// openToRead is Open of a log that is there, in a directory that may belong to somebody else, or be mounted to be read.
func openToRead(o Options) (*Log, error) {
	fresh, err := checkFormat(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	if fresh {
		return nil, fault.New(fault.NotFound, "there is no event log in %s", o.Dir)
	}
	lock, err := lockToRead(o)
	if err != nil {
		return nil, err
	}
	o.FS = readFS{o.FS}
	l := newLog(o, lock.Close)
	l.reading = true
	if l.metrics, err = newMetrics(nil, l); err == nil {
		l.db, err = l.openPebble(o)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := errors.Join(l.loadTopics(), l.loadGroups()); err != nil {
		l.guardOver()
		return nil, errors.Join(l.unread(err), l.db.Close(), lock.Close())
	}
	l.guard.open.Store(true)
	l.queue.close(errReadOnly)
	return l, nil
}

// DamagedError is that a log that was to be read cannot be.
type DamagedError struct {
	File string // what is damaged: a file of the log, or its directory where the store does not say which
	Err  error  // with what to do
}

func (e *DamagedError) Error() string { return e.Err.Error() }
func (e *DamagedError) Unwrap() error { return e.Err }

// unread is unreadable with what is damaged, unless it is the machine that does not give it.
func (l *Log) unread(err error) error {
	said := unreadable(l.dir, err)
	if errors.Is(err, fs.ErrPermission) || withheld(err) {
		return said
	}
	d := &DamagedError{File: l.dir, Err: said}
	l.damaged.Range(func(path, _ any) bool {
		d.File = path.(string)
		return false
	})
	return d
}

// withheld says of an error that the machine does not give what a file holds just now, or for this process: nothing is known of whether it is whole.
func withheld(err error) bool {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return false
	}
	switch no {
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EIO, unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ESTALE, unix.ETIMEDOUT, unix.ENXIO, unix.ENODEV:
		return true
	}
	return false
}

// salvage is what load does with a partition whose newest records cannot all be counted, because of why: its end is behind the last one, so that those which
// can be read are. Its error is that even that cannot be found.
func (p *partition) salvage(db *pebble.DB, why error) error {
	end, err := p.last(db)
	if err != nil {
		return why
	}
	p.end = max(p.end, end)
	return nil
}

// last is the offset behind the last record that is stored.
func (p *partition) last(db *pebble.DB) (end int64, err error) {
	it, err := db.NewIter(p.bounds(0, maxOffset))
	if err != nil {
		return 0, err
	}
	if it.Last() {
		end = offsetOfKey(it.Key()) + 1
	}
	return end, it.Close()
}

// unreadable says why a directory cannot be read.
func unreadable(dir string, err error) error {
	kind := fault.Unavailable
	if errors.Is(err, fs.ErrPermission) {
		kind = fault.Denied
	}
	return fault.New(kind, "the event log in %s cannot be read: %w", dir, err).WithHint("is it whole, and may this user read it? nothing was changed there")
}
