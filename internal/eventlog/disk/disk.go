package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Options says where the log is. Only Dir is required.
type Options struct {
	Dir        string                                 // the log's alone; made when it is not there
	FS         vfs.FS                                 // nil = the machine's
	Now        func() time.Time                       // nil = time.Now
	FreeSpace  func() (free, total uint64, err error) // bytes; nil = what FS says of Dir
	MaxRecord  int                                    // bytes as stored; 0 = 8 MiB: any event, and a dead letter with its history
	SweepEvery time.Duration                          // how often retention and compaction run; 0 = 1 minute
	ReadOnly   bool                                   // of a log that is there; nothing in Dir is changed, and whoever would change it is refused
	Log        *slog.Logger                           // nil = nowhere
	Metrics    prometheus.Registerer                  // nil = nowhere

	memTable uint64        // bytes; 0 = as PebbleOptions; tests make it small
	patience time.Duration // of Erase; 0 = erasePatience; tests make it short
}

// How often the log looks at the room on the disk.
const spaceEvery = time.Second

// Log is the event log in one directory. It implements eventlog.Log and eventlog.SpaceReporter.
type Log struct {
	dir       string
	now       func() time.Time
	freeSpace func() (free, total uint64, err error)
	maxRecord int
	log       *slog.Logger
	metrics   *metrics
	guard     *guard
	db        *pebble.DB
	unlock    func() error
	reading   bool // nobody writes
	failureFlags

	queue      *queue
	slots      chan struct{} // one token for each group under way
	groupsDone chan *group   // from the committer to the acknowledger
	buildMu    sync.Mutex    // held while the committer reads what callers gave it

	view    sync.RWMutex // what readers see: the fields below, topics' settings and partitions, partitions' ends
	topics  map[string]*topic
	numbers map[uint32]*topic
	groups  map[string]map[place]position
	members map[string]*member // the newest of each group

	shape   shape
	room    room
	space   atomic.Uint32 // eventlog.Space as measured
	freed   freed
	erasing atomic.Bool   // what is done with is not to be kept for reuse
	sweeps  chan struct{} // one token: a sweep is under way
	digests chan struct{} // one token: digests are made
	begun   *digesting    // the block that is read in part, of who has that token; nil = none is

	erasePatience time.Duration
	hurry         chan struct{} // holds a token when the janitor is to sweep now

	closing chan struct{} // closed when Close begins
	over    chan struct{} // closed when no call is under way any more
	calls   calls
	loops   sync.WaitGroup // committer, acknowledger, space watcher, janitor
	owners  sync.WaitGroup // members' callbacks
	closed  chan struct{}  // closed when Close has ended
}

var (
	_ eventlog.Log           = (*Log)(nil)
	_ eventlog.SpaceReporter = (*Log)(nil)
	_ eventlog.Sizer         = (*Log)(nil)
	_ eventlog.Lender        = (*Log)(nil)
	_ eventlog.Compacter     = (*Log)(nil)
)

// Open opens the log in a directory, or makes one. It refuses, and changes nothing, where another format wrote the
// directory; it refuses where another process has it.
func Open(o Options) (*Log, error) {
	if o.Dir == "" {
		return nil, fault.New(fault.Invalid, "the event log needs a directory")
	}
	if o.FS == nil {
		// One directory has one name, or this process could open it twice.
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, unusable(o.Dir, err)
		}
		o.Dir, o.FS = dir, vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FreeSpace == nil {
		o.FreeSpace = diskUsage(o.FS, o.Dir)
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = eventlog.MaxRecord
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ReadOnly {
		return openToRead(o)
	}
	if _, err := checkFormat(o.FS, o.Dir); err != nil {
		return nil, err
	}
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, unusable(o.Dir, err)
	}
	lock, err := lockDir(o.FS, o.Dir, o.Now())
	if err != nil {
		return nil, err
	}
	l, err := open(o, lock.Close)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// open goes on under the lock.
func open(o Options, unlock func() error) (*Log, error) {
	fresh, err := checkFormat(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := writeFormat(o.FS, o.Dir); err != nil {
			return nil, unusable(o.Dir, err)
		}
	}
	// Whoever wanted them is gone with the process that made them, and they keep room from being given back.
	if err := o.FS.RemoveAll(o.FS.PathJoin(o.Dir, checkpoints)); err != nil {
		return nil, unusable(o.Dir, err)
	}
	l := newLog(o, unlock)
	if l.metrics, err = newMetrics(o.Metrics, l); err != nil {
		return nil, err
	}
	// Before Pebble, which reserves room for its write-ahead log where there is plenty.
	if err := l.lookAtSpace(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the event log in %s: %w", o.Dir, err), l.metrics.close())
	}
	if l.db, err = l.openPebble(o); err != nil {
		return nil, errors.Join(err, l.metrics.close())
	}
	if err := errors.Join(l.loadTopics(), l.loadGroups()); err != nil {
		l.guardOver()
		return nil, errors.Join(fmt.Errorf("open the event log in %s: %w", o.Dir, err), l.db.Close(), l.metrics.close())
	}
	l.guard.open.Store(true)
	l.loops.Go(l.commitLoop)
	l.loops.Go(l.ackLoop)
	l.loops.Go(l.watchSpace)
	l.loops.Go(func() { l.janitor(o.SweepEvery) })
	return l, nil
}

// newLog is a log that nothing was opened of yet.
func newLog(o Options, unlock func() error) *Log {
	l := &Log{
		dir: o.Dir, now: o.Now, freeSpace: o.FreeSpace, maxRecord: o.MaxRecord, log: o.Log, unlock: unlock,
		erasePatience: cmp.Or(o.patience, erasePatience),
		failureFlags:  failureFlags{failed: make(chan struct{}), wedged: make(chan struct{})},
		queue:         &queue{ready: make(chan struct{}, 1)},
		slots:         make(chan struct{}, groupsAhead),
		groupsDone:    make(chan *group, groupsAhead),
		topics:        make(map[string]*topic), numbers: make(map[uint32]*topic),
		groups: make(map[string]map[place]position), members: make(map[string]*member),
		sweeps: make(chan struct{}, 1), digests: make(chan struct{}, 1), hurry: make(chan struct{}, 1), closing: make(chan struct{}), over: make(chan struct{}), closed: make(chan struct{}),
	}
	l.guard = newGuard(o.FS, o.FS.PathJoin(o.Dir, checkpoints), l.over, l.fail)
	return l
}

func (l *Log) openPebble(o Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Unavailable, "open the event log in %s: pebble: %v", o.Dir, p)
		}
	}()
	opts := PebbleOptions()
	opts.FS = l.guard
	opts.ReadOnly = o.ReadOnly
	if o.memTable != 0 {
		opts.MemTableSize = o.memTable
	}
	opts.Logger = pebbleLog{l}
	opts.EventListener = l.listener()
	db, err = pebble.Open(o.FS.PathJoin(o.Dir, "db"), opts)
	if o.ReadOnly {
		if err != nil {
			return nil, l.unread(err)
		}
		return db, nil
	}
	if err != nil {
		return nil, unusable(o.Dir, err)
	}
	// Pebble syncs what is in its directory, and not the directory's own name.
	if err := errors.Join(l.failure(), syncDir(o.FS, o.Dir)); err != nil {
		l.guardOver()
		return nil, errors.Join(unusable(o.Dir, err), db.Close())
	}
	return db, nil
}

// PebbleOptions are how the log uses Pebble, for who measures one against the other.
func PebbleOptions() *pebble.Options {
	return &pebble.Options{
		FormatMajorVersion:          pebble.FormatWALSyncChunks, // tells a torn tail of the write-ahead log from damage
		CacheSize:                   32 << 20,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       1000,
	}
}

// Close is eventlog.Log's.
func (l *Log) Close() error {
	if !l.calls.close() {
		<-l.closed
		return nil
	}
	defer close(l.closed)
	close(l.closing)
	l.calls.wait()
	l.guardOver()
	l.queue.close(eventlog.ErrClosed)
	err := l.metrics.close()
	stopped := make(chan error, 1)
	go func() {
		l.loops.Wait()
		l.owners.Wait()
		stopped <- l.db.Close()
	}()
	select {
	case cerr := <-stopped:
		if l.failure() == nil {
			err = errors.Join(err, cerr)
		}
	case <-l.wedged:
		// Pebble's locks may be held for ever. Its files are as a power cut leaves them, which the next start copes with.
	}
	return errors.Join(err, l.unlock())
}

func (l *Log) guardOver() { close(l.over) }

// enter begins a call; leave ends it. Close waits in between.
func (l *Log) enter() error {
	if !l.calls.begin() {
		return eventlog.ErrClosed
	}
	return nil
}

func (l *Log) leave() { l.calls.end() }

// calls counts the calls under way.
type calls struct {
	mu     sync.RWMutex
	closed bool
	under  sync.WaitGroup
}

func (c *calls) begin() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return false
	}
	c.under.Add(1)
	return true
}

func (c *calls) end() { c.under.Done() }

// close lets no more calls begin. It reports false when that was so before.
func (c *calls) close() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.closed
	c.closed = true
	return first
}

func (c *calls) wait() { c.under.Wait() }

// watchSpace looks at the room on the disk. It waits for nothing else, so that new room is seen at once.
func (l *Log) watchSpace() {
	tick := time.NewTicker(spaceEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.closing:
			return
		case <-tick.C:
			if err := l.lookAtSpace(); err != nil && l.failure() == nil {
				l.log.Warn("look at the room on disk", "dir", l.dir, "err", err)
			}
		}
	}
}

// janitor looks after retention and compaction.
func (l *Log) janitor(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	ctx, cancel := l.untilClosing()
	defer cancel()
	for {
		select {
		case <-l.closing:
			return
		case <-tick.C:
		case <-l.hurry:
		}
		if err := l.sweep(ctx, false); err != nil && l.failure() == nil && ctx.Err() == nil {
			l.log.Warn("look after the event log", "dir", l.dir, "err", err)
		}
	}
}

// untilClosing returns a context for work of the log's own, which ends when Close begins.
func (l *Log) untilClosing() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	l.owners.Go(func() {
		defer cancel()
		select {
		case <-l.closing:
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}
