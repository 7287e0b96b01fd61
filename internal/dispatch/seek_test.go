package dispatch

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// tally counts the attempts that succeeded, by event id, and keeps their order.
type tally struct {
	mu    sync.Mutex
	count map[string]int
	order []string
}

func (c *tally) Invoke(_ context.Context, call fleet.Call) (*function.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[call.Invocation.Event.ID]++
	c.order = append(c.order, call.Invocation.Event.ID)
	return succeed(), nil
}

func (c *tally) times(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[id]
}

// numbered appends events n-from to n-(to-1), spread over keys.
func (w *world) numbered(from, to int) {
	for i := from; i < to; i++ {
		w.append("events", newEvent(fmt.Sprintf("n-%d", i), "x", fmt.Sprintf("k%d", i%5)))
	}
}

// TestABackfillRunsIntoLiveWithoutGapOrDuplicate deploys a trigger that starts at the earliest event while others are appended.
func TestABackfillRunsIntoLiveWithoutGapOrDuplicate(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	calls := &tally{}
	w.deploy("other", function.Trigger{Name: "t", Filter: []byte(`{"type":["none"]}`)}) // so that the scan is past them already
	n := w.node(calls)
	w.numbered(0, 500)
	w.await("the scan to pass them", func() bool { return lagOf(n.d, "other").Behind == 0 })
	var sender sync.WaitGroup
	sender.Go(func() { w.numbered(500, 1000) })
	w.deploy("f", function.Trigger{Name: "t", Start: function.StartEarliest})
	sender.Wait()
	w.awaitFinished(1000)
	for i := range 1000 {
		if got := calls.times(fmt.Sprintf("n-%d", i)); got != 1 {
			t.Errorf("event %d ran %d times, want once", i, got)
		}
	}
}

// TestOldEventsAreAsYoungAsTheirTrigger backfills what is older than retry.maxAge.
func TestOldEventsAreAsYoungAsTheirTrigger(t *testing.T) {
	old := time.Now().Add(-48 * time.Hour)
	now := old
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	w := newWorld(t, setting{partitions: 1, now: clock})
	defer w.close()
	w.append("events", newEvent("old", "x", "k"))
	mu.Lock()
	now = time.Now()
	mu.Unlock()
	w.deploy("f", function.Trigger{Name: "t", Start: "30d", Retry: function.Retry{Attempts: 1, MaxAge: function.Duration(6 * time.Hour)}})
	w.node(&tally{})
	if run := w.awaitFinished(1)[0]; run.State != function.RunSucceeded {
		t.Errorf("the old event's run = %s, %s; want succeeded", run.State, run.Reason)
	}
}

func (w *world) seek(fn string, to map[int32]int64, partial bool) {
	w.t.Helper()
	w.change(catalog.Seek{Function: fn, Trigger: "t", To: to, Partial: partial})
}

func TestASeekBackRunsEventsAgainUnderOtherRuns(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) {
			w := newWorld(t, setting{partitions: 2})
			defer w.close()
			calls := &tally{}
			w.deploy("f", function.Trigger{Name: "t"})
			n := w.node(calls)
			w.numbered(0, 40)
			w.awaitFinished(40)
			where := map[string]eventlog.Position{}
			for _, run := range w.finished() {
				where[run.Event.ID] = eventlog.Position{Partition: run.Event.Partition, Offset: run.Event.Offset}
			}
			if restart {
				n.quit()
			}
			w.seek("f", map[int32]int64{1: 3}, true)
			if restart {
				w.node(calls)
			}
			again := 0
			for _, at := range where {
				if at.Partition == 1 && at.Offset >= 3 {
					again++
				}
			}
			w.numbered(40, 44)
			w.awaitFinished(44 + again)
			for id, at := range where {
				want := 1
				if at.Partition == 1 && at.Offset >= 3 {
					want = 2
				}
				if got := calls.times(id); got != want {
					t.Errorf("event at %d@%d ran %d times, want %d", at.Partition, at.Offset, got, want)
				}
			}
		})
	}
}

// TestASeekForwardSkipsAndDiscards moves a trigger with events that failed, wait, and were not looked at yet.
func TestASeekForwardSkipsAndDiscards(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1, options: Options{Rand: func() float64 { return 0.9 }}})
			defer w.close()
			never := function.Retry{Attempts: 3, Initial: function.Duration(1000 * time.Hour), Max: function.Duration(1000 * time.Hour), Factor: 1}
			w.deploy("f", function.Trigger{Name: "t", Retry: never})
			calls := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				if c.Invocation.Event.Subject == "bad" {
					return fail("no"), nil
				}
				return succeed(), nil
			})
			n := w.node(calls)
			w.append("events", newEvent("failed", "x", "bad"), newEvent("behind", "x", "bad"))
			w.await("the first to fail", func() bool { return len(w.runs()) == 1 && lagOf(n.d, "f").Pending == 2 })
			if restart {
				n.quit()
			}
			w.seek("f", map[int32]int64{0: 3}, false)
			if restart {
				w.node(calls)
			}
			w.awaitFinished(2) // so the seek is known
			w.append("events", newEvent("skipped", "x", "k"), newEvent("wanted", "x", "k"))
			got := map[int64]function.Run{}
			for _, run := range w.awaitFinished(3) {
				got[run.Event.Offset] = run
			}
			if _, ran := got[2]; ran || len(got) != 3 {
				t.Errorf("%d runs, want those of 0, 1 and 3", len(got))
			}
			for offset, want := range map[int64]function.RunState{0: function.RunDiscarded, 1: function.RunDiscarded, 3: function.RunSucceeded} {
				if run := got[offset]; run.State != want || want == function.RunDiscarded && run.Reason != triggerSought {
					t.Errorf("run of offset %d = %s %q, want %s", offset, run.State, run.Reason, want)
				}
			}
		})
	}
}

func TestPositionsAreWhereATriggerStands(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	n := w.node(&tally{})
	w.numbered(0, 20)
	w.awaitFinished(20)
	tr, err := w.cat.View().Trigger("f", "t")
	if err != nil {
		t.Fatal(err)
	}
	w.await("the trigger to stand at the end", func() bool {
		at, err := n.d.Positions(context.Background(), tr)
		if err != nil {
			t.Fatal(err)
		}
		for id := range int32(2) {
			b, err := w.disk.Bounds(context.Background(), eventlog.Partition{Topic: "events", ID: id})
			if err != nil {
				t.Fatal(err)
			}
			if at[id] != b.End {
				return false
			}
		}
		return len(at) == 2
	})
}
