package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of the log lines of a bundle.
const (
	maxBundleLines = 20_000
	maxLinesBytes  = 32 << 20 // of all lines, encoded
	longestLine    = 64 << 10 // bytes of a line's text
	leastLine      = 512      // to which texts are cut at most, where there are many long ones
	linesTime      = 10 * time.Second
	linesBefore    = time.Second
	linesAfter     = 10 * time.Second // lines come to the log behind what they are about
)

// span is a time in which a function ran.
type span struct{ from, to time.Time }

// merged are the stretches of time in which lines about some spans come to the log, in their order: a trace may last hours in which little of it runs.
func merged(spans []span) (all []span) {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(x, y span) int { return x.from.Compare(y.from) })
	for _, s := range spans {
		s = span{s.from.Add(-linesBefore), s.to.Add(linesAfter)}
		if k := len(all) - 1; k >= 0 && !s.from.After(all[k].to) {
			if s.to.After(all[k].to) {
				all[k].to = s.to
			}
			continue
		}
		all = append(all, s)
	}
	return all
}

// logs takes what the runs have written, as far as it is kept and there is room; what is left out or cut is told.
func (e *export) logs(ctx context.Context) error {
	until := time.Now().Add(linesTime)
	if all, ok := ctx.Deadline(); ok && all.Add(-linesTime/5).Before(until) {
		until = all.Add(-linesTime / 5) // an export without lines is better than none
	}
	within, stop := context.WithDeadline(ctx, until)
	defer stop()
	names := slices.Sorted(maps.Keys(e.ran))
	room := e.room()
	for i, name := range names {
		part := len(names) - i // each has its share, and what those before it have left
		kept := &keptLines{most: (maxBundleLines - len(e.out.Logs)) / part, bytes: room / part, longest: longestLine}
		err := e.linesOf(within, name, kept)
		if err != nil && ctx.Err() == nil && within.Err() != nil {
			e.lacks("log lines of %s behind the first %d: there was no time to read more", name, len(kept.all))
		} else if err != nil {
			return err
		}
		if kept.full {
			e.lacks("log lines of %s behind the first %d: there is no room for more", name, len(kept.all))
		}
		if kept.lost > 0 {
			e.lacks("%d log lines of %s, which the node did not keep: there were too many at a time", kept.lost, name)
		}
		if kept.ends > 0 {
			e.lacks("the ends of %d of the %d log lines of %s: of each the first %d bytes are here", kept.ends, len(kept.all), name, kept.longest)
		}
		e.out.Logs = append(e.out.Logs, kept.all...)
		room -= kept.held
	}
	return nil
}

// room is what log lines may take beside events and runs, in bytes.
func (e *export) room() int {
	taken := 2 * e.bytes // by base64, and what stands around it
	for i := range e.out.Runs {
		text, err := json.MarshalIndent(&e.out.Runs[i], "", " ")
		if err != nil {
			continue // Write says so
		}
		taken += len(text)
	}
	return min(maxLinesBytes, max(bundle.MaxParts-8<<20-taken, 1<<20))
}

func (e *export) linesOf(ctx context.Context, name string, kept *keptLines) error {
	ps, err := e.api.logPartitions(ctx, name)
	if err != nil {
		return err
	}
	spans := e.spans[name]
	if spans == nil { // of its attempts no time is known
		spans = []span{{e.out.Manifest.Began, e.out.Manifest.Ended}}
	}
	for _, p := range ps {
		b, err := e.api.log.Bounds(ctx, p)
		if err != nil {
			return fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
		}
		var told bool
		next := b.Start
		for _, s := range merged(spans) {
			from, err := e.api.log.OffsetAt(ctx, p, s.from)
			if err != nil {
				return fmt.Errorf("find %s in %s/%d: %w", s.from, p.Topic, p.ID, err)
			}
			if from == b.Start && b.Start > 0 && !told {
				told = true
				e.lacks("log lines of %s: retention has taken what stood before %s/%d@%d", name, p.Topic, p.ID, b.Start)
			}
			// A stretch that begins where the one before has ended must not give what that one gave.
			if next, err = e.stretch(ctx, eventlog.Position{Topic: p.Topic, Partition: p.ID, Offset: max(from, next)}, b.End, s.to, name, kept); err != nil {
				return err
			}
			if kept.full {
				return nil
			}
		}
	}
	return nil
}

// stretch reads a partition from a position on until a time, and returns the offset behind what it has read.
func (e *export) stretch(ctx context.Context, at eventlog.Position, end int64, until time.Time, name string, kept *keptLines) (int64, error) {
	want := logFilter{function: name}
	next := at.Offset
	s := &scan{log: e.api.log, cursors: []*cursor{{partition: eventlog.Partition{Topic: at.Topic, ID: at.Partition}, from: at.Offset, to: end}}}
	return next, s.run(ctx, func(r eventlog.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Time.After(until) {
			return errEnough
		}
		next = r.Offset + 1
		line, ok := want.line(r)
		if !ok || line.Run == "" || !e.runs[line.Run] {
			return nil
		}
		if !kept.add(line) {
			return errEnough
		}
		return nil
	})
}

// keptLines are the log lines of a function, within bounds. Where they have no room the texts of all are cut shorter, so that as many lines as possible are there;
// then the last ones are left out.
type keptLines struct {
	most, bytes int // bounds: of how many, and of what they take encoded
	longest     int // bytes of a text
	all         []function.LogLine
	ends        int  // texts of which the end is not here
	lost        int  // lines that came before those that are here, and were never stored
	held        int  // bytes
	full        bool // there were more
}

// around is what a line takes in the bundle beside its text and its names, in bytes.
const around = 300

func weight(l *function.LogLine) int {
	text, _ := json.Marshal(l.Text) // a string always can be
	return around + len(text) + len(l.Function) + len(l.Instance)
}

func (k *keptLines) add(l function.LogLine) bool {
	if len(k.all) >= k.most {
		k.full = true
		return false
	}
	ends := k.shorten(&l)
	w := weight(&l)
	for k.held+w > k.bytes && k.longest > leastLine {
		k.longest /= 2
		k.held = 0
		for i := range k.all {
			k.ends += k.shorten(&k.all[i])
			k.held += weight(&k.all[i])
		}
		ends |= k.shorten(&l)
		w = weight(&l)
	}
	if k.held+w > k.bytes {
		k.full = true
		return false
	}
	k.all, k.held, k.ends, k.lost = append(k.all, l), k.held+w, k.ends+ends, k.lost+l.Dropped
	return true
}

// cutMark ends a text that is not whole. It stands behind the bytes that are kept, so that a text is cut once more only where these are fewer.
const cutMark = " [cut]"

// shorten returns how many texts are whole no longer: one, or none.
func (k *keptLines) shorten(l *function.LogLine) int {
	text, before := strings.CutSuffix(l.Text, cutMark)
	if len(text) <= k.longest {
		return 0
	}
	l.Text = strings.ToValidUTF8(text[:k.longest], "") + cutMark
	if before {
		return 0
	}
	return 1
}
