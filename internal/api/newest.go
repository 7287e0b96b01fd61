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
	newestPassed  = 4096            // records that the log rules out cost as much as one that is looked at
	newestPlain   = 100             // events of an answer that needs no place among the searches where nothing is searched for
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
	want, wanted, err := fittingOf(q)
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
	s := &newest{log: a.log, now: a.now, want: want, wanted: wanted, limit: int(limit), look: int(look), since: since}
	if s.parts, err = a.belows(ctx, t, q, since, before); err != nil {
		return nil, err
	}
	if limit <= newestPlain && (want == nil || look > 0) {
		err = s.run(ctx)
	} else {
		err = a.search(ctx, s.run)
	}
	if err != nil {
		return nil, err
	}
	return s.answer(), nil
}

// belows are the partitions that are looked through, and where in each that begins: below the places of a page before, or below a time, else at the end. It ends
// where all is older than since.
func (a *API) belows(ctx context.Context, t eventlog.Topic, q query, since, before time.Time) ([]*below, error) {
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
		if !one.whole && !since.IsZero() && one.start < one.end {
			if one.start, err = a.log.OffsetAt(ctx, p, since); err != nil {
				return nil, fmt.Errorf("find %s in %s/%d: %w", since, p.Topic, p.ID, err)
			}
		}
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
	reached    time.Time // of the oldest record that was looked at; zero = none was, so that nothing is known of how far this is back
	whole      bool      // there is nothing left that could be wanted
}

// newest looks through the partitions of a topic from their newest records back, always where it has come least far, so that it reads little more than
// the stretch of time in which the answer lies.
type newest struct {
	log    eventlog.Log
	now    func() time.Time
	want   fitting
	wanted eventlog.Wanted // what the log can skip by
	limit  int
	look   int       // records that may be looked at, with newestPassed; 0 = as many as time allows
	since  time.Time // what is older is not wanted
	parts  []*below

	hits   []eventlog.Record
	bytes  int             // of the hits
	left   map[int32]int64 // by partition, the highest offset of what was found and is not given, since it is too much for one page
	end    time.Time       // of the newest that is left
	looked int
	passed int64 // records that the log has ruled out without their being read
	moved  bool  // some stretch was looked at, so that the next page does not begin where this one did
	until  time.Time
}

func (s *newest) run(ctx context.Context) error {
	s.until = s.now().Add(newestTime)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := s.next()
		if p == nil || s.enough(p.reached) || s.look > 0 && int64(s.looked)+s.passed/newestPassed >= int64(s.look) || s.late() {
			return nil
		}
		if err := s.back(ctx, p); err != nil {
			return err
		}
	}
}

// late says that the time is up. A page that has come nowhere would be asked for again and again.
func (s *newest) late() bool { return s.moved && s.now().After(s.until) }

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
	if reached.IsZero() || len(s.hits) < s.limit && s.left == nil {
		return false
	}
	oldest := slices.MinFunc(s.hits, byTime)
	return !oldest.Time.Before(reached)
}

func byTime(a, b eventlog.Record) int { return a.Time.Compare(b.Time) }

// trim keeps as many of the newest hits as an answer has, and one at least.
func (s *newest) trim() {
	if len(s.hits) <= s.limit && s.bytes <= newestBytes {
		return
	}
	s.sort()
	n, bytes := 0, 0
	for ; n < min(len(s.hits), s.limit); n++ {
		size := bytesOf(&s.hits[n])
		if n > 0 && bytes+size > newestBytes {
			break
		}
		bytes += size
	}
	for i := range s.hits[n:] {
		s.leave(&s.hits[n+i])
	}
	clear(s.hits[n:])
	s.hits, s.bytes = s.hits[:n], bytes
}

func (s *newest) sort() {
	slices.SortStableFunc(s.hits, func(a, b eventlog.Record) int { return byTime(b, a) })
}

// leave has a hit for another page.
func (s *newest) leave(r *eventlog.Record) {
	if s.left == nil {
		s.left = map[int32]int64{}
	}
	before, some := s.left[r.Partition]
	if !some || r.Offset > before {
		s.left[r.Partition] = r.Offset
	}
	if r.Time.After(s.end) {
		s.end = r.Time
	}
}

// bytesOf is what holding a record takes, about.
func bytesOf(r *eventlog.Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Name) + len(r.Headers[i].Value)
	}
	return n
}

// back reads the stretch below where a partition was looked through to. Where that would be too much at a time a shorter one is read instead, so that what
// is held stays bounded. One that has nothing is a gap, as compaction leaves: steps grow without bound until it is passed, so that others are not kept waiting.
func (s *newest) back(ctx context.Context, p *below) error {
	at, err := eventlog.SkipBack(ctx, s.log, p.partition, p.start, p.end, s.wanted)
	if err != nil {
		return fmt.Errorf("search %s/%d: %w", p.partition.Topic, p.partition.ID, err)
	}
	if at < p.end {
		s.passed += p.end - at
		p.end, s.moved = at, true
	}
	for most := s.share(p); p.start < p.end && !s.late(); {
		from := max(p.start, p.end-p.step)
		part, whole, err := s.stretch(ctx, p.partition, from, p.end, most)
		if err != nil {
			return err
		}
		if !whole {
			p.step = max(1, p.step/4)
			continue
		}
		s.take(p, part)
		s.trim()
		p.end, s.moved = from, true
		if len(part) == 0 {
			p.step *= 8
		} else {
			p.step = min(2*p.step, scanStep)
		}
		return nil
	}
	return nil
}

// share is how many records of a partition may be looked at together. Where they are counted each partition has its part of them first.
func (s *newest) share(p *below) int {
	if s.look == 0 {
		return scanStep
	}
	if p.reached.IsZero() {
		return max(1, s.look/len(s.parts))
	}
	return max(1, min(scanStep, s.look-s.looked))
}

// stretch reads the records of a stretch, the oldest first; whole is false where those are more than most, or too much at a time, or where the time is up.
func (s *newest) stretch(ctx context.Context, p eventlog.Partition, from, end int64, most int) (part []eventlog.Record, whole bool, err error) {
	const reads = 4
	for n := 0; from < end; n++ {
		if n == reads || s.late() {
			return nil, false, nil
		}
		rs, err := s.log.Read(ctx, p, from, eventlog.ReadOptions{MaxRecords: int(min(end-from, int64(most)+1)), MaxBytes: newestBytes / 8, NoWait: true})
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
		if part = append(part, rs...); len(part) > most {
			return nil, false, nil
		}
	}
	return part, true, nil
}

// take looks at the records of a stretch. What is no newer than a hit that is left is left, too: pages go on from there.
func (s *newest) take(p *below, part []eventlog.Record) {
	for i := range slices.Backward(part) {
		r := &part[i]
		p.reached = r.Time
		s.looked++
		switch {
		case r.Time.Before(s.since): // others below it may have a later time, if it was given one
		case s.want != nil && !s.want(r):
		case s.left != nil && !r.Time.After(s.end):
			s.leave(r)
		default:
			s.hits = append(s.hits, *r)
			s.bytes += bytesOf(r)
		}
	}
}

// answer is the page of what was found.
func (s *newest) answer() wire.NewestEvents {
	s.sort()
	out := wire.NewestEvents{Events: []wire.EventAt{}, Looked: int64(s.looked) + s.passed, Whole: true}
	for _, r := range s.hits {
		at, _ := eventAt(r, nil)
		out.Events = append(out.Events, at)
	}
	next, reached := make([]string, len(s.parts)), true
	for i, p := range s.parts {
		at := p.end
		if left, some := s.left[p.partition.ID]; some {
			at = left + 1
		}
		next[i] = strconv.FormatInt(at, 10)
		if !p.whole {
			out.Whole = false
			reached = reached && !p.reached.IsZero()
			if p.reached.After(out.Since) {
				out.Since = p.reached
			}
		}
	}
	if !reached { // what is new there was not looked at
		out.Since = time.Time{}
	}
	if !out.Whole || s.left != nil {
		out.Older = strings.Join(next, ".")
	}
	return out
}
