package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Past is the platform as it was, and the steps that led there.
type Past struct {
	View  *View
	Steps []Step // those that were asked for, the oldest first
	Older int    // steps that were asked for and are left out, before the first of Steps
}

// PastQuery says which past is meant.
type PastQuery struct {
	At   time.Time        // what was appended in this millisecond or before counts
	Want func(*Step) bool // nil = no steps
	Max  int              // of the steps, the newest
}

// ReadPast folds the control topic from its beginning up to a moment. It is a fold of its own, beside the catalog's: it takes as long as
// there are control events before that moment, and changes nothing.
func ReadPast(ctx context.Context, log eventlog.Log, q PastQuery) (*Past, error) {
	b, err := log.Bounds(ctx, control)
	if err != nil {
		return nil, fmt.Errorf("read the bounds of %s: %w", control.Topic, err)
	}
	// The log's times are in milliseconds: the first moment that is too late is the next one.
	end, err := log.OffsetAt(ctx, control, q.At.Truncate(time.Millisecond).Add(time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("find %s in %s: %w", q.At, control.Topic, err)
	}
	end = min(end, b.End)
	s, out := newState(), &Past{}
	s.offset = b.Start
	var told steps
	for s.offset < end {
		records, err := log.Read(ctx, control, s.offset, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", control.Topic, err)
		}
		if len(records) == 0 {
			break // nothing but gaps is left
		}
		for len(records) > 0 && records[len(records)-1].Offset >= end {
			records = records[:len(records)-1]
		}
		if len(records) == 0 {
			break
		}
		// What cannot be understood the catalog's own fold has told of.
		lost := s.foldAll(records, slog.New(slog.DiscardHandler))
		if q.Want != nil {
			told.add(records, lost, &q)
		}
	}
	out.View = s.publish(nil)
	told.without(s.parts)
	out.Steps, out.Older = told.list, told.older
	return out, nil
}

// steps gathers what is to be told.
type steps struct {
	list  []Step
	older int
}

// add takes the steps of records that were folded, without those that were not accepted. A part of several is lost when a later one is, so
// earlier ones go too.
func (t *steps) add(records []eventlog.Record, lost []rejection, q *PastQuery) {
	for _, r := range records {
		if one, err := stepOf(r); err == nil && q.Want(&one) {
			t.list = append(t.list, one)
		}
	}
	refused := map[int64]bool{}
	for _, r := range lost {
		refused[r.offset] = true
	}
	t.drop(func(s *Step) bool { return refused[s.Offset] })
	if extra := len(t.list) - q.Max; extra > 0 {
		t.list, t.older = append([]Step(nil), t.list[extra:]...), t.older+extra
	}
}

// without leaves out the parts of several that wait for the rest: they have not happened yet.
func (t *steps) without(waiting map[string][]part) {
	pending := map[int64]bool{}
	for _, parts := range waiting {
		for _, p := range parts {
			pending[p.record.Offset] = true
		}
	}
	t.drop(func(s *Step) bool { return pending[s.Offset] })
}

func (t *steps) drop(is func(*Step) bool) {
	kept := t.list[:0]
	for i := range t.list {
		if !is(&t.list[i]) {
			kept = append(kept, t.list[i])
		}
	}
	t.list = kept
}
