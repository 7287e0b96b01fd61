package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Past is the platform as it was, and the steps that led there.
type Past struct {
	View  *View
	Steps []Step // those that were asked for, the oldest first
	Older bool   // there are more that were asked for, before the first of Steps
}

// PastQuery says which past is meant.
type PastQuery struct {
	At    time.Time        // what was appended in this millisecond or before counts
	Since time.Time        // steps that were appended before are not looked at; zero = all are
	Want  func(*Step) bool // nil = no steps
	Max   int              // of the steps, the newest
}

// Bounds of the marks that are kept.
const (
	maxMarks  = 32
	markEvery = 1000 // control events between two marks, at first; twice as many each time that there would be too many marks
	stepsRead = 500  // control events of which the steps are read at once
)

// Pasts tells how the platform was. It folds the control topic for itself, beside the catalog's fold, and keeps what the fold was at some places:
// another question begins at the mark before its time. One that is given up leaves its marks, so that the next goes on behind them. Safe
// for concurrent use.
type Pasts struct {
	log eventlog.Log

	mu      sync.Mutex
	every   int64
	marks   []*state       // by offset, rising; what is in them is never changed
	refused map[int64]bool // offsets of what was not accepted, as far as was folded
}

// NewPasts needs a log whose control topic is there when it is asked.
func NewPasts(log eventlog.Log) *Pasts {
	return &Pasts{log: log, every: markEvery, refused: map[int64]bool{}}
}

// At folds the control topic up to a moment. The first time takes as long as there are control events before that moment, later ones as long
// as there are since the mark before it. It changes nothing.
func (p *Pasts) At(ctx context.Context, q PastQuery) (*Past, error) {
	b, err := p.log.Bounds(ctx, control)
	if err != nil {
		return nil, fmt.Errorf("read the bounds of %s: %w", control.Topic, err)
	}
	// The log's times are in milliseconds: the first moment that is too late is the next one.
	end, err := p.log.OffsetAt(ctx, control, q.At.Truncate(time.Millisecond).Add(time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("find %s in %s: %w", q.At, control.Topic, err)
	}
	end = min(end, b.End)
	s := p.before(end, b.Start)
	if err := p.fold(ctx, s, end); err != nil {
		return nil, err
	}
	out := &Past{View: s.publish(nil)}
	if q.Want == nil {
		return out, nil
	}
	start := b.Start
	if !q.Since.IsZero() {
		if start, err = p.log.OffsetAt(ctx, control, q.Since); err != nil {
			return nil, fmt.Errorf("find %s in %s: %w", q.Since, control.Topic, err)
		}
	}
	out.Steps, out.Older, err = p.steps(ctx, &q, start, end, s.waiting())
	return out, err
}

// before is a copy of the newest mark that is not behind an offset.
func (p *Pasts) before(end, start int64) *state {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range slices.Backward(p.marks) {
		if m.offset <= end {
			return m.clone()
		}
	}
	s := newState()
	s.offset = start
	return s
}

// fold goes on to an offset, and leaves marks.
func (p *Pasts) fold(ctx context.Context, s *state, end int64) error {
	for s.offset < end {
		records, err := readControl(ctx, p.log, s.offset, end)
		if err != nil || len(records) == 0 {
			return err // nothing but gaps is left
		}
		// What cannot be understood the catalog's own fold has told of.
		p.passed(s, s.foldAll(records, slog.New(slog.DiscardHandler)))
	}
	return nil
}

// readControl reads control events from one offset on, those before another.
func readControl(ctx context.Context, log eventlog.Log, from, end int64) ([]eventlog.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // records that are there are read whether anybody waits or not
	}
	records, err := log.Read(ctx, control, from, eventlog.ReadOptions{MaxRecords: stepsRead, NoWait: true})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", control.Topic, err)
	}
	for len(records) > 0 && records[len(records)-1].Offset >= end {
		records = records[:len(records)-1]
	}
	return records, nil
}

// passed keeps what is known of the records that a fold has taken, and a mark where the last one is far behind.
func (p *Pasts) passed(s *state, lost []rejection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range lost {
		p.refused[r.offset] = true
	}
	if n := len(p.marks); n > 0 && s.offset < p.marks[n-1].offset+p.every || n == 0 && s.offset < p.every {
		return
	}
	p.marks = append(p.marks, s.clone())
	if len(p.marks) <= maxMarks {
		return
	}
	p.every *= 2
	kept := p.marks[:0]
	for i, m := range p.marks {
		if i%2 == 1 {
			kept = append(kept, m)
		}
	}
	clear(p.marks[len(kept):])
	p.marks = kept
}

// steps reads what was accepted between two offsets, from the newest on, until there is enough. Of parts that wait for the rest nothing has
// happened yet.
func (p *Pasts) steps(ctx context.Context, q *PastQuery, start, end int64, waiting map[int64]bool) (list []Step, older bool, err error) {
	for end > start {
		from := max(start, end-stepsRead)
		var some []Step
		for at := from; at < end; {
			records, err := readControl(ctx, p.log, at, end)
			if err != nil {
				return nil, false, err
			}
			if len(records) == 0 {
				break
			}
			at = records[len(records)-1].Offset + 1
			for _, r := range records {
				if one, err := stepOf(r); err == nil && !waiting[r.Offset] && p.accepted(r.Offset) && q.Want(&one) {
					some = append(some, one)
				}
			}
		}
		list = append(some, list...)
		if extra := len(list) - q.Max; extra > 0 {
			return list[extra:], true, nil
		}
		end = from
	}
	return list, false, nil
}

func (p *Pasts) accepted(offset int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.refused[offset]
}
