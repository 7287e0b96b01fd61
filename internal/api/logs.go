package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	defaultLogLines = 1000
	maxLogLines     = 100_000
)

// streamLogs gives the last lines, oldest first, and then, when following, those that come.
func (a *API) streamLogs(w http.ResponseWriter, r *http.Request, q query) error {
	want, err := readLogFilter(q)
	if err != nil {
		return err
	}
	if want.run, err = a.writer(r.Context(), want.run); err != nil {
		return err
	}
	want.sees = access.From(r.Context()).Sees
	follow, err := q.flag("follow")
	if err != nil {
		return err
	}
	if follow && !want.until.IsZero() {
		return fault.New(fault.Invalid, "query parameters \"follow\" and \"until\" exclude each other")
	}
	limit, err := q.number("limit", defaultLogLines, 1, maxLogLines)
	if err != nil {
		return err
	}
	ps, err := a.logPartitions(r.Context(), want.function)
	if err != nil {
		return err
	}
	recent, err := a.lastLines(r.Context(), ps, want, int(limit))
	if err != nil {
		return err
	}
	if _, err := a.catalog.View().Function(want.function); want.function != "" && err != nil && len(recent.lines) == 0 {
		return err // not there, and never wrote anything that is still kept
	}
	out := a.newLines(r.Context(), w)
	for _, line := range recent.lines {
		if err := out.write(line); err != nil {
			return nil // the client is gone
		}
	}
	if !follow {
		return out.end(nil)
	}
	s := &scan{log: a.log, follow: true, cursors: recent.ends, caught: func() error { return errors.Join(out.begin(), out.flush()) }}
	return out.end(a.follow(r.Context(), s, func(rec eventlog.Record) error {
		if line, ok := want.line(rec); ok {
			return out.write(line)
		}
		return nil
	}))
}

// writer is the id of the run that is meant. One that is under way, and a request, are known by their lines alone, and by the whole id.
func (a *API) writer(ctx context.Context, run string) (string, error) {
	if run == "" {
		return "", nil
	}
	id, err := a.runID(ctx, run)
	if fault.KindOf(err) == fault.NotFound {
		return run, nil
	}
	return id, err
}

// logPartitions lists where lines may be: a function's are in the partition of its name.
func (a *API) logPartitions(ctx context.Context, fn string) ([]eventlog.Partition, error) {
	t, err := a.topic(ctx, function.TopicLogs)
	if err != nil {
		return nil, err
	}
	if fn != "" {
		return []eventlog.Partition{{Topic: t.Name, ID: eventlog.PartitionFor([]byte(fn), t.Partitions)}}, nil
	}
	var ps []eventlog.Partition
	for id := range t.Partitions {
		ps = append(ps, eventlog.Partition{Topic: t.Name, ID: id})
	}
	return ps, nil
}

// recentLines are the last lines, and where following goes on without a gap.
type recentLines struct {
	lines []function.LogLine
	ends  []*cursor
}

// lastLines looks at a window before the end that grows until it holds enough, so that a long log is not read for a few lines.
func (a *API) lastLines(ctx context.Context, ps []eventlog.Partition, want logFilter, limit int) (recentLines, error) {
	var out recentLines
	bounds := make([]eventlog.Bounds, len(ps))
	for i, p := range ps {
		b, err := a.log.Bounds(ctx, p)
		if err != nil {
			return out, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
		}
		if !want.since.IsZero() { // a line is never stored before it was written
			from, err := a.log.OffsetAt(ctx, p, want.since)
			if err != nil {
				return out, fmt.Errorf("find a time in %s/%d: %w", p.Topic, p.ID, err)
			}
			b.Start = max(b.Start, from)
		}
		bounds[i] = b
		out.ends = append(out.ends, &cursor{partition: p, from: b.End, to: b.End})
	}
	for window := int64(limit) * 2; ; window *= 8 {
		s := &scan{log: a.log}
		whole := true
		for i, p := range ps {
			from := max(bounds[i].Start, bounds[i].End-window)
			whole = whole && from == bounds[i].Start
			s.cursors = append(s.cursors, &cursor{partition: p, from: from, to: bounds[i].End})
		}
		ring := make([]function.LogLine, 0, min(limit, 4096))
		next := 0
		err := s.run(ctx, func(r eventlog.Record) error {
			line, ok := want.line(r)
			switch {
			case !ok:
			case len(ring) < limit:
				ring = append(ring, line)
			default:
				ring[next] = line
				next = (next + 1) % limit
			}
			return nil
		})
		if err != nil {
			return out, err
		}
		if len(ring) == limit || whole {
			out.lines = append(ring[next:len(ring):len(ring)], ring[:next]...)
			return out, nil
		}
	}
}
