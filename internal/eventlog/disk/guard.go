package disk

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system that Pebble sees. Pebble ends the process, or a mutex it cannot give back, when the
// write-ahead log or the manifest cannot be written; guard keeps such errors from it.
//
// A write that finds the disk full waits and is tried again, so to Pebble it is only slow.
//
// After any other failed write or fsync the guard is broken: the directory is left as a power cut at that moment would
// leave it. Writes to the write-ahead log and the manifest, renames and removals do nothing and report success, which
// is safe because the log acknowledges nothing any more; writers of table files wait until the log is closed.
type guard struct {
	vfs.FS
	onBreak func(error) // called once, must not block

	aside   string          // what is below it is no part of the log: errors there go to who writes it
	over    <-chan struct{} // when it is closed nothing waits any more
	open    atomic.Bool     // the log is open; before that nothing waits, because somebody waits for the log
	thrifty atomic.Bool     // room is low: files take what they need and no more
	written written

	mu     sync.Mutex
	broken error
	filled int           // writers that wait for room
	fullCh chan struct{} // closed while the disk is full
	retry  chan struct{} // closed when it is worth another try
}

func newGuard(fs vfs.FS, aside string, over <-chan struct{}, onBreak func(error)) *guard {
	return &guard{FS: fs, aside: aside, over: over, onBreak: onBreak, fullCh: make(chan struct{}), retry: make(chan struct{})}
}

// How long a writer waits for room before it tries by itself.
const retryEvery = time.Second

// full returns a channel that is closed while writers wait for room.
func (g *guard) full() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fullCh
}

// isFull says whether writers wait for room.
func (g *guard) isFull() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.filled > 0
}

// tryAgain wakes the writers that wait for room.
func (g *guard) tryAgain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.retry)
	g.retry = make(chan struct{})
}

func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

func (g *guard) breakWith(err error) {
	g.mu.Lock()
	first := g.broken == nil
	if first {
		g.broken = err
	}
	g.mu.Unlock()
	if first {
		g.onBreak(err)
	}
}

// needed says that Pebble cannot live with an error on this file.
func needed(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-") ||
		strings.HasPrefix(name, "marker.") || strings.HasPrefix(name, "OPTIONS-")
}

// isAside says that a file is none of the log's.
func (g *guard) isAside(path string) bool {
	return strings.HasPrefix(path, g.aside+string(filepath.Separator))
}

// try runs a mutating operation on path under the guard's rules. done says that op has really been done.
func (g *guard) try(path string, op func() error) (done bool, err error) {
	if broken := g.failure(); broken != nil {
		return false, g.refuse(path, broken)
	}
	err = op()
	for waiting := false; ; {
		if !vfs.IsNoSpaceError(err) || !g.open.Load() {
			if waiting {
				g.room()
			}
			break
		}
		retry := g.noRoom(!waiting)
		waiting = true
		timer := time.NewTimer(retryEvery)
		select {
		case <-retry:
		case <-timer.C:
		case <-g.over:
			timer.Stop()
			g.room()
			g.breakWith(err)
			return false, g.refuse(path, err)
		}
		timer.Stop()
		if broken := g.failure(); broken != nil {
			g.room()
			return false, g.refuse(path, broken)
		}
		err = op()
	}
	if err != nil {
		g.breakWith(err)
		return false, g.refuse(path, err)
	}
	return true, nil
}

// refuse is what a broken guard answers.
func (g *guard) refuse(path string, broken error) error {
	if needed(path) {
		return nil
	}
	if !g.open.Load() {
		return broken
	}
	// At the end, when nobody reads any more, table files too are only said to be written: a write of the log's that
	// Pebble holds up until they are must come to its end.
	<-g.over
	return nil
}

func (g *guard) noRoom(first bool) (retry <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if first {
		if g.filled++; g.filled == 1 {
			close(g.fullCh)
		}
	}
	return g.retry
}

func (g *guard) room() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.filled--; g.filled == 0 {
		g.fullCh = make(chan struct{})
	}
}

// Unwrap is vfs.FS's.
func (g *guard) Unwrap() vfs.FS { return g.FS }

func (g *guard) openFile(path string, c vfs.DiskWriteCategory, op func() (vfs.File, error)) (vfs.File, error) {
	if g.isAside(path) {
		return op()
	}
	var f vfs.File
	done, err := g.try(path, func() (err error) {
		f, err = op()
		return err
	})
	if err != nil {
		return nil, err
	}
	if !done {
		f = vfs.NewMemFile(nil)
	}
	return &guardFile{File: f, g: g, path: path, written: g.written.counter(c)}, nil
}

// Create is vfs.FS's.
func (g *guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.openFile(name, c, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

// ReuseForWrite is vfs.FS's. What a file had before is not needed, so a thrifty guard gives that back.
func (g *guard) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if g.thrifty.Load() {
		if err := g.Remove(oldname); err == nil {
			return g.Create(newname, c)
		}
	}
	return g.openFile(newname, c, func() (vfs.File, error) { return g.FS.ReuseForWrite(oldname, newname, c) })
}

// OpenDir is vfs.FS's.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil || g.isAside(name) {
		return f, err
	}
	// A directory is synced after a rename or a new write-ahead log, so it is as needed as those.
	return &guardFile{File: f, g: g, path: "marker.", written: &g.written.other}, nil
}

// Link is vfs.FS's.
func (g *guard) Link(oldname, newname string) error {
	if g.isAside(newname) {
		return g.FS.Link(oldname, newname)
	}
	_, err := g.try(newname, func() error { return g.FS.Link(oldname, newname) })
	return err
}

// Rename is vfs.FS's.
func (g *guard) Rename(oldname, newname string) error {
	if g.isAside(newname) {
		return g.FS.Rename(oldname, newname)
	}
	_, err := g.try(newname, func() error { return g.FS.Rename(oldname, newname) })
	return err
}

// Remove is vfs.FS's. A file that stays is only garbage, so an error goes to Pebble, which reports it.
func (g *guard) Remove(name string) error {
	if g.failure() != nil {
		return nil
	}
	return g.FS.Remove(name)
}

// RemoveAll is vfs.FS's.
func (g *guard) RemoveAll(name string) error {
	if g.failure() != nil {
		return nil
	}
	return g.FS.RemoveAll(name)
}

// guardFile is a file under the guard's rules.
type guardFile struct {
	vfs.File
	g       *guard
	path    string
	written *atomic.Int64
}

// Write is vfs.File's. A write cut short by a full disk goes on where it stopped.
func (f *guardFile) Write(p []byte) (int, error) {
	rest := p
	_, err := f.g.try(f.path, func() error {
		n, err := f.File.Write(rest)
		f.written.Add(int64(n))
		rest = rest[n:]
		return err
	})
	if err != nil {
		return len(p) - len(rest), err
	}
	return len(p), nil
}

// WriteAt is vfs.File's.
func (f *guardFile) WriteAt(p []byte, at int64) (int, error) {
	_, err := f.g.try(f.path, func() error {
		n, err := f.File.WriteAt(p, at)
		f.written.Add(int64(n))
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sync is vfs.File's.
func (f *guardFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData is vfs.File's.
func (f *guardFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo is vfs.File's.
func (f *guardFile) SyncTo(length int64) (fullSync bool, err error) {
	err = f.sync(func() (err error) {
		fullSync, err = f.File.SyncTo(length)
		return err
	})
	return fullSync, err
}

// sync never tries twice: after a failed fsync the kernel may have thrown away what was not written, and say nothing
// the second time.
func (f *guardFile) sync(op func() error) error {
	_, err := f.g.try(f.path, func() error {
		err := op()
		if vfs.IsNoSpaceError(err) {
			return errors.New(err.Error())
		}
		return err
	})
	return err
}

// Preallocate is vfs.File's. It is a help only: without it the write itself finds out that there is no room.
func (f *guardFile) Preallocate(offset, length int64) error {
	if f.g.failure() != nil || f.g.thrifty.Load() {
		return nil
	}
	if err := f.File.Preallocate(offset, length); err != nil && !vfs.IsNoSpaceError(err) {
		return err
	}
	return nil
}

// Close is vfs.File's.
func (f *guardFile) Close() error {
	err := f.File.Close()
	if err == nil {
		return nil
	}
	f.g.breakWith(err)
	if needed(f.path) {
		return nil
	}
	return err
}
