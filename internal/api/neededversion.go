package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// maxWaitingCalls bounds how many calls that wait are read to see which versions they name.
const maxWaitingCalls = 100_000

// neededOf says which versions of a function are needed by what the catalog does not know of: dead letters, and asynchronous calls that wait.
func (a *API) neededOf(ctx context.Context, fn string) func(version int) bool {
	dead, calls := a.deadLettersOn(ctx, fn), a.callsOn(ctx, fn)
	return func(version int) bool { return dead(version) || calls(version) }
}

// deadLettersOn says of a version of a function whether there are dead letters whose last attempt it had. When that cannot be known,
// there are.
func (a *API) deadLettersOn(ctx context.Context, fn string) func(version int) bool {
	known := sync.OnceValue(func() bool { return a.history.CatchUp(ctx) == nil })
	return func(version int) bool {
		if !known() {
			return true
		}
		page, err := a.history.DeadLetters(history.Query{Function: fn, Version: version, Limit: 1})
		return err != nil || len(page.Rows) > 0
	}
}

// callsOn says of a version of a function whether an asynchronous call waits that names it: no other version runs that. When it cannot be known, one does.
func (a *API) callsOn(ctx context.Context, fn string) func(version int) bool {
	named := sync.OnceValues(func() (map[int]bool, error) { return a.calledVersions(ctx, fn) })
	return func(version int) bool {
		versions, err := named()
		return err != nil || versions[version]
	}
}

var errManyCalls = errors.New("more calls wait than are read")

func (a *API) calledVersions(ctx context.Context, fn string) (map[int]bool, error) {
	t, err := a.catalog.View().Trigger(fn, function.InvokeTrigger)
	if err != nil {
		return nil, err
	}
	positions, err := a.dispatcher.Positions(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("read which calls of %s wait: %w", fn, err)
	}
	s := &scan{log: a.log}
	for id, at := range positions {
		p := eventlog.Partition{Topic: function.TopicInvoke, ID: id}
		b, err := a.log.Bounds(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
		}
		s.cursors = append(s.cursors, &cursor{partition: p, from: max(at, b.Start), to: b.End})
	}
	versions, left := map[int]bool{}, maxWaitingCalls
	note := func(e *event.Event) error {
		if left--; left < 0 {
			return errManyCalls
		}
		var call function.InvokeRequest
		if e != nil && e.Subject == fn && json.Unmarshal(e.Data, &call) == nil && call.Version != 0 {
			versions[call.Version] = true
		}
		return nil
	}
	if err := s.run(ctx, func(rec eventlog.Record) error {
		e, err := eventlog.ToEvent(rec)
		if err != nil {
			e = nil // no call, and read all the same
		}
		return note(e)
	}); err != nil {
		return nil, err
	}
	// What waits for hours may have expired in its topic. It is read after that: a call that moves on is in the one or the other.
	return versions, a.dispatcher.ParkedEvents(ctx, t, note)
}
