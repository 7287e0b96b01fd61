package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// fold takes one partition into the index. The records of one run, and those of one dead letter, have one key and so stand in
// one partition: folds of different partitions never touch the same row.
type fold struct {
	history   *History
	table     *table
	partition eventlog.Partition
	topicID   string
	next      int64
	changed   []string // ids of events of whose runs the batch under way tells
	happened  []happened
}

func (f *fold) run(ctx context.Context) error {
	h := f.history
	for {
		records, err := h.log.Read(ctx, f.partition, f.next, eventlog.ReadOptions{})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && eventlog.Passing(err):
			h.logger.Warn("history waits for the log", "topic", f.partition.Topic, "partition", f.partition.ID, "err", err)
			if !pause(ctx, retryWait) {
				return nil
			}
		case err != nil:
			return fmt.Errorf("read %s/%d: %w", f.partition.Topic, f.partition.ID, err)
		default:
			if err := f.apply(records); err != nil {
				return fmt.Errorf("fold %s/%d: %w", f.partition.Topic, f.partition.ID, err)
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// apply folds records and stores the rows and the new mark in one batch. A record that was folded before changes nothing.
func (f *fold) apply(records []eventlog.Record) error {
	h := f.history
	batch := h.db.NewIndexedBatch()
	defer batch.Close()
	f.changed, f.happened = f.changed[:0], f.happened[:0]
	for _, r := range records {
		if r.Offset < f.next {
			continue
		}
		f.next = r.Offset + 1
		var err error
		if f.partition.Topic == function.TopicDead {
			err = f.dead(batch, r)
		} else {
			err = f.ran(batch, r)
		}
		var bad *notUnderstood
		if errors.As(err, &bad) {
			// A newer binary may write what this one cannot read; the rest of the history is still worth having.
			h.logger.Warn("history skips a record", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		} else if err != nil {
			return err
		}
	}
	m := mark{next: f.next, at: h.now(), topicID: f.topicID}
	if err := batch.Set(markKey(f.partition), m.encode(), nil); err != nil {
		return err
	}
	// Not synced: what a crash takes is folded again from the log.
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("store history: %w", err)
	}
	h.advance(f.partition, f.next)
	h.watchers.tell(f.changed)
	h.tally.add(h.now(), f.happened)
	return nil
}

// notUnderstood is a record that is not what its topic should hold.
type notUnderstood struct{ err error }

func (n *notUnderstood) Error() string { return n.err.Error() }
func (n *notUnderstood) Unwrap() error { return n.err }

// ran folds a record of _dalamb.runs.
func (f *fold) ran(batch *pebble.Batch, r eventlog.Record) error {
	e, err := eventlog.ToEvent(r)
	if err != nil {
		return &notUnderstood{err}
	}
	switch e.Type {
	case event.TypeDeadLetterResolved:
		return f.resolved(batch, r, e)
	case event.TypeBatchFinished:
		return f.batch(batch, r, e)
	case event.TypeRunCancelled:
		return f.cancelled(batch, r, e)
	case event.TypeAttemptFailed, event.TypeRunFinished:
	default:
		return nil // what a newer binary says of runs
	}
	var run function.Run
	if err := json.Unmarshal(e.Data, &run); err != nil {
		return &notUnderstood{fmt.Errorf("decode run: %w", err)}
	}
	if run.ID == "" {
		return &notUnderstood{errors.New("a run without id")}
	}
	f.changed = append(f.changed, run.Event.ID)
	var old row
	found := false
	if !first(&run) {
		var err error
		if old, found, err = f.table.get(batch, run.ID); err != nil {
			return err
		}
	}
	doc := e.Data
	if found {
		if r.Offset <= old.offset {
			return nil
		}
		if doc, err = merge(old.doc, run); err != nil {
			return err
		}
		if err := f.replaced(batch, run.ID, old); err != nil {
			return err
		}
	}
	f.happened = append(f.happened, talliedOf(&run).happened(r.Time, 1))
	return f.table.put(batch, run.ID, row{at: r.Time, partition: r.Partition, offset: r.Offset, doc: doc}, runTerms(&run))
}

// first says that nothing was told of the run before, so there is no row to look for: most runs succeed at once, and a look
// that finds nothing is two thirds of what a fold costs. Told again, the record makes the same row again, and counts once more in the tally of minutes.
func first(r *function.Run) bool {
	return len(r.Attempts) == 0 || len(r.Attempts) == 1 && r.Attempts[0].Number <= 1
}

// resolved notes on a dead run what became of its dead letter. The dead letter itself goes by its tombstone.
func (f *fold) resolved(batch *pebble.Batch, r eventlog.Record, e *event.Event) error {
	var what struct {
		Reason string `json:"reason"`
		Run    string `json:"run"`
	}
	if err := json.Unmarshal(e.Data, &what); err != nil {
		return &notUnderstood{fmt.Errorf("decode %s: %w", e.Type, err)}
	}
	old, found, err := f.table.get(batch, e.Subject)
	if err != nil || !found || r.Offset <= old.offset {
		return err
	}
	var run function.Run
	if err := json.Unmarshal(old.doc, &run); err != nil {
		return fmt.Errorf("decode run %s: %w", e.Subject, err)
	}
	note := function.ReasonResolved + what.Reason
	if what.Run != "" {
		note += " by run " + what.Run
	}
	if run.Reason != "" {
		note = run.Reason + "; " + note
	}
	run.Reason = note
	doc, err := json.Marshal(run)
	if err != nil {
		return fmt.Errorf("encode run %s: %w", e.Subject, err)
	}
	if err := f.replaced(batch, run.ID, old); err != nil {
		return err
	}
	f.happened = append(f.happened, talliedOf(&run).happened(r.Time, 1))
	return f.table.put(batch, run.ID, row{at: r.Time, partition: r.Partition, offset: r.Offset, doc: doc}, runTerms(&run))
}

// replaced removes a row that another one follows, and has its runs counted no more as what they were.
func (f *fold) replaced(batch *pebble.Batch, id string, old row) error {
	if err := f.table.remove(batch, id, old); err != nil {
		return err
	}
	was, err := tallied(id, old)
	if err != nil {
		return err
	}
	was.runs = -was.runs
	f.happened = append(f.happened, was)
	return nil
}

// merge gives a run all attempts that are known of it: an event may tell only of those since the one before.
func merge(old []byte, run function.Run) ([]byte, error) {
	var before function.Run
	if err := json.Unmarshal(old, &before); err != nil {
		return nil, fmt.Errorf("decode run %s: %w", run.ID, err)
	}
	known := map[int]bool{}
	for _, a := range run.Attempts {
		known[a.Number] = true
	}
	for _, a := range before.Attempts {
		if !known[a.Number] {
			run.Attempts = append(run.Attempts, a)
		}
	}
	slices.SortStableFunc(run.Attempts, func(a, b function.Attempt) int { return a.Number - b.Number })
	return json.Marshal(run)
}

// dead folds a record of _dalamb.dead: its key is the run's id, its value a dead letter, or nothing when that is resolved.
func (f *fold) dead(batch *pebble.Batch, r eventlog.Record) error {
	id := string(r.Key)
	if id == "" {
		return &notUnderstood{errors.New("a dead letter without key")}
	}
	old, found, err := f.table.get(batch, id)
	if err != nil || found && r.Offset <= old.offset {
		return err
	}
	if found {
		if err := f.table.remove(batch, id, old); err != nil {
			return err
		}
	}
	if r.Value == nil || r.Lost() {
		return nil
	}
	var d function.DeadLetter
	if err := json.Unmarshal(r.Value, &d); err != nil {
		return &notUnderstood{fmt.Errorf("decode dead letter %s: %w", id, err)}
	}
	doc := r.Value
	if event.SealIn(r.Headers) != "" {
		if doc, err = withoutData(&d); err != nil {
			return &notUnderstood{fmt.Errorf("decode dead letter %s: %w", id, err)}
		}
	}
	return f.table.put(batch, id, row{at: r.Time, partition: r.Partition, offset: r.Offset, doc: doc}, deadTerms(&d))
}

// get returns a copy of a row.
func (t *table) get(from pebble.Reader, id string) (r row, found bool, err error) {
	b, closer, err := from.Get(t.rowKey(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("read history row %s: %w", id, err)
	}
	defer closer.Close()
	r, err = decodeRow(slices.Clone(b))
	return r, err == nil, err
}

// put writes a row and its index entries. The row that was there before has been removed.
func (t *table) put(batch *pebble.Batch, id string, r row, terms []term) error {
	for _, m := range terms {
		if err := batch.Set(t.termKey(m, r.at, id), m.names, nil); err != nil {
			return err
		}
	}
	return batch.Set(t.rowKey(id), r.encode(), nil)
}

func (t *table) remove(batch *pebble.Batch, id string, old row) error {
	list := t.terms
	if many(id) {
		list = manyTerms
	}
	terms, err := list(old.doc)
	if err != nil {
		return err
	}
	for _, m := range terms {
		if err := batch.Delete(t.termKey(m, old.at, id), nil); err != nil {
			return err
		}
	}
	return batch.Delete(t.rowKey(id), nil)
}
