package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) streamEvents(w http.ResponseWriter, r *http.Request, q query) error {
	name := q.text("topic")
	if name == "" {
		name = function.TopicEvents
	}
	t, err := a.topic(r.Context(), name)
	if err != nil {
		return err
	}
	ps, err := partitions(t, q)
	if err != nil {
		return err
	}
	follow, err := q.flag("follow")
	if err != nil {
		return err
	}
	limit, err := q.number("limit", math.MaxInt64, 1, math.MaxInt64)
	if err != nil {
		return err
	}
	pattern, err := parsePattern("query parameter \"filter\"", []byte(q.text("filter")))
	if err != nil {
		return err
	}
	wanted, from := wantedOf(q), q.text("from")
	if from == "" {
		from = string(function.StartEarliest)
		if follow {
			from = string(function.StartLatest)
		}
	}
	s := &scan{log: a.log, wanted: wanted, follow: follow}
	place, ok := function.ParsePlace(from, a.now())
	if !ok {
		return fault.New(fault.Invalid, "query parameter \"from\": %q is neither earliest, latest, an offset nor a time", from).WithHint(function.PlaceForms)
	}
	for _, p := range ps {
		c, err := a.cursor(r.Context(), p, place)
		if err != nil {
			return err
		}
		s.cursors = append(s.cursors, c)
	}
	out := a.newLines(r.Context(), w)
	if follow {
		s.caught = func() error { return errors.Join(out.begin(), out.flush()) }
	}
	return out.end(a.follow(r.Context(), s, func(rec eventlog.Record) error {
		if wanted.Key != nil && !bytes.Equal(rec.Key, wanted.Key) {
			return nil
		}
		at, ok := eventAt(rec, pattern)
		if !ok {
			return nil
		}
		if err := out.write(at); err != nil {
			return err
		}
		if limit--; limit == 0 {
			return errEnough
		}
		return nil
	}))
}

// cursor places a reader.
func (a *API) cursor(ctx context.Context, p eventlog.Partition, from function.Place) (*cursor, error) {
	if from.Time.After(a.now()) {
		return nil, notYet("from", from.Time)
	}
	b, err := a.log.Bounds(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	c := &cursor{partition: p, to: b.End}
	switch from.Kind {
	case function.PlaceEarliest:
		c.from = b.Start
	case function.PlaceLatest:
		c.from = b.End
	case function.PlaceOffset:
		c.from = from.Offset
	case function.PlaceTime:
		if c.from, err = a.log.OffsetAt(ctx, p, from.Time); err != nil {
			return nil, fmt.Errorf("find %s in %s/%d: %w", from.Time, p.Topic, p.ID, err)
		}
	}
	return c, nil
}

// parsePattern compiles a filter; nil for none.
func parsePattern(what string, text []byte) (*match.Pattern, error) {
	if len(text) == 0 {
		return nil, nil
	}
	p, err := match.Parse(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", what, err)
	}
	return p, nil
}

// eventAt is a record as one line. With a pattern, what does not match it or is no event is left out.
func eventAt(r eventlog.Record, pattern *match.Pattern) (wire.EventAt, bool) {
	at := wire.EventAt{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Time}
	e := eventlog.EventOf(&r)
	if e == nil {
		at.Key, at.Value = r.Key, r.Value
		return at, pattern == nil
	}
	if pattern != nil && !pattern.MatchEvent(e) {
		return at, false
	}
	var err error
	if at.Event, err = e.MarshalJSON(); err != nil {
		at.Event, at.Key, at.Value = nil, r.Key, r.Value
		return at, pattern == nil
	}
	return at, true
}

func (a *API) getEvent(r *http.Request, _ query) (any, error) {
	name := r.PathValue("topic")
	t, err := a.topic(r.Context(), name)
	if err != nil {
		return nil, err
	}
	partition, err := pathNumber(r, "partition", int64(t.Partitions)-1)
	if err != nil {
		return nil, err
	}
	offset, err := pathNumber(r, "offset", math.MaxInt64-1)
	if err != nil {
		return nil, err
	}
	rec, err := a.recordAt(r.Context(), eventlog.Position{Topic: name, Partition: int32(partition), Offset: offset})
	if err != nil {
		return nil, err
	}
	at, _ := eventAt(rec, nil)
	return at, nil
}

func pathNumber(r *http.Request, name string, high int64) (int64, error) {
	s := r.PathValue(name)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > high {
		return 0, fault.New(fault.Invalid, "%s: %q is not a whole number from 0 to %d", name, s, high)
	}
	return n, nil
}

// recordAt reads one record, or says NotFound and what there is instead.
func (a *API) recordAt(ctx context.Context, at eventlog.Position) (eventlog.Record, error) {
	p := eventlog.Partition{Topic: at.Topic, ID: at.Partition}
	b, err := a.log.Bounds(ctx, p)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	if at.Offset >= b.Start && at.Offset < b.End {
		records, err := a.log.Read(ctx, p, at.Offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
		if err != nil {
			return eventlog.Record{}, fmt.Errorf("read %s/%d offset %d: %w", p.Topic, p.ID, at.Offset, err)
		}
		if len(records) > 0 && records[0].Offset == at.Offset {
			return records[0], nil
		}
	}
	nothing := fault.New(fault.NotFound, "topic %q holds nothing at partition %d, offset %d", at.Topic, at.Partition, at.Offset)
	if b.Start == b.End {
		return eventlog.Record{}, nothing.WithHint("partition %d is empty", at.Partition)
	}
	return eventlog.Record{}, nothing.WithHint("it holds offsets %d to %d there", b.Start, b.End-1)
}

// eventOf reads the event that a run is about; nil where the log does not hold it any more.
func (a *API) eventOf(ctx context.Context, ref function.EventRef) (*event.Event, error) {
	rec, err := a.recordAt(ctx, eventlog.Position{Topic: ref.Topic, Partition: ref.Partition, Offset: ref.Offset})
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := eventlog.EventOf(&rec)
	if e == nil || ref.ID != "" && e.ID != ref.ID {
		return nil, nil // a topic made again under the same name holds something else there
	}
	return e, nil
}
