package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// sampleSize is how many events an answer shows of those that it counts.
const sampleSize = 20

func (a *API) tryPattern(r *http.Request, _ query) (any, error) {
	var req wire.PatternTry
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	pattern, err := parsePattern("pattern", req.Pattern)
	if err != nil {
		return nil, err
	}
	if pattern == nil {
		return nil, fault.New(fault.Invalid, "pattern: none is given")
	}
	old, topic, err := a.tryOn(r.Context(), &req)
	if err != nil {
		return nil, err
	}
	s, err := a.stretch(r.Context(), topic, req.From, req.To)
	if err != nil {
		return nil, err
	}
	out := wire.PatternTried{Topic: topic.Name, Sample: []wire.EventAt{}}
	if old != nil {
		out.Compared = &wire.PatternCompare{OnlyNewSample: []wire.EventAt{}, OnlyOldSample: []wire.EventAt{}}
	}
	return out, s.run(r.Context(), func(rec eventlog.Record) error {
		e := eventlog.EventOf(&rec)
		if e == nil {
			return nil // no trigger is offered it either
		}
		out.Looked++
		matched := pattern.MatchEvent(e)
		if matched {
			out.Matched++
			out.Sample = sampled(out.Sample, rec)
		}
		if c := out.Compared; c != nil {
			switch before := old.Pattern.MatchEvent(e); {
			case matched && before:
				c.Both++
			case matched:
				c.OnlyNew++
				c.OnlyNewSample = sampled(c.OnlyNewSample, rec)
			case before:
				c.OnlyOld++
				c.OnlyOldSample = sampled(c.OnlyOldSample, rec)
			}
		}
		return nil
	})
}

func sampled(sample []wire.EventAt, r eventlog.Record) []wire.EventAt {
	if len(sample) == sampleSize {
		return sample
	}
	at, _ := eventAt(r, nil)
	return append(sample, at)
}

// tryOn finds the topic that a pattern is tried on, and the trigger that it is compared with; nil = none.
func (a *API) tryOn(ctx context.Context, req *wire.PatternTry) (*catalog.Trigger, eventlog.Topic, error) {
	if req.Function == "" && req.Trigger == "" {
		if req.Topic == "" {
			req.Topic = function.TopicEvents
		}
		topic, err := a.topic(ctx, req.Topic)
		return nil, topic, err
	}
	t, topic, err := a.onTopic(ctx, req.Function, req.Trigger)
	switch {
	case err != nil:
		return nil, topic, err
	case req.Topic != "" && req.Topic != topic.Name:
		return nil, topic, fault.New(fault.Invalid, "topic: trigger %s/%s listens to %q, not to %q", t.Function, t.Name, topic.Name, req.Topic)
	case t.Err != nil:
		return nil, topic, fault.New(fault.Invalid, "the filter of trigger %s/%s cannot be read by this node: %w", t.Function, t.Name, t.Err)
	}
	return t, topic, nil
}

// stretch is a scan of all partitions of a topic from one place to another, neither of them an offset: from = "" is the earliest,
// to = "" the end.
func (a *API) stretch(ctx context.Context, topic eventlog.Topic, from, to string) (*scan, error) {
	from, to = cmp.Or(from, string(function.StartEarliest)), cmp.Or(to, string(function.StartLatest))
	begin, err := a.edge("from", from)
	if err != nil {
		return nil, err
	}
	end, err := a.edge("to", to)
	switch {
	case err != nil:
		return nil, err
	case begin.Time.After(a.now()):
		return nil, notYet("from", begin.Time)
	case begin.Kind == function.PlaceLatest, end.Kind == function.PlaceEarliest,
		begin.Kind == function.PlaceTime && end.Kind == function.PlaceTime && !begin.Time.Before(end.Time):
		return nil, fault.New(fault.Invalid, "from: %q is not before %q", from, to)
	}
	s := &scan{log: a.log}
	for id := range topic.Partitions {
		p := eventlog.Partition{Topic: topic.Name, ID: id}
		c, err := a.cursor(ctx, p, begin)
		if err != nil {
			return nil, err
		}
		if end.Kind == function.PlaceTime {
			if c.to, err = a.log.OffsetAt(ctx, p, end.Time); err != nil {
				return nil, fmt.Errorf("find %s in %s/%d: %w", to, topic.Name, id, err)
			}
		}
		s.cursors = append(s.cursors, c)
	}
	return s, nil
}

// edge reads where a stretch begins or ends: the same moment in all partitions, so no offset.
func (a *API) edge(field, text string) (function.Place, error) {
	p, ok := function.ParsePlace(text, a.now())
	if !ok || p.Kind == function.PlaceOffset {
		return p, fault.New(fault.Invalid, "%s: %q is neither earliest, latest nor a time", field, text).WithHint(function.PlaceForms)
	}
	return p, nil
}
