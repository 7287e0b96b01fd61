package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// minutes appends one event a minute from start on, of alternating keys, so that they lie in both partitions.
func (n *node) minutes(start time.Time, count int) {
	n.Helper()
	for i := range count {
		r := eventlog.FromEvent(function.TopicEvents, fact(fmt.Sprint("type.", i%2), fmt.Sprint("key-", i), i))
		r.Time = start.Add(time.Duration(i) * time.Minute)
		_, err := n.log.Append(n.Context(), []eventlog.Record{r})
		ok(n, err)
	}
}

func dataOf(t testing.TB, at wire.EventAt) string {
	t.Helper()
	var e event.Event
	ok(t, json.Unmarshal(at.Event, &e))
	return string(e.Data)
}

func (n *node) events(q client.EventQuery) string {
	n.Helper()
	var got []string
	for at, err := range n.client.Events(n.Context(), q) {
		ok(n, err)
		got = append(got, dataOf(n, at))
	}
	return strings.Join(got, " ")
}

func TestEventsAreMergedByTime(t *testing.T) {
	n := newNode(t)
	start := time.Now().Add(-10 * time.Minute).Truncate(time.Minute)
	n.minutes(start, 8)
	one := int32(1)
	for _, c := range []struct {
		name string
		q    client.EventQuery
		want string
	}{
		{"all", client.EventQuery{}, "0 1 2 3 4 5 6 7"},
		{"earliest", client.EventQuery{From: "earliest"}, "0 1 2 3 4 5 6 7"},
		{"latest", client.EventQuery{From: "latest"}, ""},
		{"key", client.EventQuery{Key: "key-3"}, "3"},
		{"key in another partition", client.EventQuery{Key: "key-3", Partition: new(1 - eventlog.PartitionFor([]byte("key-3"), 2))}, ""},
		{"time", client.EventQuery{From: start.Add(5 * time.Minute).Format(time.RFC3339)}, "5 6 7"},
		{"how long ago", client.EventQuery{From: fmt.Sprint(time.Since(start.Add(6*time.Minute - time.Second)).Round(time.Second))}, "6 7"},
		{"limit", client.EventQuery{Limit: 3}, "0 1 2"},
		{"filter", client.EventQuery{Filter: `{"type":["type.1"]}`}, "1 3 5 7"},
		{"filter and limit", client.EventQuery{Filter: `{"type":["type.1"]}`, Limit: 2}, "1 3"},
		{"filter on data", client.EventQuery{Filter: `{"data":[{"numeric":[">",5]}]}`}, "6 7"},
		{"offset far away", client.EventQuery{Partition: &one, From: "99"}, ""},
	} {
		if got := n.events(c.q); got != c.want {
			t.Errorf("%s: events = %q, want %q", c.name, got, c.want)
		}
	}
	var ofOne, fromThere []string
	for at, err := range n.client.Events(t.Context(), client.EventQuery{Partition: &one}) {
		ok(t, err)
		if at.Partition != 1 || at.Topic != "events" {
			t.Errorf("event of partition 1 = %+v", at)
		}
		ofOne = append(ofOne, dataOf(t, at))
		got, err := n.client.Event(t.Context(), at.Topic, at.Partition, at.Offset)
		if err != nil || dataOf(t, got) != dataOf(t, at) || !got.Time.Equal(at.Time) {
			t.Errorf("Event(%d) = %+v, %v, want %+v", at.Offset, got, err, at)
		}
	}
	for at, err := range n.client.Events(t.Context(), client.EventQuery{Partition: &one, From: "1"}) {
		ok(t, err)
		fromThere = append(fromThere, dataOf(t, at))
	}
	if len(ofOne) < 2 || len(ofOne) == 8 || strings.Join(fromThere, " ") != strings.Join(ofOne[1:], " ") {
		t.Errorf("partition 1 = %q, from offset 1 %q", ofOne, fromThere)
	}
}

// TestEventsAreFollowedWithoutGap writes all the time while a stream catches up and follows.
func TestEventsAreFollowedWithoutGap(t *testing.T) {
	n := newNode(t)
	const before, during = 700, 700
	for i := range before {
		n.emit(function.TopicEvents, fact("x", fmt.Sprint(i), i))
	}
	written := make(chan error, 1)
	go func() {
		for i := before; i < before+during; i++ {
			if _, err := n.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicEvents, fact("x", fmt.Sprint(i), i))}); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := map[string]int{}
	last := map[int32]int64{0: -1, 1: -1}
	for at, err := range n.client.Events(ctx, client.EventQuery{From: "earliest", Follow: true}) {
		ok(t, err)
		seen[dataOf(t, at)]++
		if at.Offset != last[at.Partition]+1 {
			t.Fatalf("offset %d of partition %d after %d", at.Offset, at.Partition, last[at.Partition])
		}
		last[at.Partition] = at.Offset
		if len(seen) == before+during {
			break
		}
	}
	ok(t, <-written)
	for i := range before + during {
		if seen[fmt.Sprint(i)] != 1 {
			t.Errorf("event %d came %d times", i, seen[fmt.Sprint(i)])
		}
	}
}

func TestFollowBeginsAtTheEndAndStopsWithTheClient(t *testing.T) {
	n := newNode(t)
	n.emit(function.TopicEvents, fact("x", "k", "old"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := n.open(ctx, "/v1/events?follow=true&filter=%7B%22type%22%3A%5B%22x%22%5D%7D")
	// The headers are here, so the stream has its place: what comes now is seen.
	n.emit(function.TopicEvents, fact("y", "k", "other"), fact("x", "k", "new"))
	line := resp.line()
	if !strings.Contains(line, `"new"`) {
		t.Errorf("first line = %s, want the new event", line)
	}
	cancel()
	resp.end()
}

func TestARecordThatIsNoEventIsShownAsItIs(t *testing.T) {
	n := newNode(t)
	_, err := n.log.Append(t.Context(), []eventlog.Record{{Topic: function.TopicProgress, Partition: 0, Key: []byte("s/x"), Value: []byte{1, 2}}})
	ok(t, err)
	var got []wire.EventAt
	for at, err := range n.client.Events(t.Context(), client.EventQuery{Topic: function.TopicProgress}) {
		ok(t, err)
		got = append(got, at)
	}
	if len(got) != 1 || got[0].Event != nil || string(got[0].Key) != "s/x" || len(got[0].Value) != 2 {
		t.Errorf("events = %+v, want the record", got)
	}
	if s := n.events(client.EventQuery{Topic: function.TopicProgress, Filter: `{"type":["x"]}`}); s != "" {
		t.Errorf("events with a filter = %q, want none", s)
	}
}

func TestARecordOfOtherSoftwareIsShownAsAnEvent(t *testing.T) {
	n := newNode(t)
	_, err := n.log.Append(t.Context(), []eventlog.Record{{Topic: "events", Partition: 0, Key: []byte("k"), Value: []byte(`{"a":1}`)}})
	ok(t, err)
	const filter = `{"type":["dalamb.record.v1"],"data":{"value":{"a":[1]}}}`
	if s := n.events(client.EventQuery{Topic: "events", Filter: filter}); s == "" {
		t.Error("events with a filter on the record's value = none, want the record")
	}
}

// TestAStreamThatBreaksSaysSo deletes the topic below a follower.
func TestAStreamThatBreaksSaysSo(t *testing.T) {
	n := newNode(t)
	_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "short", Partitions: 1})
	ok(t, err)
	n.emit("short", fact("x", "k", 1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	count := 0
	var last error
	for _, err := range n.client.Events(ctx, client.EventQuery{Topic: "short", From: "earliest", Follow: true}) {
		if err != nil {
			last = err
			break
		}
		count++
		ok(t, n.client.DeleteTopic(t.Context(), "short"))
	}
	if count != 1 || fault.KindOf(last) != fault.NotFound {
		t.Errorf("stream gave %d events, then %v, want one and not found", count, last)
	}
}

func TestStreamsEndWithTheNode(t *testing.T) {
	n := newNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n.emit(function.TopicEvents, fact("x", "k", 1))
	var last error
	for _, err := range n.client.Events(ctx, client.EventQuery{From: "earliest", Follow: true}) {
		last = err
		n.api.EndStreams()
	}
	wantFault(t, "the stream", last, fault.Unavailable, "the node is stopping", "again")
	n.api.EndStreams() // twice is fine
}
