package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// debt is a quota of environment acme, which owes events for as long as a test says, and counts what is emitted.
type debt struct {
	owes  atomic.Bool
	asked atomic.Int32 // times that acme owed
	paid  atomic.Int32 // times that it did not

	mu      sync.Mutex
	emitted map[string]int // events, by environment
}

func (q *debt) Owes(environment string) time.Duration {
	switch {
	case environment != "acme":
	case q.owes.Load():
		q.asked.Add(1)
		return 5 * time.Millisecond
	default:
		q.paid.Add(1)
	}
	return 0
}

func (q *debt) Emitted(environment string, events int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.emitted == nil {
		q.emitted = map[string]int{}
	}
	q.emitted[environment] += events
}

// owing makes the quotas of the nodes to come, in which acme owes events. Those of earlier nodes stay as they are, since a node that counts as killed goes on.
func (w *world) owing() *debt {
	q := &debt{}
	q.owes.Store(true)
	w.o.Quotas = q
	return q
}

// four makes four events of four keys.
func four() []*event.Event {
	var es []*event.Event
	for i := range 4 {
		es = append(es, newEvent(fmt.Sprint(i), "x", fmt.Sprint(i)))
	}
	return es
}

// byOwner is an Invoker that counts calls of acme and of others.
type byOwner struct {
	acme, others atomic.Int32
	of           play
}

func (c *byOwner) Invoke(ctx context.Context, call fleet.Call) (*function.Result, error) {
	if strings.HasPrefix(call.Function, "acme.") {
		c.acme.Add(1)
	} else {
		c.others.Add(1)
	}
	return c.of(ctx, call)
}

func hang(ctx context.Context, _ fleet.Call) (*function.Result, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func well(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }

// TestSuspectsOfAnEnvironmentThatOwesHoldUpNobody kills two nodes under events of two environments, and lets one of them owe events: before the next node begins,
// or when its first suspect has had the turn and the others wait for it.
func TestSuspectsOfAnEnvironmentThatOwesHoldUpNobody(t *testing.T) {
	for name, before := range map[string]bool{"it owes before": true, "it comes to owe": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1, oneNode: true, options: Options{Quotas: &debt{}}})
			defer w.close()
			w.deploy("acme.f", function.Trigger{Name: "t"})
			w.deploy("beta.g", function.Trigger{Name: "t"})
			w.append("events", four()...)
			for range 2 { // what was under way when the first died is written down when the second begins it
				dies := &byOwner{of: hang}
				w.node(dies)
				w.await("all to be under way", func() bool { return dies.acme.Load() == 4 && dies.others.Load() == 4 })
			}

			q := w.owing()
			q.owes.Store(before)
			began, release := make(chan struct{}, 8), make(chan struct{})
			next := &byOwner{of: func(context.Context, fleet.Call) (*function.Result, error) {
				began <- struct{}{}
				<-release
				return succeed(), nil
			}}
			w.node(next)
			<-began
			if !before {
				w.await("the others to wait for the turn", func() bool { return q.paid.Load() >= 4 })
			}
			q.owes.Store(true)
			had := next.acme.Load()
			close(release)
			w.awaitFinished(4 + int(had))
			if n := next.acme.Load(); n != had || next.others.Load() != 4 {
				t.Errorf("%d runs of acme began while it owed events, and %d of the other environment, want 0 and 4", n-had, next.others.Load())
			}
			q.owes.Store(false)
			for _, run := range w.awaitFinished(8) {
				if run.State != function.RunSucceeded {
					t.Errorf("run of %s = %s (%s), want %s", run.Function, run.State, run.Reason, function.RunSucceeded)
				}
			}
		})
	}
}

// TestNodesThatDieWhileAnEnvironmentOwesUseUpNoAttempt kills node after node while events wait until their environment has paid.
func TestNodesThatDieWhileAnEnvironmentOwesUseUpNoAttempt(t *testing.T) {
	w := newWorld(t, setting{partitions: 1, oneNode: true})
	defer w.close()
	w.deploy("acme.f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 2}})
	w.append("events", four()...)
	var q *debt
	var calls *byOwner
	for range 5 {
		q, calls = w.owing(), &byOwner{of: well}
		w.node(calls)
		w.await("the events to wait", func() bool { return q.asked.Load() >= 4 })
	}
	if n := calls.acme.Load(); n != 0 {
		t.Errorf("%d runs began while acme owed events", n)
	}
	q.owes.Store(false)
	for _, run := range w.awaitFinished(4) {
		if run.State != function.RunSucceeded || len(run.Attempts) != 1 {
			t.Errorf("run of event %s = %s (%s) after %d attempts, want %s after 1", run.Event.ID, run.State, run.Reason, len(run.Attempts), function.RunSucceeded)
		}
	}
	if n := len(w.dead()); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
}

// TestOutcomesThatAreSentCountAsEvents sends the outcomes of two functions to a function and to a topic.
func TestOutcomesThatAreSentCountAsEvents(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	q := &debt{}
	w.o.Quotas = q
	w.deploy("acme.then")
	w.deploy("acme.f", function.Trigger{Name: "t", Rules: function.Rules{OnSuccess: &function.Destination{Function: "acme.then"}}})
	w.deploy("g", function.Trigger{Name: "t", Rules: function.Rules{OnSuccess: &function.Destination{Topic: "out"}}})
	w.append("events", four()...)
	w.node(play(well))
	w.awaitFinished(12)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.emitted["acme"] != 4 || q.emitted[""] != 4 {
		t.Errorf("%d events of acme and %d of production are counted, want 4 of each", q.emitted["acme"], q.emitted[""])
	}
}

// TestWhatWaitsForAnEnvironmentToPayEndsAtOnce stops a node, removes a trigger and pauses one while their environment owes events.
func TestWhatWaitsForAnEnvironmentToPayEndsAtOnce(t *testing.T) {
	w := newWorld(t, setting{partitions: 1, options: Options{Drain: 20 * time.Second}})
	defer w.close()
	for _, name := range []string{"acme.removed", "acme.paused", "acme.kept"} {
		w.deploy(name, function.Trigger{Name: "t"})
	}
	w.append("events", four()...)
	q, calls := w.owing(), &byOwner{of: well}
	n := w.node(calls)
	w.await("the events to wait", func() bool { return q.asked.Load() >= 12 })
	asked := time.Now()
	n.quit()
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("a node stopped within %s, want at once", took)
	}

	q = w.owing()
	w.node(calls)
	w.await("the events to wait again", func() bool { return q.asked.Load() >= 12 })
	w.change(catalog.Pause{Function: "acme.paused", Trigger: "t", Paused: true})
	w.change(catalog.Remove{Function: "acme.removed"})
	for _, run := range w.awaitFinished(4) {
		if run.Function != "acme.removed" || run.State != function.RunDiscarded {
			t.Errorf("run of %s = %s, want those of the removed function to be %s", run.Function, run.State, function.RunDiscarded)
		}
	}
	q.owes.Store(false)
	for _, run := range w.awaitFinished(8) {
		if run.Function == "acme.paused" {
			t.Errorf("a run of a paused trigger is %s", run.State)
		}
	}
	w.change(catalog.Pause{Function: "acme.paused", Trigger: "t", Paused: false})
	w.awaitFinished(12)
}
