package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// waitingRoom keeps delayed events in the topic late.
type waitingRoom struct{}

func (waitingRoom) Record(_ context.Context, topic string, e *event.Event, due time.Time) (string, eventlog.Record, error) {
	if e.ID == "too-far" {
		return "", eventlog.Record{}, fault.New(fault.Invalid, "too far")
	}
	return "d0-" + e.ID, eventlog.Record{Topic: topic, Partition: eventlog.AnyPartition, Key: []byte("waits"), Value: []byte(due.UTC().Format(time.RFC3339))}, nil
}

func TestWhenAnEventIsDue(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		q    query
		ext  any
		want string // "" = at once
		err  string
	}{
		{name: "at once"},
		{name: "the URL's time", q: query{"notBefore": "2026-03-01T11:00:00+01:00"}, want: ""},
		{name: "the URL's later time", q: query{"notBefore": "2026-03-01T13:00:00+01:00"}, want: "2026-03-01T12:00:00Z"},
		{name: "the URL's delay", q: query{"delay": "90s"}, want: "2026-03-01T10:01:30Z"},
		{name: "its own", ext: "2026-03-02T00:00:00Z", want: "2026-03-02T00:00:00Z"},
		{name: "its own goes before the URL's", q: query{"delay": "90s"}, ext: "2026-03-02T00:00:00Z", want: "2026-03-02T00:00:00Z"},
		{name: "long ago", q: query{"notBefore": "2001-03-01T13:00:00Z"}},
		{name: "both", q: query{"notBefore": "2026-03-01T13:00:00Z", "delay": "1s"}, err: "both notBefore and delay"},
		{name: "no time", q: query{"notBefore": "noon"}, err: `parameter "notBefore": "noon" is not a time`},
		{name: "no duration", q: query{"delay": "-1s"}, err: `parameter "delay": "-1s" is not a duration`},
		{name: "its own is no time", ext: "soon", err: `attribute "notbefore": "soon" is not a time`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &Gateway{delay: waitingRoom{}, now: func() time.Time { return now }}
			e := &event.Event{ID: "e", Source: "/t", Type: "x"}
			if c.ext != nil {
				e.Extensions = map[string]any{event.ExtNotBefore: c.ext}
			}
			due, err := c.q.due(now)
			var r eventlog.Record
			var out stored
			if err == nil {
				out, err = g.delayed(t.Context(), intake{topic: "events", due: due}, e, &r)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || fault.KindOf(err) != fault.Invalid {
					t.Errorf("error = %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || string(r.Value) != c.want {
				t.Fatalf("waits until %q, %v, want %q", r.Value, err, c.want)
			}
			if c.want != "" && (out.Delayed != "d0-e" || out.Offset != -1 || out.NotBefore.Format(time.RFC3339) != c.want) {
				t.Errorf("answer = %+v", out)
			}
		})
	}
}
