package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// DefaultLimit and MaxLimit bound one page.
	DefaultLimit = 100
	MaxLimit     = 1000
	// maxScan is how many rows one page looks at: a rare state among millions of runs takes several pages, some of them empty.
	maxScan = 50_000
)

// Query selects runs. Zero fields select all.
type Query struct {
	Function string
	Trigger  string
	State    function.RunState
	EventID  string    // of the event that the run is about
	Since    time.Time // the newest event of the run is not older
	Before   time.Time // the newest event of the run is older
	Limit    int       // 0 = DefaultLimit; at most MaxLimit
	After    string    // Page.Next of the page before
}

// Page is a part of the answer, newest first.
type Page[T any] struct {
	Rows []T
	Next string // Query.After for what follows; "" = this was the last
}

// RunByID returns a run, or NotFound.
func (h *History) RunByID(id string) (*function.Run, error) {
	return one[function.Run](h, runsTable(), id, "run")
}

// DeadLetter returns a dead letter by its run's id, or NotFound: there was none, or it is resolved.
func (h *History) DeadLetter(id string) (*function.DeadLetter, error) {
	return one[function.DeadLetter](h, deadTable(), id, "dead letter")
}

func one[T any](h *History, t *table, id, what string) (*T, error) {
	r, found, err := t.get(h.db, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fault.New(fault.NotFound, "there is no %s %q", what, id).WithHint("it may be older than the log keeps; the list shows what there is")
	}
	v := new(T)
	if err := json.Unmarshal(r.doc, v); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", what, id, err)
	}
	return v, nil
}

// Runs returns runs, newest first.
func (h *History) Runs(q Query) (Page[*function.Run], error) {
	return page(h, runsTable(), q, func(r *function.Run) bool { return q.matches(r) })
}

// DeadLetters returns dead letters, newest first. Query.State says nothing here.
func (h *History) DeadLetters(q Query) (Page[*function.DeadLetter], error) {
	q.State = ""
	return page(h, deadTable(), q, func(d *function.DeadLetter) bool { return q.matches(&d.Run) })
}

func (q *Query) matches(r *function.Run) bool {
	return (q.Function == "" || r.Function == q.Function) &&
		(q.Trigger == "" || r.Trigger == q.Trigger) &&
		(q.State == "" || r.State == q.State) &&
		(q.EventID == "" || r.Event.ID == q.EventID)
}

// best is the index with the fewest rows to look at.
func (q *Query) best(t *table) term {
	runs := t.letter == runsTable().letter
	switch {
	case runs && q.EventID != "":
		return eventTerm(q.EventID)
	case runs && q.State != "" && q.State != function.RunSucceeded:
		return term{indexState, string(q.State)}
	case q.Function != "":
		return term{indexFunction, q.Function}
	}
	return term{index: indexAll}
}

func page[T any](h *History, t *table, q Query, want func(*T) bool) (Page[*T], error) {
	var p Page[*T]
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	limit = min(limit, MaxLimit)
	prefix := t.termPrefix(q.best(t))
	from, to := prefix, after(prefix)
	if !q.Before.IsZero() {
		from = binary.BigEndian.AppendUint64(bytes.Clone(prefix), newestFirst(q.Before.Add(-time.Millisecond)))
	}
	if !q.Since.IsZero() {
		to = after(binary.BigEndian.AppendUint64(bytes.Clone(prefix), newestFirst(q.Since)))
	}
	if q.After != "" {
		tail, err := decodeCursor(q.After)
		if err != nil {
			return p, err
		}
		if next := append(append(bytes.Clone(prefix), tail...), 0); bytes.Compare(next, from) > 0 {
			from = next
		}
	}
	// A snapshot keeps the index and the rows of one moment together.
	snap := h.db.NewSnapshot()
	defer snap.Close()
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return p, fmt.Errorf("scan history: %w", err)
	}
	defer it.Close()
	scanned := 0
	for it.First(); it.Valid(); it.Next() {
		tail := it.Key()[len(prefix):]
		r, found, err := t.get(snap, string(tail[8:]))
		if err != nil {
			return p, err
		}
		scanned++
		if found && r.newest() == binary.BigEndian.Uint64(tail) {
			v := new(T)
			if err := json.Unmarshal(r.doc, v); err != nil {
				return p, fmt.Errorf("decode history row %s: %w", tail[8:], err)
			}
			if want(v) {
				p.Rows = append(p.Rows, v)
			}
		}
		if len(p.Rows) == limit || scanned == maxScan {
			p.Next = encodeCursor(tail)
			break
		}
	}
	if err := it.Error(); err != nil {
		return p, fmt.Errorf("scan history: %w", err)
	}
	return p, nil
}
