package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

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
	Env      string // environment that the function is of
	Trigger  string
	State    function.RunState
	Version  int                // that had the last attempt of which it is known
	EventID  string             // of the event that the run is about
	EventAt  *function.EventRef // where that event stands, for who knows and asks often; nil = anywhere
	Since    time.Time          // the newest event of the run is not older
	Before   time.Time          // the newest event of the run is older
	Limit    int                // 0 = DefaultLimit; at most MaxLimit
	After    string             // Page.Next of the page before
}

// Page is a part of the answer, newest first.
type Page[T any] struct {
	Rows []T
	Next string // Query.After for what follows; "" = this was the last
}

// RunByID returns a run, or NotFound.
func (h *History) RunByID(id string) (*function.Run, error) {
	r, err := one[function.Run](h, runsTable(), id, "run")
	if fault.KindOf(err) != fault.NotFound {
		return r, err
	}
	if found, lookErr := h.oneOfMany(id); found != nil || lookErr != nil {
		return found, lookErr
	}
	return nil, err
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
	if !found || many(id) {
		return nil, fault.New(fault.NotFound, "there is no %s %q", what, id).WithHint("it may be older than the log keeps; the list shows what there is. What came of a request is in topic _dalamb.requests")
	}
	v := new(T)
	if err := json.Unmarshal(r.doc, v); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", what, id, err)
	}
	return v, nil
}

// Runs returns runs, newest first.
func (h *History) Runs(q Query) (Page[*function.Run], error) {
	return page(h, kind[function.Run]{table: runsTable(), decode: runsOf, want: q.matches}, q)
}

// DeadLetters returns dead letters, newest first. Query.State says nothing here.
func (h *History) DeadLetters(q Query) (Page[*function.DeadLetter], error) {
	q.State = ""
	return page(h, kind[function.DeadLetter]{
		table: deadTable(), decode: deadOf, want: func(d *function.DeadLetter) bool { return q.matches(&d.Run) },
	}, q)
}

func (q *Query) matches(r *function.Run) bool {
	return (q.Function == "" || r.Function == q.Function) &&
		(q.Env == "" || function.Within(q.Env, r.Function)) &&
		(q.Trigger == "" || r.Trigger == q.Trigger) &&
		(q.State == "" || r.State == q.State) &&
		(q.Version == 0 || function.LastVersion(r.Attempts) == q.Version) &&
		(q.EventID == "" || r.Event.ID == q.EventID) &&
		(q.EventAt == nil || samePlace(q.EventAt, &r.Event))
}

func samePlace(a, b *function.EventRef) bool {
	return a.Topic == b.Topic && a.Partition == b.Partition && a.Offset == b.Offset
}

func deadOf(id string, doc []byte) ([]*function.DeadLetter, error) {
	d := new(function.DeadLetter)
	if err := json.Unmarshal(doc, d); err != nil {
		return nil, fmt.Errorf("decode dead letter %s: %w", id, err)
	}
	return []*function.DeadLetter{d}, nil
}

// probes are the indexes with the fewest rows to look at.
func (q *Query) probes(t *table) []probe {
	runs := t.letter == runsTable().letter
	switch at := q.EventAt; {
	case runs && q.EventID != "" && at != nil:
		return []probe{{term: eventTerm(q.EventID)}, {term: placeTerm(at.Topic, at.Partition, at.Offset), name: uint32(at.Offset), named: true}}
	case runs && q.EventID != "":
		return []probe{{term: eventTerm(q.EventID)}, {term: term{index: indexNames}, name: hashOf(q.EventID), named: true}}
	case runs && q.State != "" && q.State != function.RunSucceeded && q.Function != "":
		return []probe{{term: stateTerm(q.State, q.Function)}}
	case runs && q.State != "" && q.State != function.RunSucceeded:
		return []probe{{term: term{index: indexState, value: string(q.State)}}}
	case !runs && q.Function != "" && q.Version != 0:
		return []probe{{term: versionTerm(q.Function, q.Version)}}
	case q.Function != "":
		return []probe{{term: term{index: indexFunction, value: q.Function}}}
	}
	return []probe{{term: term{index: indexAll}}}
}

// kind is what the rows of a table are for people.
type kind[T any] struct {
	table  *table
	decode func(id string, doc []byte) ([]*T, error)
	want   func(*T) bool
}

func page[T any](h *History, k kind[T], q Query) (p Page[*T], err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	limit = min(limit, MaxLimit)
	var begin cursor
	if q.After != "" {
		if begin, err = decodeCursor(q.After); err != nil {
			return p, err
		}
	}
	s, err := h.newScan(k.table, q, q.probes(k.table))
	if err != nil {
		return p, err
	}
	defer s.close()
	for looked := 0; s.next(); {
		all, err := k.decode(s.id, s.row.doc)
		if err != nil {
			return Page[*T]{}, err
		}
		given := 0
		if bytes.Equal(s.tail, begin.tail) {
			given = min(begin.runs, len(all))
		}
		for i, v := range all[given:] {
			if !k.want(v) {
				continue
			}
			if p.Rows = append(p.Rows, v); len(p.Rows) == limit {
				p.Next = cursor{tail: s.tail, runs: (given + i + 1) % len(all)}.encode()
				return p, nil
			}
		}
		if looked += len(all); looked >= maxScan {
			p.Next = cursor{tail: s.tail}.encode()
			return p, nil
		}
	}
	return p, s.err
}
