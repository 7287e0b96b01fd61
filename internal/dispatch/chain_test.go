package dispatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAChainSaysWhereAnEventCameFrom(t *testing.T) {
	e := newEvent("1", "order.requested", "k")
	c := chainOf(e).then(e, "validate")
	if c.passed("pay") || !c.passed("validate") {
		t.Errorf("chain %s has passed validate alone", c)
	}
	next := &event.Event{ID: "2", Source: "/x", Type: "order > valid", Extensions: map[string]any{event.ExtChain: c.String()}}
	if again := chainOf(next); again.String() != c.String() || again.root != c.root {
		t.Errorf("chain %s came back as %s", c, again)
	}
	if got, want := chainOf(next).text(next), "order.requested > validate > order___valid"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	for i := range 100 {
		c = c.then(next, fmt.Sprint("f", i))
	}
	if len(c.steps) != chainSteps || !c.cut || !strings.HasPrefix(c.text(next), "… > ") || !c.passed("anything") || len(c.String()) > chainSteps*(chainWord+1)+64 {
		t.Errorf("a long chain has %d steps: %s", len(c.steps), c)
	}
}

// TestALoopThatGrowsInBreadthIsStopped lets two triggers make two events each of every event, which no bound on length would stop.
func TestALoopThatGrowsInBreadthIsStopped(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	w.deploy("twice", function.Trigger{Name: "a", Order: function.OrderNone}, function.Trigger{Name: "b", Order: function.OrderNone})
	w.deploy("fan", function.Trigger{Name: "t", Order: function.OrderNone, Filter: []byte(`{"type":["start"]}`)})
	const most = 30
	w.nodeWith(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "fan" {
			var many []*event.Event
			for range 3 * most {
				many = append(many, &event.Event{Type: "leaf"})
			}
			return succeed(many...), nil
		}
		if c.Invocation.Event.Type != "x" {
			return succeed(), nil
		}
		return succeed(&event.Event{Type: "x"}, &event.Event{Type: "x"}), nil
	}), func(d *Dispatcher) { d.stages[3] = guard{now: d.now, loops: &loops{most: most}} })
	w.append("events", newEvent("wide", "start", ""), newEvent("1", "x", ""))
	var last int
	w.await("the loop to come to rest", func() bool {
		runs := len(w.runs())
		rest := runs == last && runs > 4*most && lagOf(w.nodes[0].d, "fan").Behind == 0 && len(w.dead()) > 0
		last = runs
		return rest
	})
	for _, dl := range w.dead() {
		if !strings.HasPrefix(dl.Run.Reason, "loop: in one chain of events the trigger has run more than 30 times") || !strings.HasSuffix(dl.Run.Reason, "x > twice > x") {
			t.Errorf("dead: %s", dl.Run.Reason)
		}
	}
}

func TestALoopIsForgottenWithItsHour(t *testing.T) {
	l := &loops{most: 2}
	now := time.UnixMilli(1e12)
	one, other := loopOf{1, "a"}, loopOf{1, "b"}
	for i, want := range []bool{false, false, true, true} {
		if got := l.over(one, now); got != want {
			t.Errorf("run %d: over = %v, want %v", i, got, want)
		}
	}
	if l.over(other, now) {
		t.Error("another chain is over its bound with its first run")
	}
	if l.over(one, now.Add(loopWindow+1)) {
		t.Error("a run an hour later is counted with those before")
	}
	for i := range 3 * loopsKept {
		l.over(loopOf{2, fmt.Sprint(i)}, now)
	}
	if len(l.of) != loopsKept {
		t.Errorf("%d chains are counted, want %d", len(l.of), loopsKept)
	}
}

func FuzzChain(f *testing.F) {
	f.Add("root a>f>b>g", "type")
	f.Add("", "")
	f.Add("root *>a", "x>y z")
	f.Add(" >>> ", "t")
	f.Fuzz(func(t *testing.T, text, typ string) {
		e := &event.Event{ID: "1", Source: "/", Type: typ, Extensions: map[string]any{event.ExtChain: text}}
		c := chainOf(e).then(e, function.LiveAlias)
		e.Extensions[event.ExtChain] = c.String()
		again := chainOf(e)
		if again.root != c.root || !again.passed(function.LiveAlias) {
			t.Fatalf("%q after a step is %q, which has root %q and not passed the function", text, c, again.root)
		}
		if len(again.steps) > chainSteps {
			t.Fatalf("%d steps", len(again.steps))
		}
	})
}
