package api

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// spread stores n events with keys that go to both partitions. Every tenth is of type rare; an id is a number from 0.
func (n *node) spread(events int, data string) {
	n.Helper()
	records := make([]eventlog.Record, events)
	for i := range records {
		typ := "often"
		if i%10 == 0 {
			typ = "rare"
		}
		records[i] = eventlog.FromEvent(function.TopicEvents, &event.Event{
			ID: fmt.Sprint(i), Source: "/s", Type: typ, Subject: fmt.Sprint("k", i%7), DataContentType: "application/json", Data: []byte(data),
		})
	}
	for part := range slices.Chunk(records, 10) { // of one time each
		_, err := n.log.Append(n.Context(), part)
		ok(n, err)
	}
}

// pagesOf asks for page after page and returns all ids.
func (n *node) pagesOf(q client.NewestQuery) (ids []string) {
	n.Helper()
	for range 100 {
		page, err := n.client.NewestEvents(n.Context(), q)
		ok(n, err)
		for _, e := range page.Events {
			at, _ := eventAt(n.record(e.Topic, e.Partition, e.Offset), nil)
			_, id, _ := strings.Cut(string(at.Event), `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			ids = append(ids, id)
		}
		if page.Older == "" {
			return ids
		}
		q.Older = page.Older
	}
	n.Fatal("the pages do not end")
	return nil
}

func (n *node) record(topic string, partition int32, offset int64) eventlog.Record {
	n.Helper()
	rs, err := n.log.Read(n.Context(), eventlog.Partition{Topic: topic, ID: partition}, offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	ok(n, err)
	return rs[0]
}

func TestPagesOfTheNewestEventsHaveEachOnce(t *testing.T) {
	n := newNode(t)
	n.spread(500, `{}`)
	partition := int32(1)
	for _, tt := range []struct {
		name string
		q    client.NewestQuery
		fits func(id, partition int) bool
	}{
		{"all", client.NewestQuery{Limit: 7}, func(int, int) bool { return true }},
		{"all at once", client.NewestQuery{Limit: 1000}, func(int, int) bool { return true }},
		{"a type", client.NewestQuery{Limit: 3, Filter: `{"type":["rare"]}`}, func(id, _ int) bool { return id%10 == 0 }},
		{"a type and more", client.NewestQuery{Limit: 3, Filter: `{"type":[{"prefix":"ra"}],"subject":["k0"]}`}, func(id, _ int) bool { return id%70 == 0 }},
		{"no type", client.NewestQuery{Limit: 9, Filter: `{"subject":["k3"]}`}, func(id, _ int) bool { return id%7 == 3 }},
		{"a key", client.NewestQuery{Limit: 9, Key: "k3"}, func(id, _ int) bool { return id%7 == 3 }},
		{"a partition", client.NewestQuery{Limit: 50, Partition: &partition}, func(_, p int) bool { return p == 1 }},
		{"nothing", client.NewestQuery{Filter: `{"type":["never"]}`}, func(int, int) bool { return false }},
		{"a short look", client.NewestQuery{Filter: `{"type":["rare"]}`, Look: 40}, func(id, _ int) bool { return id%10 == 0 }},
	} {
		var want []string
		for id := range 500 {
			if p := eventlog.PartitionFor(fmt.Append(nil, "k", id%7), 2); tt.fits(id, int(p)) {
				want = append(want, fmt.Sprint(id))
			}
		}
		got := n.pagesOf(tt.q)
		slices.Sort(want)
		if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, want) {
			t.Errorf("%s: pages have %d events %v, want %d", tt.name, len(got), sorted, len(want))
		}
	}
}

func TestTheNewestEventsAreNewestFirst(t *testing.T) {
	n := newNode(t)
	n.spread(100, `{}`)
	next := time.Now().Truncate(time.Millisecond).Add(time.Millisecond) // times of the log are exact to the millisecond
	for time.Now().Before(next) {
		runtime.Gosched()
	}
	middle := next.Format(time.RFC3339Nano)
	n.spread(300, `{}`)
	page, err := n.client.NewestEvents(t.Context(), client.NewestQuery{Limit: 20})
	ok(t, err)
	if len(page.Events) != 20 || page.Whole || page.Older == "" || page.Looked >= 200 {
		t.Errorf("a page of 20 = %d events, whole %v, older %q, looked at %d; want few looked at", len(page.Events), page.Whole, page.Older, page.Looked)
	}
	for i, e := range page.Events[1:] {
		if e.Time.After(page.Events[i].Time) {
			t.Errorf("event %d is newer than the one before it", i+1)
		}
	}
	for _, tt := range []struct {
		q    client.NewestQuery
		want int
	}{
		{client.NewestQuery{Since: middle, Limit: 1000}, 300},
		{client.NewestQuery{Before: middle, Limit: 1000}, 100},
		{client.NewestQuery{Since: middle, Before: middle}, 0},
	} {
		page, err := n.client.NewestEvents(t.Context(), tt.q)
		ok(t, err)
		if len(page.Events) != tt.want || !page.Whole || page.Older != "" {
			t.Errorf("NewestEvents(%+v) = %d events, whole %v, older %q; want %d, all", tt.q, len(page.Events), page.Whole, page.Older, tt.want)
		}
	}
}

func TestAPageOfLargeEventsIsBounded(t *testing.T) {
	n := newNode(t)
	n.spread(40, `"`+strings.Repeat("x", 500_000)+`"`)
	page, err := n.client.NewestEvents(t.Context(), client.NewestQuery{Limit: 1000})
	ok(t, err)
	if len(page.Events) == 0 || len(page.Events) > newestBytes/500_000 || page.Older == "" {
		t.Errorf("a page of 40 events of 500 kB has %d, older %q; want at most %d bytes", len(page.Events), page.Older, newestBytes)
	}
	if got := n.pagesOf(client.NewestQuery{Limit: 1000}); len(got) != 40 {
		t.Errorf("all pages have %d events, want 40", len(got))
	}
}

func TestWhatIsNoQuestionForTheNewestEvents(t *testing.T) {
	n := newNode(t)
	for _, tt := range []struct {
		q    client.NewestQuery
		kind fault.Kind
		want string
	}{
		{client.NewestQuery{Topic: "evnts"}, fault.NotFound, `there is no topic "evnts"`},
		{client.NewestQuery{Older: "a.b"}, fault.Invalid, `"older": "a.b"`},
		{client.NewestQuery{Older: "1.2.3"}, fault.Invalid, `"older": "1.2.3"`},
		{client.NewestQuery{Older: "-1.0"}, fault.Invalid, `"older": "-1.0"`},
		{client.NewestQuery{Filter: "{"}, fault.Invalid, `"filter"`},
		{client.NewestQuery{Since: "soon"}, fault.Invalid, `"since": "soon"`},
		{client.NewestQuery{Limit: 1001}, fault.Invalid, `"limit"`},
		{client.NewestQuery{Look: 2001}, fault.Invalid, `"look"`},
	} {
		if _, err := n.client.NewestEvents(t.Context(), tt.q); fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewestEvents(%+v) = %v, want %v with %s", tt.q, err, tt.kind, tt.want)
		}
	}
}

// What a record's headers say of its type counts only where the event is made of them.
func TestTheTypeThatLeavesOutARecordIsTheEvents(t *testing.T) {
	header := func(name, value string) eventlog.Header { return eventlog.Header{Name: name, Value: []byte(value)} }
	inHeaders := []eventlog.Header{header("ce_specversion", "1.0"), header("ce_id", "1"), header("ce_source", "/s"), header("ce_type", "a")}
	structured := []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"b"}`)
	for _, tt := range []struct {
		name    string
		record  eventlog.Record
		pattern string
		want    bool
	}{
		{"the type", eventlog.Record{Headers: inHeaders}, `{"type":["a"]}`, true},
		{"another", eventlog.Record{Headers: inHeaders}, `{"type":["b"]}`, false},
		{"the type, and what else does not fit", eventlog.Record{Headers: inHeaders}, `{"type":["a"],"source":["/t"]}`, false},
		{"no pattern of types", eventlog.Record{Headers: inHeaders}, `{"source":["/s"]}`, true},
		{"structured, with a header that lies", eventlog.Record{Headers: append(slices.Clone(inHeaders), header("Content-Type", "Application/CloudEvents+json")), Value: structured}, `{"type":["b"]}`, true},
		{"no event", eventlog.Record{Topic: "t", Value: []byte("x")}, `{"type":["` + event.TypeRecord + `"]}`, true},
		{"a broken one", eventlog.Record{Topic: "t", Headers: inHeaders[:3:3]}, `{"type":["` + event.TypeRecord + `"]}`, true},
		{"a broken one with a type", eventlog.Record{Topic: "t", Headers: inHeaders[1:]}, `{"type":[{"prefix":"dalamb."}]}`, true},
		{"a broken one that is not fitting", eventlog.Record{Topic: "t", Headers: inHeaders[1:]}, `{"type":["a"]}`, false},
	} {
		want, _, err := fittingOf(query{map[string][]string{"filter": {tt.pattern}}})
		ok(t, err)
		for range 2 { // the second time the type is known
			if got := want(&tt.record); got != tt.want {
				t.Errorf("%s: fitting = %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}

// TestASearchPassesWhatTheLogRulesOut: of many events a search looks at few.
func TestASearchPassesWhatTheLogRulesOut(t *testing.T) {
	n := newNode(t)
	const block = 4096 // of the log on disk
	rare := eventlog.PartitionFor([]byte("few"), 2)
	for id := range int32(2) {
		records := make([]eventlog.Record, 2*block)
		for i := range records {
			e := &event.Event{ID: fmt.Sprint(id, "-", i), Source: "/s", Type: "often", Subject: "many"}
			if id == rare && i == block-1 {
				e.Type, e.Subject = "rare", "few"
			}
			records[i] = eventlog.FromEvent(function.TopicEvents, e)
			records[i].Partition = id
		}
		_, err := n.log.Append(t.Context(), records)
		ok(t, err)
	}
	for _, tt := range []struct {
		q     client.NewestQuery
		want  int
		whole bool
	}{
		{client.NewestQuery{Filter: `{"type":["rare"]}`}, 1, false},
		{client.NewestQuery{Filter: `{"type":[{"prefix":"r"}]}`}, 1, false},
		{client.NewestQuery{Key: "few"}, 1, false},
		{client.NewestQuery{Key: "few", Filter: `{"type":["often"]}`}, 0, false},
		{client.NewestQuery{Filter: `{"type":["never"]}`}, 0, true},
		{client.NewestQuery{Key: "never"}, 0, true},
	} {
		tt.q.Look = 20
		page, err := n.client.NewestEvents(t.Context(), tt.q)
		ok(t, err)
		if len(page.Events) != tt.want || page.Whole != tt.whole || page.Looked < 2*block-block || tt.whole && page.Older != "" {
			t.Errorf("NewestEvents(%+v) = %d events, looked at %d, whole %v; want %d events, whole %v", tt.q, len(page.Events), page.Looked, page.Whole, tt.want, tt.whole)
		}
	}
	found := 0
	for e, err := range n.client.Events(t.Context(), client.EventQuery{Topic: function.TopicEvents, Key: "few"}) {
		ok(t, err)
		if found++; e.Offset != block-1 {
			t.Errorf("an event of the key is at %d", e.Offset)
		}
	}
	if found != 1 {
		t.Errorf("there are %d events of the key, want 1", found)
	}
}

// TestASearchEndsWhereAllIsOlder: what was given a time of its own is found, also behind what is older.
func TestASearchEndsWhereAllIsOlder(t *testing.T) {
	n := newNode(t)
	now := time.Now()
	for _, ago := range []time.Duration{5 * time.Hour, time.Hour, 3 * time.Hour, 0} {
		r := eventlog.FromEvent(function.TopicEvents, &event.Event{ID: fmt.Sprint(ago), Source: "/s", Type: "t", Subject: "k"})
		r.Time = now.Add(-ago)
		_, err := n.log.Append(t.Context(), []eventlog.Record{r})
		ok(t, err)
	}
	page, err := n.client.NewestEvents(t.Context(), client.NewestQuery{Key: "k", Since: now.Add(-2 * time.Hour).Format(time.RFC3339Nano)})
	ok(t, err)
	if len(page.Events) != 2 || !page.Whole || page.Looked != 3 {
		t.Errorf("a search of the last two hours = %d events, whole %v, looked at %d; want 2, all, of 3", len(page.Events), page.Whole, page.Looked)
	}
}

// fields is a log whose partitions hold what a test puts there, with gaps where it likes.
type fields struct {
	eventlog.Log
	at    map[int32][]eventlog.Record
	reads int
	each  func() // of every read
}

func (f *fields) Read(_ context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) (rs []eventlog.Record, err error) {
	f.reads++
	if f.each != nil {
		f.each()
	}
	bytes := 0
	for _, r := range f.at[p.ID] {
		if r.Offset < from {
			continue
		}
		if bytes += len(r.Value); len(rs) == o.MaxRecords || len(rs) > 0 && bytes > o.MaxBytes {
			break
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// put appends n records with so many bytes to a partition, a second apart, from an offset on.
func (f *fields) put(partition int32, from int64, n, bytes int) {
	for i := range n {
		f.at[partition] = append(f.at[partition], eventlog.Record{Topic: "events", Partition: partition, Offset: from + int64(i),
			Time: time.Unix(from%1_000_000+int64(i), 0), Value: make([]byte, bytes)})
	}
}

// search is one of all partitions, from their ends.
func (f *fields) search(limit, look int) *newest {
	s := &newest{log: f, now: func() time.Time { return time.Unix(0, 0) }, limit: limit, look: look}
	for id := range int32(len(f.at)) {
		last := f.at[id][len(f.at[id])-1]
		s.parts = append(s.parts, &below{partition: eventlog.Partition{Topic: "events", ID: id}, end: last.Offset + 1, step: newestStep})
	}
	return s
}

func newFields() *fields { return &fields{at: map[int32][]eventlog.Record{}} }

func TestASearchHoldsNoMoreThanAPage(t *testing.T) {
	f := newFields()
	for id := range int32(3) {
		f.put(id, 0, 100, 500_000)
	}
	s := f.search(newestMost, 0)
	for given := map[string]int{}; ; {
		ok(t, s.run(t.Context()))
		bytes := 0
		for _, r := range s.hits {
			bytes += len(r.Value)
		}
		if bytes > newestBytes || s.looked > 100 {
			t.Fatalf("a page holds %d bytes after %d events, want %d at most, and not all looked at", bytes, s.looked, newestBytes)
		}
		page := s.answer()
		for _, e := range page.Events {
			given[fmt.Sprint(e.Partition, "@", e.Offset)]++
		}
		if page.Older == "" {
			if len(given) != 300 {
				t.Errorf("the pages have %d events, want 300", len(given))
			}
			for at, n := range given {
				if n != 1 {
					t.Errorf("the pages have %s %d times", at, n)
				}
			}
			return
		}
		s = f.search(newestMost, 0)
		for i, text := range strings.Split(page.Older, ".") {
			_, err := fmt.Sscan(text, &s.parts[i].end)
			ok(t, err)
		}
	}
}

func TestALongPageTakesAPlaceAmongTheSearches(t *testing.T) {
	n := newNode(t)
	for range maxSearches {
		n.api.searches <- struct{}{}
	}
	if _, err := n.client.NewestEvents(t.Context(), client.NewestQuery{Limit: newestPlain}); err != nil {
		t.Errorf("a short page: %v", err)
	}
	for _, q := range []client.NewestQuery{{Limit: newestPlain + 1}, {Limit: newestPlain + 1, Key: "k", Look: 10}, {Key: "k"}} {
		if _, err := n.client.NewestEvents(t.Context(), q); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("NewestEvents(%+v) while enough are under way: %v, want unavailable", q, err)
		}
	}
}

func TestASearchLooksAtTheClockWithinAStretch(t *testing.T) {
	f := newFields()
	f.put(0, 0, 100, 1000)
	f.put(0, 100, 40, newestBytes/8) // of which each is a read
	f.put(0, 140, 16, 1000)
	s := f.search(newestMost, 0)
	var past time.Duration
	s.now = func() time.Time { return time.Unix(0, 0).Add(past) }
	f.each = func() { past += newestTime*2/3 + 1 }
	ok(t, s.run(t.Context()))
	if f.reads != 2 || s.looked != 16 {
		t.Errorf("%d reads of two thirds of the time each, %d events looked at; want 2 and those of the first", f.reads, s.looked)
	}
	s = f.search(newestMost, 0) // a page that comes nowhere would never end
	s.parts[0].end, past = 140, 0
	ok(t, s.run(t.Context()))
	if s.looked == 0 || s.answer().Older == "140" {
		t.Errorf("nothing was looked at, older %q", s.answer().Older)
	}
}

func TestAGapIsPassed(t *testing.T) {
	f := newFields()
	f.put(0, 0, 50, 10)
	f.put(0, 1_000_000_000_000, 20, 10)
	f.put(1, 0, 300, 10)
	f.each = func() {
		if f.reads > 1000 {
			t.Fatal("a gap is read step by step")
		}
	}
	s := f.search(newestMost, 0)
	ok(t, s.run(t.Context()))
	if len(s.hits) != 370 || !s.answer().Whole || f.reads > 100 {
		t.Errorf("%d events, whole %v, after %d reads; want all 370 in few", len(s.hits), s.answer().Whole, f.reads)
	}
}

func TestALookIsShared(t *testing.T) {
	f := newFields()
	for id := range int32(8) {
		f.put(id, 0, 1000, 10)
	}
	s := f.search(50, 64)
	s.want = func(*eventlog.Record) bool { return false }
	ok(t, s.run(t.Context()))
	for _, p := range s.parts {
		if p.reached.IsZero() {
			t.Errorf("partition %d was not looked at", p.partition.ID)
		}
	}
	if page := s.answer(); s.looked > 100 || page.Since.IsZero() || page.Whole {
		t.Errorf("%d events looked at since %s, whole %v; want about 64, and since when", s.looked, page.Since, page.Whole)
	}
	s = f.search(50, 4)
	s.want = func(*eventlog.Record) bool { return false }
	ok(t, s.run(t.Context()))
	if page := s.answer(); !page.Since.IsZero() || page.Whole || page.Looked != 4 {
		t.Errorf("with a look at 4 events in 8 partitions: looked at %d, since %s; want no promise", page.Looked, page.Since)
	}
}

// passing is a log that rules out a stretch of so many records at each call.
type passing struct {
	*fields
	by    int64
	calls int
}

func (p *passing) SkipAhead(_ context.Context, _ eventlog.Partition, from, _ int64, _ eventlog.Wanted) (int64, error) {
	return from, nil
}

func (p *passing) SkipBack(_ context.Context, _ eventlog.Partition, from, to int64, _ eventlog.Wanted) (int64, error) {
	p.calls++
	return max(from, to-p.by), nil
}

func TestAShortLookIsBoundedInWhatIsPassedBy(t *testing.T) {
	f := newFields()
	f.put(0, 100_000_000, 1, 10)
	p := &passing{fields: f, by: 20 * newestPassed}
	s := f.search(10, 50)
	s.log, s.wanted = p, eventlog.Wanted{Key: []byte("k")}
	ok(t, s.run(t.Context()))
	if p.calls != 3 || s.answer().Whole {
		t.Errorf("a look of 50 has passed by %d records in %d calls, whole %v; want 3 calls", s.passed, p.calls, s.answer().Whole)
	}
}
