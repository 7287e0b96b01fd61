package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// house is a log and a catalog with two versions of pay, whose clock the test sets.
type house struct {
	*testing.T
	log     eventlog.Log
	catalog *catalog.Catalog
	clock   clock
	fleet   fakeFleet
	caller  fakeCaller
	keeper  *Keeper // the newest
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fakeFleet has everything ready, unless it is told what to say.
type fakeFleet struct {
	mu    sync.Mutex
	ready func(ctx context.Context, v *function.Version) error
}

func (f *fakeFleet) Ready(ctx context.Context, v *function.Version) error {
	f.mu.Lock()
	ready := f.ready
	f.mu.Unlock()
	if ready == nil {
		return nil
	}
	return ready(ctx, v)
}

func (f *fakeFleet) says(ready func(ctx context.Context, v *function.Version) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = ready
}

// fakeCaller answers checks.
type fakeCaller struct {
	mu     sync.Mutex
	asked  []function.RolloutCheck
	answer func(n int) (*function.Result, error)
}

func (c *fakeCaller) Call(_ context.Context, _ string, payload []byte) (*function.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var check function.RolloutCheck
	if err := json.Unmarshal(payload, &check); err != nil {
		return nil, err
	}
	c.asked = append(c.asked, check)
	return c.answer(len(c.asked))
}

func (c *fakeCaller) questions() []function.RolloutCheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func answers(body string) func(int) (*function.Result, error) {
	return func(int) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Body: []byte(body)}, nil
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, clock: clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	var err error
	if h.log, err = enginetest.Open(enginetest.Options{Now: h.clock.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.log.Close() })
	// Requests are in one partition: what a test serves is read as a whole, and judged so, not the failures of it before the rest.
	for name, partitions := range map[string]int32{
		function.TopicControl: 1, function.TopicInvoke: 1, function.TopicJobs: 1, function.TopicRequests: 1, function.TopicRuns: 2, "events": 1,
	} {
		if err := h.log.CreateTopic(t.Context(), eventlog.Topic{Name: name, Partitions: partitions}); err != nil {
			t.Fatal(err)
		}
	}
	if h.catalog, err = catalog.New(catalog.Options{Log: h.log, Now: h.clock.Now}); err != nil {
		t.Fatal(err)
	}
	h.background(h.catalog.Run)
	v := function.Version{Spec: function.Spec{Name: "pay", Triggers: []function.Trigger{{Name: "t", Topic: "events"}}}}
	h.submit(catalog.Deploy{Version: v})
	h.submit(catalog.Deploy{Version: v, Aside: true})
	return h
}

// background runs something until the test ends, or stop is called.
func (h *house) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			h.Errorf("run: %v", err)
		}
	})
	h.Cleanup(stop)
	return stop
}

func (h *house) keep() (stop func()) {
	h.Helper()
	k, err := New(Options{Log: h.log, Catalog: h.catalog, Fleet: &h.fleet, Caller: &h.caller, Now: h.clock.Now, Every: time.Millisecond})
	if err != nil {
		h.Fatal(err)
	}
	h.keeper = k
	own := eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicJobs}}
	return h.background(func(ctx context.Context) error { return k.Keep(ctx, own) })
}

func (h *house) submit(ch catalog.Change) *catalog.View {
	h.Helper()
	v, err := h.catalog.Submit(h.Context(), ch)
	if err != nil {
		h.Fatalf("Submit(%T) = %v", ch, err)
	}
	return v
}

// start rolls version 2 out.
func (h *house) start(strategy function.Strategy, change ...func(*function.Rollout)) int64 {
	h.Helper()
	r := *function.NewRollout(strategy)
	for _, c := range change {
		c(&r)
	}
	all := h.submit(catalog.StartRollout{Function: "pay", Alias: "live", Version: 2, Rollout: r}).Rollouts()
	return all[len(all)-1].ID
}

// await waits until a roll-out is as it should be.
func (h *house) await(id int64, is func(*catalog.Rollout) bool) *catalog.Rollout {
	h.Helper()
	limit := time.After(20 * time.Second)
	for {
		changed := h.catalog.Changed()
		r := h.catalog.View().RolloutByID("pay", id)
		if is(r) {
			return r
		}
		select {
		case <-changed:
		case <-limit:
			h.Fatalf("the roll-out stays %s in step %d: %+v", r.State, r.Step, r.Ended)
		}
	}
}

// awaitMeasured waits until the keeper knows of a step that began at a time.
func (h *house) awaitMeasured(id int64, since time.Time) {
	h.Helper()
	limit, glance := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer glance.Stop()
	for {
		select {
		case <-glance.C:
			if f := h.keeper.Facts(id); f != nil && f.Since.Equal(since) {
				return
			}
		case <-limit:
			h.Fatalf("the keeper does not see that the step began at %s: %+v", since, h.keeper.Facts(id))
		}
	}
}

func (h *house) awaitStep(id int64, step int) *catalog.Rollout {
	h.Helper()
	return h.await(id, func(r *catalog.Rollout) bool { return r.Step == step || r.Ended != nil })
}

func (h *house) awaitEnd(id int64) *catalog.Rollout {
	h.Helper()
	return h.await(id, func(r *catalog.Rollout) bool { return r.Ended != nil })
}

func (h *house) live() function.Alias {
	f, err := h.catalog.View().Function("pay")
	if err != nil {
		h.Fatal(err)
	}
	return f.Aliases["live"]
}

// traffic is requests of one version.
type traffic struct {
	version, count, failing int
	took                    time.Duration
}

// serve records requests as the gateway does.
func (h *house) serve(all ...traffic) {
	h.Helper()
	var records []eventlog.Record
	for _, tr := range all {
		for n := range tr.count {
			q := function.Request{ID: event.NewID(), Function: "pay", Version: tr.version, Status: 200, Outcome: function.Succeeded, Duration: function.Duration(max(tr.took, time.Millisecond))}
			if n < tr.failing {
				q.Status, q.Outcome = 502, function.Failed
			}
			records = append(records, record(h.T, function.TopicRequests, event.TypeRequestCompleted, "pay", q))
		}
	}
	if _, err := h.log.Append(h.Context(), records); err != nil {
		h.Fatal(err)
	}
}

func record(t *testing.T, topic, typ, subject string, data any) eventlog.Record {
	t.Helper()
	b, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	id := event.NewID()
	r := eventlog.FromEvent(topic, &event.Event{
		ID: id, Source: "/t", Type: typ, Subject: subject, DataContentType: "application/json", Data: b,
		Extensions: map[string]any{event.ExtPartitionKey: id},
	})
	r.Partition = eventlog.AnyPartition
	return r
}

func unavailable() error { return fault.New(fault.Unavailable, "not now") }
