package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of one page of the newest events.
const (
	newestDefault = 50
	newestMost    = 1000
	newestTime    = 3 * time.Second // of one search; what was found by then is the answer, which says so
	newestLook    = 2000            // events that may be looked at without a place among the searches
	newestBytes   = 8 << 20         // of the events of an answer, as they are in the log
)

func (a *API) newestEvents(r *http.Request, q query) (out any, err error) {
	ctx := r.Context()
	name := q.text("topic")
	if name == "" {
		name = function.TopicEvents
	}
	t, err := a.topic(ctx, name)
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", newestDefault, 1, newestMost)
	if err != nil {
		return nil, err
	}
	look, err := q.number("look", 0, 1, newestLook)
	if err != nil {
		return nil, err
	}
	want, err := fittingOf(q)
	if err != nil {
		return nil, err
	}
	since, err := q.time("since", a.now())
	if err != nil {
		return nil, err
	}
	before, err := q.time("before", a.now())
	if err != nil {
		return nil, err
	}
	if q.text("before") != "" && before.IsZero() { // earliest: there is nothing before it
		before = time.Unix(0, 0)
	}
	s := &newest{log: a.log, now: a.now, want: want, limit: int(limit), look: int(look), since: since}
	if s.parts, err = a.belows(ctx, t, q, before); err != nil {
		return nil, err
	}
	if want == nil || look > 0 {
		err = s.run(ctx)
	} else {
		err = a.search(ctx, s.run)
	}
	if err != nil {
		return nil, err
	}
	return s.answer(), nil
}

// belows are the partitions that are looked through, and where in each that begins: below the places of a page before, or below a time, else at the end.
func (a *API) belows(ctx context.Context, t eventlog.Topic, q query, before time.Time) ([]*below, error) {
	asked, err := partitions(t, q)
	if err != nil {
		return nil, err
	}
	var places []string
	if text := q.text("older"); text != "" {
		if places = strings.Split(text, "."); len(places) > int(t.Partitions) {
			return nil, notOlder(text)
		}
	}
	var all []*below
	for id := range t.Partitions {
		p := eventlog.Partition{Topic: t.Name, ID: id}
		b, err := a.log.Bounds(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
		}
		end := b.End
		if !before.IsZero() && before.Before(a.now()) {
			if end, err = a.log.OffsetAt(ctx, p, before); err != nil {
				return nil, fmt.Errorf("find %s in %s/%d: %w", before, p.Topic, p.ID, err)
			}
		}
		if int(id) < len(places) { // a partition that is newer than the page before begins at its end
			n, err := strconv.ParseInt(places[id], 10, 64)
			if err != nil || n < 0 {
				return nil, notOlder(q.text("older"))
			}
			end = min(end, n)
		}
		one := &below{partition: p, start: b.Start, end: max(b.Start, end), step: newestStep}
		one.whole = !slices.Contains(asked, p)
		all = append(all, one)
	}
	return all, nil
}

func notOlder(text string) error {
	return fault.New(fault.Invalid, "query parameter \"older\": %q is no place to go on from", fault.Clip(text)).WithHint("use the text that the page before gave, as it is")
}

const newestStep = 16 // records of a partition that are read at first; it doubles

// below is what is left of one partition: what stands below end has not been looked at.
type below struct {
	partition  eventlog.Partition
	start, end int64
	step       int64     // records to read next
	reached    time.Time // of the oldest record that was looked at; zero = none was
	whole      bool      // there is nothing left that could be wanted
}

// newest looks through the partitions of a topic from their newest records back, always where it has come least far, so that it reads little more than
// the stretch of time in which the answer lies.
type newest struct {
	log   eventlog.Log
	now   func() time.Time
	want  fitting
	limit int
	look  int       // records that may be looked at; 0 = as many as time allows
	since time.Time // what is older is not wanted
	parts []*below

	hits   []eventlog.Record
	left   map[int32]int64 // by partition, the highest offset of what was found and is not given, since it is too much for one page
	looked int
}

func (s *newest) run(ctx context.Context) error {
	until := s.now().Add(newestTime)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := s.next()
		if p == nil || s.enough(p.reached) || s.look > 0 && s.looked >= s.look || s.now().After(until) {
			return nil
		}
		if err := s.back(ctx, p); err != nil {
			return err
		}
	}
}

// next is the partition that was looked through least far; nil = they all were, whole.
func (s *newest) next() *below {
	var first *below
	for _, p := range s.parts {
		if p.end <= p.start {
			p.whole = true
		}
		if !p.whole && (first == nil || p.reached.IsZero() || !first.reached.IsZero() && p.reached.After(first.reached)) {
			first = p
		}
	}
	return first
}

// enough says that a page is full of hits that nothing can be newer than: all partitions were looked through back to then.
func (s *newest) enough(reached time.Time) bool {
	if len(s.hits) < s.limit || reached.IsZero() {
		return false
	}
	s.cut(s.limit)
	return !s.hits[s.limit-1].Time.Before(reached)
}

// cut keeps the newest n hits.
func (s *newest) cut(n int) {
	slices.SortStableFunc(s.hits, func(a, b eventlog.Record) int { return b.Time.Compare(a.Time) })
	for _, r := range s.hits[min(n, len(s.hits)):] {
		if s.left == nil {
			s.left = map[int32]int64{}
		}
		s.left[r.Partition] = max(s.left[r.Partition], r.Offset)
	}
	s.hits = s.hits[:min(n, len(s.hits))]
}

// back reads the stretch below where a partition was looked through to. A read gives so many bytes at most: where a few do not give the whole stretch, a
// shorter one is read instead, so that what is held stays bounded.
func (s *newest) back(ctx context.Context, p *below) error {
	for {
		from := max(p.start, p.end-p.step)
		part, whole, err := s.stretch(ctx, p.partition, from, p.end)
		if err != nil {
			return err
		}
		if !whole {
			p.step = max(1, p.step/4)
			continue
		}
		s.take(p, part)
		p.end, p.step = from, min(2*p.step, scanStep)
		return nil
	}
}

// stretch reads the records of a stretch, the oldest first; whole is false where that would be too much at a time.
func (s *newest) stretch(ctx context.Context, p eventlog.Partition, from, end int64) (part []eventlog.Record, whole bool, err error) {
	const reads = 4
	for n := 0; from < end; n++ {
		if n == reads {
			return nil, false, nil
		}
		rs, err := s.log.Read(ctx, p, from, eventlog.ReadOptions{MaxRecords: int(end - from), MaxBytes: newestBytes / 8, NoWait: true})
		if err != nil {
			return nil, false, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 { // what is left is gaps
			break
		}
		from = rs[len(rs)-1].Offset + 1
		if beyond := slices.IndexFunc(rs, func(r eventlog.Record) bool { return r.Offset >= end }); beyond >= 0 {
			rs = rs[:beyond]
		}
		part = append(part, rs...)
	}
	return part, true, nil
}

// take looks at the records of a stretch.
func (s *newest) take(p *below, part []eventlog.Record) {
	for i := range slices.Backward(part) {
		r := &part[i]
		if p.reached = r.Time; r.Time.Before(s.since) {
			p.whole = true
			return
		}
		s.looked++
		if s.want == nil || s.want(r) {
			s.hits = append(s.hits, *r)
		}
	}
}

// answer is the page of what was found.
func (s *newest) answer() wire.NewestEvents {
	s.cut(s.limit)
	bytes := 0
	for i := range s.hits {
		if bytes += len(s.hits[i].Value); bytes > newestBytes && i > 0 {
			s.cut(i)
			break
		}
	}
	out := wire.NewestEvents{Events: []wire.EventAt{}, Looked: int64(s.looked), Whole: true}
	for _, r := range s.hits {
		at, _ := eventAt(r, nil)
		out.Events = append(out.Events, at)
	}
	next := make([]string, len(s.parts))
	for i, p := range s.parts {
		at := p.end
		if left, some := s.left[p.partition.ID]; some {
			at = left + 1
		}
		next[i] = strconv.FormatInt(at, 10)
		if !p.whole {
			out.Whole = false
			if p.reached.After(out.Since) {
				out.Since = p.reached
			}
		}
	}
	if !out.Whole || s.left != nil {
		out.Older = strings.Join(next, ".")
	}
	return out
}
