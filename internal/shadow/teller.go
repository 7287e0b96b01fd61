package shadow

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// source is the CloudEvents source of what is said about copies.
const source = "/dalamb/shadow"

// Bounds of what is told at a time, and how often.
const (
	maxUntold   = 1024
	maxTogether = 512
	gather      = 100 * time.Millisecond
	tellTimeout = 30 * time.Second
)

// finding is what came of a copy.
type finding struct {
	mirror *mirror
	run    function.ShadowRun
	cause  *event.Event
}

// teller writes to _dalamb.runs what came of copies. What the log does not take is counted as dropped: a roll-out is judged by the rest.
type teller struct {
	log    Log
	logger *slog.Logger
	now    func() time.Time
	queue  chan finding
}

func newTeller(o *Options) *teller {
	return &teller{log: o.Log, logger: o.Logger, now: o.Now, queue: make(chan finding, maxUntold)}
}

// tell blocks while the log is slow: then fewer copies are made.
func (t *teller) tell(f finding) { t.queue <- f }

// run writes until stop is closed and nothing is left to write.
func (t *teller) run(stop <-chan struct{}, mirrors func() []*mirror) {
	tick := time.NewTicker(gather)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-stop:
			over = true
		}
		for _, m := range mirrors() {
			t.count(m)
		}
		for len(t.queue) > 0 {
			t.write()
		}
	}
}

// write writes some of what is there.
func (t *teller) write() {
	var records []eventlog.Record
	var of []*mirror
	for len(records) < maxTogether && len(t.queue) > 0 {
		f := <-t.queue
		r, err := f.record(t.now())
		if err != nil {
			t.logger.Error("tell of a copy", "function", f.run.Function, "run", f.run.Run, "err", err)
			continue
		}
		records, of = append(records, r), append(of, f.mirror)
	}
	if t.append(records) != nil {
		for _, m := range of {
			m.dropped.Add(1)
		}
	}
}

// count tells how many copies were left out.
func (t *teller) count(m *mirror) {
	n := m.dropped.Swap(0)
	if n == 0 {
		return
	}
	e, err := statement(event.TypeShadowDropped, m.Function, function.ShadowDropped{Rollout: m.Rollout, Function: m.Function, Dropped: n})
	if err == nil {
		e.Time = t.now()
		err = t.append([]eventlog.Record{eventlog.FromEvent(function.TopicRuns, e)})
	}
	if err != nil {
		m.dropped.Add(n)
	}
}

func (t *teller) append(records []eventlog.Record) error {
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	_, err := t.log.Append(ctx, records)
	if err != nil {
		t.logger.Warn("the log does not take what came of copies", "topic", function.TopicRuns, "err", err)
	}
	return err
}

// record is one hop further than the copy's cause, so that functions which listen to runs cannot go round for ever.
func (f *finding) record(now time.Time) (eventlog.Record, error) {
	e, err := statement(event.TypeShadowFinished, f.run.Function, f.run)
	if err != nil {
		return eventlog.Record{}, err
	}
	e.Time = now
	e.Extensions[event.ExtPartitionKey] = f.run.Run
	if f.cause != nil {
		e.Extensions[event.ExtCausationID], e.Extensions[event.ExtHops] = f.cause.ID, int32(f.cause.Hops())+1
	}
	return eventlog.FromEvent(function.TopicRuns, e), nil
}

func statement(typ, fn string, data any) (*event.Event, error) {
	b, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return &event.Event{
		ID: event.NewID(), Source: source, Type: typ, Subject: fn, DataContentType: "application/json", Data: b,
		Extensions: map[string]any{},
	}, nil
}
