package api

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of what is read to find one event that no index knows.
const (
	windowBefore = 2 * time.Second  // the append may be before the time in an id that another clock gave
	windowAfter  = 30 * time.Second // and after it, where the sender or a route took so long
	windowRead   = 2000             // records of one partition in that window
	scanRead     = 200_000          // records of all partitions, from the newest on
	scanTime     = 5 * time.Second
	scanStep     = 1000 // records that are read at once
)

// found is an event and where it stands.
type found struct {
	record eventlog.Record
	event  *event.Event
	how    wire.Found
}

// place is how commands write where an event stands.
var place = regexp.MustCompile(`^([^/@\s]+)/(\d{1,9})@(\d{1,18})$`)

// placeOf reads TOPIC/PARTITION@OFFSET; ok is false for any other text.
func placeOf(id string) (at eventlog.Position, ok bool) {
	m := place.FindStringSubmatch(id)
	if m == nil {
		return at, false
	}
	partition, _ := strconv.ParseInt(m[2], 10, 32)
	offset, _ := strconv.ParseInt(m[3], 10, 64) // so few digits are numbers
	return eventlog.Position{Topic: m[1], Partition: int32(partition), Offset: offset}, true
}

// find looks for an event by its id, by the id of a run of it, or by TOPIC/PARTITION@OFFSET. First what takes the same time however much is
// stored: the index of runs, and the time that is in the ids which dalamb gives. Then the log from its newest events on, bounded.
func (a *API) find(ctx context.Context, id, topic string) (*found, error) {
	if at, ok := placeOf(id); ok {
		if topic != "" && topic != at.Topic {
			return nil, fault.New(fault.Invalid, "%s is a place in topic %s, and not in %s", id, at.Topic, fault.Clip(topic)).WithHint("leave the topic out: the place names one")
		}
		return a.foundAt(ctx, at, "place")
	}
	if f, err := a.findByIndex(ctx, id, topic); f != nil || err != nil {
		return f, err
	}
	ps, err := a.searched(ctx, topic)
	if err != nil {
		return nil, err
	}
	if at, ok := timeOfID(id); ok {
		if f, err := a.findAround(ctx, ps, id, at, at); f != nil || err != nil {
			return f, err
		}
	}
	s := backward{log: a.log, now: a.now, want: func(e *event.Event) bool { return e.ID == id }, most: 1}
	if err := s.run(ctx, ps); err != nil {
		return nil, err
	}
	if len(s.hits) == 0 {
		if f, err := a.findByBegin(ctx, id, topic); f != nil || err != nil {
			return f, err
		}
		return nil, s.missing(fmt.Sprintf("no event and no run has the id %q", fault.Clip(id)), topic)
	}
	return &found{record: s.hits[0], event: eventlog.EventOf(&s.hits[0]), how: s.how()}, nil
}

// findByIndex knows the events of which runs are known, and the runs. nil = it knows none, or the log has it no more.
func (a *API) findByIndex(ctx context.Context, id, topic string) (*found, error) {
	page, err := a.history.Runs(history.Query{EventID: id, Limit: 1})
	if err != nil {
		return nil, err
	}
	var run *function.Run
	if len(page.Rows) > 0 {
		run = page.Rows[0]
	} else if run, err = a.history.RunByID(id); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return nil, err
	}
	if topic != "" && run.Event.Topic != topic {
		return nil, nil
	}
	ref := run.Event
	f, err := a.foundAt(ctx, eventlog.Position{Topic: ref.Topic, Partition: ref.Partition, Offset: ref.Offset}, "index")
	switch {
	case fault.KindOf(err) == fault.NotFound, err == nil && ref.ID != "" && f.event.ID != ref.ID:
		return nil, a.onlyItsRuns(run)
	case err != nil:
		return nil, err
	}
	return f, nil
}

// findByBegin knows a run by how its id begins. It comes last: the text may be the whole id of an event. nil = no run's does.
func (a *API) findByBegin(ctx context.Context, begin, topic string) (*found, error) {
	id, err := a.history.RunID(ctx, begin)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a.findByIndex(ctx, id, topic)
}

// onlyItsRuns is for an event that retention has taken before what is known of its runs.
func (a *API) onlyItsRuns(r *function.Run) error {
	return fault.New(fault.NotFound, "the event %s stood at %s/%d@%d, and the log holds it no more", fault.Clip(r.Event.ID), r.Event.Topic, r.Event.Partition, r.Event.Offset).
		WithHint("the retention of topic %s has taken it, or the topic was made anew; what became of it is kept longer: dalamb runs show %s", r.Event.Topic, r.ID)
}

func (a *API) foundAt(ctx context.Context, at eventlog.Position, by string) (*found, error) {
	t, err := a.topic(ctx, at.Topic)
	if err != nil {
		return nil, err
	}
	if at.Partition >= t.Partitions {
		return nil, fault.New(fault.NotFound, "topic %q has %d partitions; there is no %d", t.Name, t.Partitions, at.Partition)
	}
	rec, err := a.recordAt(ctx, at)
	if err != nil {
		return nil, err
	}
	e := eventlog.EventOf(&rec)
	if e == nil {
		return nil, fault.New(fault.Invalid, "%s/%d@%d holds no event, but what only dalamb reads", at.Topic, at.Partition, at.Offset)
	}
	return &found{record: rec, event: e, how: wire.Found{By: by}}, nil
}

// searched are the partitions in which events are looked for: those of a topic, or of all topics that triggers can listen to for their sake.
func (a *API) searched(ctx context.Context, topic string) (ps []eventlog.Partition, err error) {
	if topic != "" {
		if _, err := a.topic(ctx, topic); err != nil {
			return nil, err
		}
	}
	topics, err := a.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		own := function.SystemTopic(t.Name) && !slices.Contains([]string{function.TopicRequests, function.TopicInvoke, function.TopicTicks}, t.Name)
		if topic != "" && t.Name != topic || topic == "" && own {
			continue
		}
		for id := range t.Partitions {
			ps = append(ps, eventlog.Partition{Topic: t.Name, ID: id})
		}
	}
	return ps, nil
}

// timeOfID is the time in a UUID of version 7, which dalamb gives to what it makes; an event that a request emits has a dot and a number
// behind the request's. RFC 9562, section 5.7.
func timeOfID(id string) (time.Time, bool) {
	id, _, _ = strings.Cut(id, ".")
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[14] != '7' || id[18] != '-' || id[23] != '-' {
		return time.Time{}, false
	}
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 {
		return time.Time{}, false
	}
	var ms int64
	for _, one := range b[:6] {
		ms = ms<<8 | int64(one)
	}
	return time.UnixMilli(ms), true
}

// findAround looks for an event that was appended about between two times; nil = it is not there.
func (a *API) findAround(ctx context.Context, ps []eventlog.Partition, id string, from, to time.Time) (*found, error) {
	looked := 0
	for _, p := range ps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at, err := a.log.OffsetAt(ctx, p, from.Add(-windowBefore))
		if err != nil {
			return nil, fmt.Errorf("find %s in %s/%d: %w", from, p.Topic, p.ID, err)
		}
		for left := windowRead; left > 0; {
			rs, err := a.log.Read(ctx, p, at, eventlog.ReadOptions{MaxRecords: min(left, scanRecords), MaxBytes: scanBytes, NoWait: true})
			if err != nil {
				return nil, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
			}
			if len(rs) == 0 {
				break
			}
			for i := range rs {
				looked++
				if e := eventlog.EventOf(&rs[i]); e != nil && e.ID == id {
					return &found{record: rs[i], event: e, how: wire.Found{By: "time", Looked: looked}}, nil
				}
			}
			last := rs[len(rs)-1]
			if last.Time.After(to.Add(windowAfter)) {
				break
			}
			at, left = last.Offset+1, left-len(rs)
		}
	}
	return nil, nil
}
