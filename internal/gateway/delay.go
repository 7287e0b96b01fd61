package gateway

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Delayer keeps events until they are due.
type Delayer interface {
	// Record makes the record that keeps an event, and the id by which it can be cancelled.
	Record(ctx context.Context, topic string, e *event.Event, due time.Time) (id string, r eventlog.Record, err error)
}

// intake is what one request wants to be stored.
type intake struct {
	topic  string
	events []*event.Event
	batch  bool
	trace  string    // of events that do not say themselves; "" = none
	sender string    // the name of the token that was shown
	env    string    // the one environment that the token is for; "" = all
	due    time.Time // of events that do not say themselves; zero = now
}

const timeHint = "write it as 2026-12-24T09:00:00Z; a + in a URL is %%2B"

// due is what the URL says of all events of a request: notBefore=TIME, or delay=10m.
func (q query) due(now time.Time) (time.Time, error) {
	at, given := q[notBeforeParameter]
	span, delayed := q[delayParameter]
	switch {
	case given && delayed:
		return time.Time{}, fault.New(fault.Invalid, "the URL has both %s and %s", notBeforeParameter, delayParameter).WithHint("give one of them")
	case given:
		return parseDue("parameter", notBeforeParameter, at)
	case delayed:
		var d function.Duration
		if err := d.UnmarshalText([]byte(span)); err != nil {
			return time.Time{}, fault.New(fault.Invalid, "parameter %q: %w", delayParameter, err)
		}
		return now.Add(d.Std()), nil
	}
	return time.Time{}, nil
}

func parseDue(what, name, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fault.New(fault.Invalid, "%s %q: %q is not a time of RFC 3339", what, name, text).WithHint(timeHint)
	}
	return t, nil
}

// delayed puts the record that keeps an event in the place of its own, where it is to wait. One that is due already is not delayed.
func (g *Gateway) delayed(ctx context.Context, in intake, e *event.Event, r *eventlog.Record) (stored, error) {
	due := in.due
	if text, ok := e.Extensions[event.ExtNotBefore].(string); ok {
		var err error
		if due, err = parseDue("attribute", event.ExtNotBefore, text); err != nil {
			return stored{}, err
		}
	}
	if !due.After(g.now()) {
		return stored{}, nil
	}
	id, held, err := g.delay.Record(ctx, in.topic, e, due)
	if err != nil {
		return stored{}, err
	}
	*r = held
	return stored{ID: e.ID, Topic: in.topic, Partition: -1, Offset: -1, Delayed: id, NotBefore: due.UTC()}, nil
}
