package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxCounted bounds how many events a seek reads to say how many of them match.
const maxCounted = 500_000

func (a *API) seekTrigger(r *http.Request, _ query) (any, error) {
	var req wire.Seek
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	t, topic, err := a.onTopic(r.Context(), r.PathValue("function"), r.PathValue("trigger"))
	if err != nil {
		return nil, err
	}
	if p := req.Partition; p != nil && (*p < 0 || *p >= topic.Partitions) {
		return nil, fault.New(fault.Invalid, "partition: topic %q has no partition %d", topic.Name, *p).WithHint("it has 0 to %d", topic.Partitions-1)
	}
	to, err := a.target(r.Context(), topic, req)
	if err != nil {
		return nil, err
	}
	from, err := a.dispatcher.Positions(r.Context(), t)
	if err != nil {
		return nil, err
	}
	out := wire.Sought{Function: t.Function, Trigger: t.Name, Topic: topic.Name}
	for id := range topic.Partitions {
		if at, ok := to[id]; ok {
			out.Partitions = append(out.Partitions, wire.SoughtPartition{ID: id, From: from[id], To: at})
		}
	}
	if err := a.weigh(r.Context(), t, &out); err != nil || req.DryRun {
		return out, err
	}
	_, err = a.catalog.Submit(r.Context(), catalog.Seek{Function: t.Function, Trigger: t.Name, TopicID: topic.ID, To: to, Partial: req.Partition != nil})
	out.Done = err == nil
	return out, err
}

// SkipToEnd lets a trigger go on from the end of its topic, as it is now; what it has not run it never runs.
func (a *API) SkipToEnd(ctx context.Context, fn, trigger string) error {
	t, topic, err := a.onTopic(ctx, fn, trigger)
	if err != nil {
		return err
	}
	to, err := a.target(ctx, topic, wire.Seek{To: string(function.StartLatest)})
	if err != nil {
		return err
	}
	_, err = a.catalog.Submit(ctx, catalog.Seek{Function: t.Function, Trigger: t.Name, TopicID: topic.ID, To: to})
	return err
}

// onTopic finds a trigger that listens to a topic of users' or of dalamb's own, and the topic.
func (a *API) onTopic(ctx context.Context, fn, name string) (*catalog.Trigger, eventlog.Topic, error) {
	t, err := a.catalog.View().Trigger(fn, name)
	switch {
	case err != nil:
		return nil, eventlog.Topic{}, err
	case t.Route != nil:
		return nil, eventlog.Topic{}, fault.New(fault.Invalid, "trigger %q of function %q is a route and has no place in a topic", name, fn)
	case t.Name == function.InvokeTrigger:
		return nil, eventlog.Topic{}, fault.New(fault.Invalid, "asynchronous calls of %q cannot be passed again", fn).
			WithHint("call it again, or redrive its dead letters")
	}
	topic, err := a.topic(ctx, t.Topic)
	return t, topic, err
}

// target is where a seek goes in each partition that it is about. What is outside of the log is refused.
func (a *API) target(ctx context.Context, topic eventlog.Topic, req wire.Seek) (map[int32]int64, error) {
	to := map[int32]int64{}
	for id := range topic.Partitions {
		if req.Partition != nil && *req.Partition != id {
			continue
		}
		p := eventlog.Partition{Topic: topic.Name, ID: id}
		b, err := a.log.Bounds(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, id, err)
		}
		if to[id], err = a.placeIn(ctx, p, b, req.To); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// placeIn is the offset that a text means in one partition.
func (a *API) placeIn(ctx context.Context, p eventlog.Partition, b eventlog.Bounds, to string) (int64, error) {
	at, ok := function.ParsePlace(to, a.now())
	switch {
	case !ok && at.Kind != function.PlaceOffset:
		return 0, fault.New(fault.Invalid, "to: %q is neither earliest, latest, an offset nor a time", to).WithHint(function.PlaceForms)
	case at.Kind == function.PlaceEarliest:
		return b.Start, nil
	case at.Kind == function.PlaceLatest:
		return b.End, nil
	case at.Kind == function.PlaceOffset && (at.Offset < b.Start || at.Offset > b.End):
		return 0, fault.New(fault.Invalid, "to: offset %d is outside of partition %d of topic %q, which holds %d to %d", at.Offset, p.ID, p.Topic, b.Start, b.End).
			WithHint("earliest and latest are always inside; partition says which one an offset is for")
	case at.Kind == function.PlaceOffset:
		return at.Offset, nil
	}
	if err := a.inside(ctx, p, b, at.Time); err != nil {
		return 0, err
	}
	found, err := a.log.OffsetAt(ctx, p, at.Time)
	if err != nil {
		return 0, fmt.Errorf("find %s in %s/%d: %w", to, p.Topic, p.ID, err)
	}
	return found, nil
}

// notYet is the complaint about a time to come where one of the past is needed.
func notYet(field string, at time.Time) error {
	return fault.New(fault.Invalid, "%s: %s has not come yet", field, at.UTC().Format(time.RFC3339)).WithHint("latest is the end of the log")
}

// inside refuses a time to come, and one whose events the retention has taken.
func (a *API) inside(ctx context.Context, p eventlog.Partition, b eventlog.Bounds, at time.Time) error {
	if at.After(a.now()) {
		return notYet("to", at)
	}
	if b.Start == 0 || b.Start == b.End {
		return nil
	}
	rs, err := a.log.Read(ctx, p, b.Start, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return fmt.Errorf("read the oldest event of %s/%d: %w", p.Topic, p.ID, err)
	}
	if len(rs) > 0 && at.Before(rs[0].Time) {
		return fault.New(fault.Invalid, "to: %s is before the oldest event that partition %d of topic %q holds, which is of %s",
			at.UTC().Format(time.RFC3339), p.ID, p.Topic, rs[0].Time.UTC().Format(time.RFC3339)).
			WithHint("earliest begins there")
	}
	return nil
}

// weigh counts what a seek passes again and what it leaves out.
func (a *API) weigh(ctx context.Context, t *catalog.Trigger, s *wire.Sought) error {
	again := &scan{log: a.log}
	skipped := &scan{log: a.log}
	for _, p := range s.Partitions {
		c := &cursor{partition: eventlog.Partition{Topic: s.Topic, ID: p.ID}, from: min(p.From, p.To), to: max(p.From, p.To)}
		if p.To < p.From {
			again.cursors = append(again.cursors, c)
		} else {
			skipped.cursors = append(skipped.cursors, c)
		}
	}
	left := int64(maxCounted)
	count := func(in *scan, into *int64) error {
		return in.run(ctx, func(r eventlog.Record) error {
			if left--; left < 0 {
				s.AtLeast = true
				return errEnough
			}
			if wanted(t, r) != nil {
				*into++
			}
			return nil
		})
	}
	if err := count(again, &s.Again); err != nil {
		return err
	}
	return count(skipped, &s.Skipped)
}

// wanted is the event of a record if a trigger wants it.
func wanted(t *catalog.Trigger, r eventlog.Record) *event.Event {
	e := eventlog.EventOf(&r)
	if e == nil || t.Pattern == nil || !t.Pattern.MatchEvent(e) {
		return nil
	}
	return e
}
