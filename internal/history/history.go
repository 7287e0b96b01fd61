// Package history is the fold of _dalamb.runs and _dalamb.dead that answers people's questions: what ran, what waits for its
// next attempt, what is dead. It is derived: its index can be thrown away at any time and is built again from the log. It does
// not decide anything; dispatch keeps its own progress in the log.
package history

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	defaultTidy = time.Minute
	retryWait   = time.Second
	// staleDead is how old the fold of dead letters may be to go on from: the log keeps a tombstone for a day at least, and
	// what is older may have taken back a dead letter without a trace.
	staleDead = 12 * time.Hour
)

// Options of Open.
type Options struct {
	Log    eventlog.Log
	Dir    string // the index's own directory; whatever is in there is derived
	Logger *slog.Logger
	Now    func() time.Time
	Tidy   time.Duration // how often expired rows are removed and new partitions are looked for; 0 = a minute
}

// History holds the index. Safe for concurrent use.
type History struct {
	log    eventlog.Log
	db     *pebble.DB
	logger *slog.Logger
	now    func() time.Time
	tidy   time.Duration

	watchers watchers
	tally    *tally

	mu      sync.Mutex
	next    map[eventlog.Partition]int64 // the next offset to fold
	changed chan struct{}                // closed and replaced when next moves
}

// Open opens the index, or begins a new one where the format is another or the files are damaged. Run fills it.
func Open(o Options) (*History, error) {
	if o.Log == nil || o.Dir == "" {
		return nil, errors.New("history needs a log and a directory")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tidy <= 0 {
		o.Tidy = defaultTidy
	}
	db, err := openIndex(o.Dir, o.Logger)
	if err != nil {
		return nil, err
	}
	h := &History{
		log: o.Log, db: db, logger: o.Logger, now: o.Now, tidy: o.Tidy,
		next: map[eventlog.Partition]int64{}, changed: make(chan struct{}),
		tally: newTally(o.Now()),
	}
	return h, nil
}

// Close closes the index; Run has returned before.
func (h *History) Close() error {
	if err := h.db.Close(); err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}

// Run folds until ctx is done or the index fails. A log that is not there for a moment is waited for.
func (h *History) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		running := map[eventlog.Partition]bool{}
		tick := time.NewTicker(h.tidy)
		defer tick.Stop()
		for seeded := false; ; {
			fresh, err := h.survey(ctx, running)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil && eventlog.Passing(err):
				h.logger.Warn("history waits for the log", "err", err)
			case err != nil:
				return err
			}
			if err == nil && !seeded { // what a fold that begins anew has dropped is gone by now, and is counted when it is folded again
				if err := h.seed(); err != nil {
					return err
				}
				seeded = true
			}
			for _, f := range fresh {
				running[f.partition] = true
				g.Go(func() error { return f.run(ctx) })
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// survey looks at the topics: it removes what their retention took, and returns folds for partitions that have none yet.
func (h *History) survey(ctx context.Context, running map[eventlog.Partition]bool) ([]*fold, error) {
	topics, err := h.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var fresh []*fold
	for _, t := range topics {
		table := tableOf(t.Name)
		if table == nil {
			continue
		}
		for id := range t.Partitions {
			p := eventlog.Partition{Topic: t.Name, ID: id}
			if running[p] {
				continue
			}
			f, err := h.resume(ctx, table, t, p)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, f)
		}
		if err := h.expire(ctx, table, t); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// tableOf returns the table that a topic's records go to; nil = none.
func tableOf(topic string) *table {
	switch topic {
	case function.TopicRuns:
		return runsTable()
	case function.TopicDead:
		return deadTable()
	}
	return nil
}

// resume says from where a partition is folded. Where the index knows a topic of another identity, or more than the log holds, or
// too old dead letters, that partition's rows are thrown away and it begins at the start.
func (h *History) resume(ctx context.Context, table *table, t eventlog.Topic, p eventlog.Partition) (*fold, error) {
	bounds, err := h.log.Bounds(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	f := &fold{history: h, table: table, partition: p, topicID: t.ID}
	mark, found, err := readMark(h.db, p)
	if err != nil {
		return nil, err
	}
	stale := t.Compact && h.now().Sub(mark.at) > staleDead
	switch {
	case !found:
		mark.next = 0
	case mark.topicID != t.ID || mark.next > bounds.End || stale:
		h.logger.Info("history begins anew", "topic", p.Topic, "partition", p.ID, "offset", mark.next)
		if err := h.drop(table, p.ID); err != nil {
			return nil, err
		}
		if err := h.db.Delete(markKey(p), pebble.NoSync); err != nil {
			return nil, fmt.Errorf("remove history mark: %w", err)
		}
		mark.next = 0
	}
	h.advance(p, mark.next)
	f.next = mark.next
	return f, nil
}

func (h *History) advance(p eventlog.Partition, next int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next[p] = next
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *History) passed(p eventlog.Partition) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next[p]
}

// Wait blocks until the fold has passed the record at a position of _dalamb.runs or _dalamb.dead.
func (h *History) Wait(ctx context.Context, at eventlog.Position) error {
	if tableOf(at.Topic) == nil {
		return fault.New(fault.Invalid, "history does not follow topic %q", at.Topic)
	}
	return h.asFold(eventlog.Partition{Topic: at.Topic, ID: at.Partition}).Wait(ctx, at.Offset)
}

func (h *History) asFold(p eventlog.Partition) eventlog.Fold {
	return eventlog.Fold{
		Log: h.log, Partition: p,
		Next: func() int64 { return h.passed(p) },
		Changed: func() <-chan struct{} {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.changed
		},
	}
}

// CatchUp blocks until the fold has reached the end that its topics had at the call.
func (h *History) CatchUp(ctx context.Context) error {
	topics, err := h.log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if tableOf(t.Name) == nil {
			continue
		}
		for id := range t.Partitions {
			if err := h.asFold(eventlog.Partition{Topic: t.Name, ID: id}).CatchUp(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// mark is how far a partition is folded; it is written in the same batch as the rows.
type mark struct {
	next    int64
	at      time.Time // when it was folded last
	topicID string
}

func (m mark) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(m.next))
	b = binary.BigEndian.AppendUint64(b, uint64(m.at.UnixMilli()))
	return append(b, m.topicID...)
}

func readMark(db *pebble.DB, p eventlog.Partition) (m mark, found bool, err error) {
	b, closer, err := db.Get(markKey(p))
	if errors.Is(err, pebble.ErrNotFound) {
		return mark{}, false, nil
	}
	if err != nil {
		return mark{}, false, fmt.Errorf("read history mark: %w", err)
	}
	defer closer.Close()
	if len(b) < 16 {
		return mark{}, false, fmt.Errorf("read history mark of %s/%d: %d bytes", p.Topic, p.ID, len(b))
	}
	m.next = int64(binary.BigEndian.Uint64(b))
	m.at = time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:])))
	m.topicID = string(b[16:])
	return m, true, nil
}
