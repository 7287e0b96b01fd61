package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/dispatch"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// inside is the part of a node from the log to the fleet, in this process: log, catalog and dispatch with a function that is a Go
// function. Rows use it that are about dispatch alone.
type inside struct {
	log  *disk.Log
	cat  *catalog.Catalog
	dir  string
	stop context.CancelFunc
	done sync.WaitGroup
}

func newInside(ctx context.Context, b *bench, partitions int32) (*inside, error) {
	dir, err := os.MkdirTemp(b.dir, "inside-*")
	if err != nil {
		return nil, err
	}
	l, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	in := &inside{log: l, dir: dir}
	ctx, in.stop = context.WithCancel(ctx)
	for _, t := range []eventlog.Topic{
		{Name: function.TopicControl, Partitions: 1},
		{Name: function.TopicProgress, Partitions: max(2, partitions), Compact: true},
		{Name: function.TopicRuns, Partitions: 8}, {Name: function.TopicInvoke, Partitions: 1}, {Name: function.TopicJobs, Partitions: 1},
		{Name: function.TopicDead, Partitions: 1, Compact: true}, {Name: function.TopicEvents, Partitions: partitions},
	} {
		if err := l.CreateTopic(ctx, t); err != nil {
			return nil, errors.Join(err, in.close())
		}
	}
	if in.cat, err = catalog.New(catalog.Options{Log: l}); err != nil {
		return nil, errors.Join(err, in.close())
	}
	in.done.Go(func() { _ = in.cat.Run(ctx) }) // what it waits for would not come, and that is told
	return in, nil
}

// close stops everything and removes what is on the disk.
func (in *inside) close() error {
	in.stop()
	in.done.Wait()
	return errors.Join(in.log.Close(), os.RemoveAll(in.dir))
}

// deploy makes a function of these triggers that takes so many invocations at a time.
func (in *inside) deploy(ctx context.Context, name string, most int, triggers ...function.Trigger) error {
	for i := range triggers {
		t := &triggers[i]
		t.Topic, t.Retry = function.TopicEvents, function.Retry{Attempts: 1}
		if t.Order == "" {
			t.Order = function.OrderKey
		}
	}
	_, err := in.cat.Submit(ctx, catalog.Deploy{Version: function.Version{Spec: function.Spec{Name: name, Scale: function.Scale{Max: most}, Triggers: triggers}}})
	return err
}

// fill appends n events; of makes the i-th.
func (in *inside) fill(ctx context.Context, n int, of func(i int) *event.Event) error {
	for i := 0; i < n; {
		var rs []eventlog.Record
		for ; len(rs) < 1000 && i < n; i++ {
			rs = append(rs, eventlog.FromEvent(function.TopicEvents, of(i)))
		}
		if _, err := in.log.Append(ctx, rs); err != nil {
			return err
		}
	}
	return nil
}

// play is a function.
type play func(e *event.Event)

func (f play) Invoke(_ context.Context, c fleet.Call) (*function.Result, error) {
	f(c.Invocation.Event)
	return &function.Result{Outcome: function.Succeeded, Version: 1, Status: 200}, nil
}

// run runs the function f for the n events that the log has, and returns how long that took from the start of dispatch to the end of
// the last.
func (in *inside) run(ctx context.Context, n int, f play) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left, over := n, make(chan struct{})
	var mu sync.Mutex
	d, err := dispatch.New(dispatch.Options{Log: in.log, Catalog: in.cat, Invoker: play(func(e *event.Event) {
		f(e)
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 {
			close(over)
		}
	})})
	if err != nil {
		return 0, err
	}
	var failed error
	ended := make(chan struct{})
	begun := time.Now()
	go func() {
		defer close(ended)
		failed = d.Run(ctx)
	}()
	select {
	case <-over:
	case <-ended:
		return 0, fmt.Errorf("dispatch ended: %w", failed)
	}
	took := time.Since(begun)
	cancel()
	<-ended
	return took, failed
}
