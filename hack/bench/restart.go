package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// What a node has to cope with that starts again.
const (
	restartEvents    = 10_000_000
	restartFunctions = 100
	restartTriggers  = 10 // of each function
	restartRuns      = 20_000
)

// restartRow: from the start of the process until health says that all is well and a new event has been through its function, with a
// large log and many triggers, after an orderly stop and after kill -9, against a node that has nothing but that function.
func restartRow(ctx context.Context, b *bench) error {
	const turns = 3
	if _, err := b.program(ctx, "web"); err != nil {
		return err
	}
	large, small := &reborn{b: b, name: "restart"}, &reborn{b: b, name: "restart-empty"}
	if err := large.begin(ctx, restartManifest(restartFunctions, restartTriggers), restartEvents); err != nil {
		return err
	}
	if err := small.begin(ctx, restartManifest(1, 1), 0); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		end  func(*node) error
	}{
		{"orderly stop", func(n *node) error { return n.stop() }},
		{"kill -9", (*node).kill},
	} {
		s, err := inTurns(ctx, turns, func() (float64, error) { return large.again(ctx, c.end) }, func() (float64, error) { return small.again(ctx, c.end) })
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{
			Case: fmt.Sprintf("%d M events, %d triggers, after %s", restartEvents/1_000_000, restartFunctions*restartTriggers, c.name), Unit: "s",
			Value: value, Yardstick: "one trigger, no events", Of: of, Ratio: ratio, Target: valueAtMost(2),
		})
	}
	return errors.Join(large.node.stop(), small.node.stop())
}

// restartManifest has functions whose triggers want nothing that comes, and web, whose trigger does.
func restartManifest(functions, triggers int) string {
	var m strings.Builder
	m.WriteString(`
name: web
code: web
entry: {type: http, command: [./web], concurrency: 16}
triggers:
  - {name: new, topic: events, filter: {type: [bench.new]}}
`)
	for f := range functions - 1 {
		fmt.Fprintf(&m, "---\nname: f-%d\ncode: web\nentry: {type: http, command: [./web]}\ntriggers:\n", f)
		for t := range triggers {
			fmt.Fprintf(&m, "  - {name: t-%d, topic: events, filter: {type: [bench.%d.%[1]d]}}\n", t, f)
		}
	}
	return m.String()
}

// reborn is a node that is ended and started again and again.
type reborn struct {
	b    *bench
	name string
	node *node
}

// begin makes the log, deploys, and gives the node some runs to remember.
func (r *reborn) begin(ctx context.Context, manifest string, events int) (err error) {
	if err := fillLog(ctx, filepath.Join(r.b.dir, r.name, "log"), "bench.old", events); err != nil {
		return err
	}
	if r.node, err = r.b.startNode(ctx, r.name); err != nil {
		return err
	}
	if err := r.b.deploy(ctx, r.node, r.name, manifest); err != nil {
		return err
	}
	return r.handled(ctx, restartRuns)
}

// again ends the node and returns in how many seconds the next one was ready.
func (r *reborn) again(ctx context.Context, end func(*node) error) (float64, error) {
	// What the end finds half done is part of the matter: runs that have just ended, rows that are not folded yet.
	if err := r.handled(ctx, 500); err != nil {
		return 0, err
	}
	if err := end(r.node); err != nil {
		return 0, err
	}
	begun := time.Now()
	n, err := r.b.startNode(ctx, r.name)
	if err != nil {
		return 0, err
	}
	r.node = n
	if err := n.healthy(ctx); err != nil {
		return 0, err
	}
	if err := r.handled(ctx, 1); err != nil {
		return 0, err
	}
	return time.Since(begun).Seconds(), nil
}

// handled sends n events and waits until their runs are in the log.
func (r *reborn) handled(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	before, err := r.node.recorded(ctx, function.TopicRuns)
	if err != nil {
		return err
	}
	const batch = 500
	for left := n; left > 0; left -= batch {
		events := make([]*event.Event, min(batch, left))
		for i := range events {
			events[i] = &event.Event{ID: event.NewID(), Source: "/bench", Type: "bench.new", Time: time.Now()}
		}
		if _, err := r.node.client.Emit(ctx, function.TopicEvents, events); err != nil {
			return err
		}
	}
	return r.node.ran(ctx, before+int64(n))
}

// ran waits until the log has had so many records of runs.
func (n *node) ran(ctx context.Context, want int64) error {
	for {
		now, err := n.recorded(ctx, function.TopicRuns)
		if err != nil {
			return fmt.Errorf("wait for %d runs: %w", want, err)
		}
		if now >= want {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d runs are over: %w", now, want, err)
		}
	}
}

// fillLog writes events of a type into a log that no node has open, as fast as the log takes them.
func fillLog(ctx context.Context, dir, kind string, events int) (err error) {
	if events == 0 {
		return nil
	}
	l, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.CreateTopic(ctx, eventlog.Topic{Name: function.TopicEvents}); err != nil && fault.KindOf(err) != fault.Conflict {
		return err
	}
	const writers, batch = 4, 1000
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range writers {
		g.Go(func() error {
			for {
				n := int(next.Add(batch)) - batch
				if n >= events {
					return nil
				}
				records := make([]eventlog.Record, min(batch, events-n))
				for i := range records {
					records[i] = eventlog.FromEvent(function.TopicEvents, &event.Event{
						ID: fmt.Sprint(n + i), Source: "/bench", Type: kind, Subject: subjectOf(n+i, events), Time: time.Now(),
						DataContentType: "application/json", Data: fmt.Appendf(nil, `{"order":"o-%d","total":%d}`, (n+i)%100_000, n+i),
					})
				}
				if _, err := l.Append(ctx, records); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// fewEvents is a subject, and so a key, that four events of a log have, in as many places all over it.
const fewEvents = "few"

func subjectOf(i, events int) string {
	if quarter := events / 4; quarter > 0 && i%quarter == quarter/2 {
		return fewEvents
	}
	return fmt.Sprint("o-", i%100_000)
}
