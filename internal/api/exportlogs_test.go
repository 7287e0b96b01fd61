package api

import (
	"encoding/json"
	"fmt"
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

// wrote appends lines of a run to the log, as of a time.
func (n *node) wrote(at time.Time, lines ...function.LogLine) {
	n.Helper()
	for _, l := range lines {
		data, err := json.Marshal(l)
		ok(n, err)
		r := eventlog.FromEvent(function.TopicLogs, &event.Event{ID: event.NewID(), Source: "/test", Type: event.TypeLogWritten, Subject: l.Function, DataContentType: "application/json", Data: data})
		r.Time = at
		_, err = n.log.Append(n.Context(), []eventlog.Record{r})
		ok(n, err)
	}
}

func TestATraceOfHoursWithLongLinesIsExported(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	e := keyed("e-1", "order.validated", "k")
	at := n.emit("events", e)
	began := time.Now().UTC().Add(-5 * time.Hour)
	line := func(run, text string) function.LogLine {
		return function.LogLine{Time: began, Function: "pay", Version: 1, Run: run, Text: text}
	}
	long := strings.Repeat("\u00e4", 128<<10)
	const many = 60 // with 256 KiB each
	first := line("run-1", "first")
	first.Dropped = 3
	n.wrote(began, first)
	for i := range many {
		n.wrote(began.Add(time.Millisecond), line("run-1", fmt.Sprintf("%d %s", i, long)))
	}
	n.wrote(began.Add(2*time.Hour), line("run-1", "nothing ran then, and nobody looks"))
	n.wrote(began.Add(5*time.Hour), line("run-1", "last"), line("run-of-another-event", "not of it"))
	n.ran(at[0], e, function.Run{ID: "run-1", State: function.RunSucceeded, Finished: began.Add(5 * time.Hour), Attempts: []function.Attempt{
		{Number: 1, Version: 1, ID: "a1", Outcome: function.Failed, Start: began, Duration: function.Duration(time.Second)},
		{Number: 2, Version: 1, ID: "a2", Outcome: function.Succeeded, Start: began.Add(5 * time.Hour), Duration: function.Duration(time.Second)},
	}})
	b, text := n.exported("e-1", true)
	if len(b.Logs) != many+2 || b.Logs[0].Text != "first" || b.Logs[many+1].Text != "last" {
		t.Fatalf("%d lines, from %.10q to %.10q; want %d, from the first to the last", len(b.Logs), b.Logs[0].Text, b.Logs[len(b.Logs)-1].Text, many+2)
	}
	if got := b.Logs[many].Text; !strings.HasPrefix(got, fmt.Sprint(many-1, " \u00e4")) || !strings.HasSuffix(got, cutMark) || len(got) > longestLine+len(cutMark) {
		t.Errorf("a long line has %d bytes and ends with %q", len(got), got[len(got)-10:])
	}
	if len(text) > maxLinesBytes+8<<20 {
		t.Errorf("the bundle has %d MiB", len(text)>>20)
	}
	if !slices.ContainsFunc(b.Manifest.Missing, func(s string) bool {
		return strings.HasPrefix(s, fmt.Sprintf("the ends of %d of the %d log lines of pay: of each the first ", many, many+2))
	}) {
		t.Errorf("missing = %q, want the ends of the long ones", b.Manifest.Missing)
	}
	if want := "3 log lines of pay, which the node did not keep: there were too many at a time"; !slices.Contains(b.Manifest.Missing, want) {
		t.Errorf("missing = %q, want %q", b.Manifest.Missing, want)
	}
	if _, again := n.exported("e-1", true); string(again) != string(text) {
		t.Error("the second time it is other bytes")
	}
}

func TestLinesHaveBounds(t *testing.T) {
	text := strings.Repeat("x", 10_000)
	for _, c := range []struct {
		lines, most, bytes, want, longest int
		full                              bool
	}{
		{lines: 10, most: 20, bytes: 1 << 20, want: 10, longest: 8 << 10},
		{lines: 10, most: 9, bytes: 1 << 20, want: 9, longest: 8 << 10, full: true},
		{lines: 10, most: 20, bytes: 50_000, want: 10, longest: 4 << 10},
		{lines: 100, most: 200, bytes: 100 * (leastLine + around + 10), want: 100, longest: leastLine},
		{lines: 100, most: 200, bytes: 50 * (leastLine + around + 10), want: 50, longest: leastLine, full: true},
		{lines: 1, most: 1, bytes: 100, longest: leastLine, full: true},
	} {
		k := &keptLines{most: c.most, bytes: c.bytes, longest: 8 << 10}
		for range c.lines {
			if !k.add(function.LogLine{Function: "f", Text: text}) {
				break
			}
		}
		held := 0
		for i := range k.all {
			held += weight(&k.all[i])
			if got := len(k.all[i].Text); got != k.longest+len(cutMark) {
				t.Errorf("%+v: line %d has %d bytes, want %d and the mark", c, i, got, k.longest)
			}
		}
		if len(k.all) != c.want || k.longest != c.longest || k.full != c.full || k.ends != len(k.all) || k.held != held || held > c.bytes {
			t.Errorf("%+v: %d lines, longest %d, full %v, %d cut, held %d of %d", c, len(k.all), k.longest, k.full, k.ends, k.held, held)
		}
	}
}

func TestStretchesOfTimeAreMerged(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	got := merged([]span{{at(1000), at(1001)}, {at(0), at(5)}, {at(3), at(4)}, {at(16), at(20)}})
	want := []span{{at(-1), at(30)}, {at(999), at(1011)}}
	if !slices.Equal(got, want) {
		t.Errorf("merged = %v, want %v", got, want)
	}
}

func TestExportsAreBounded(t *testing.T) {
	n := newNode(t)
	n.emit("events", keyed("e-1", "x", "k"))
	for range maxExports {
		n.api.exports <- struct{}{}
	}
	err := n.client.Export(t.Context(), client.Export{ID: "e-1"}, new(strings.Builder))
	wantFault(t, "one more", err, fault.Unavailable, "4 exports are under way", "")
	<-n.api.exports
	if b, _ := n.exported("e-1", true); len(b.Events) != 1 {
		t.Errorf("%d events, want 1", len(b.Events))
	}
}
