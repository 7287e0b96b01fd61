package dispatch

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// oracle is an Invoker that notes what it is told to expect, and how much of that stands when a call comes.
type oracle struct {
	of play

	mu     sync.Mutex
	stands int
	most   int
	told   []int // when each call came: the most since the one before
	twice  bool
}

func (o *oracle) Expect(_ fleet.Call, n int) func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stands += n
	o.most = max(o.most, o.stands)
	var once bool
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.twice, once = o.twice || once, true
		o.stands -= n
	}
}

func (o *oracle) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) {
	o.mu.Lock()
	o.told = append(o.told, o.most)
	o.most = o.stands
	o.mu.Unlock()
	return o.of(ctx, c)
}

func (o *oracle) calls() []int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told
}

func TestTheFleetIsToldOfWhatComesSoon(t *testing.T) {
	well := func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }
	failFirst := func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Attempt == 1 {
			return fail("not yet"), nil
		}
		return succeed(), nil
	}
	for name, c := range map[string]struct {
		trigger function.Trigger
		of      play
		events  int
		calls   int
		want    []int // expected at least, before the n-th call
	}{
		"a batch gathers": {
			trigger: function.Trigger{Batch: &function.Batch{Size: 100, Bytes: 1 << 20, Window: function.Duration(200 * time.Millisecond), OnError: function.OnErrorBisect}},
			of:      well, events: 5, calls: 1, want: []int{1},
		},
		"an attempt waits for its time": {
			trigger: function.Trigger{Retry: function.Retry{Attempts: 3, Initial: function.Duration(50 * time.Millisecond), Max: function.Duration(50 * time.Millisecond), Factor: 1}},
			of:      failFirst, events: 1, calls: 2, want: []int{0, 1},
		},
		"a rate spaces attempts": {
			trigger: function.Trigger{Rules: function.Rules{Rate: function.Rate{Count: 10, Per: time.Second}}},
			of:      well, events: 3, calls: 3, want: []int{0, 1, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			c.trigger.Name, c.trigger.Order = "t", function.OrderNone
			w.deploy("f", c.trigger)
			o := &oracle{of: c.of}
			n := w.node(o)
			var es []*event.Event
			for i := range c.events {
				es = append(es, newEvent(fmt.Sprint(i), "x", ""))
			}
			w.append("events", es...)
			w.awaitFinished(c.events)
			n.quit()
			told := o.calls()
			if len(told) != c.calls {
				t.Fatalf("%d calls, want %d", len(told), c.calls)
			}
			for i, want := range c.want {
				if told[i] < want {
					t.Errorf("before call %d of %d, %d were expected, want %d", i+1, c.calls, told[i], want)
				}
			}
			if o.stands != 0 || o.twice {
				t.Errorf("%d calls are expected when the node has left (taken back twice: %v)", o.stands, o.twice)
			}
		})
	}
}

func TestTheFirstEventsOfAPartitionAreForetoldTogether(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deployMax("f", 4, function.Trigger{Name: "t", Order: function.OrderNone})
	var es []*event.Event
	for i := range 50 {
		es = append(es, newEvent(fmt.Sprint(i), "x", ""))
	}
	w.append("events", es...)
	o := &oracle{of: func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }}
	n := w.node(o)
	w.awaitFinished(len(es))
	n.quit()
	if got := o.calls()[0]; got != 4 {
		t.Errorf("before the first of 50 events %d calls were expected, want the 4 that may run at a time", got)
	}
	if o.stands != 0 {
		t.Errorf("%d calls are expected when all have been made", o.stands)
	}
}

func TestAClockIsLookedAtInPart(t *testing.T) {
	base := time.UnixMilli(1e12)
	rapid.Check(t, func(t *rapid.T) {
		dues := rapid.SliceOfN(rapid.IntRange(0, 50), 0, 60).Draw(t, "dues")
		at, most := rapid.IntRange(0, 51).Draw(t, "before"), rapid.IntRange(0, 70).Draw(t, "most")
		var c clock
		want := 0
		for _, d := range dues {
			heap.Push(&c, &entry{due: base.Add(time.Duration(d)), state: waiting})
			if d < at {
				want++
			}
		}
		got := 0
		left := c.before(base.Add(time.Duration(at)), 0, most, func(e *entry) {
			got++
			if e.due.Sub(base) >= time.Duration(at) {
				t.Errorf("an entry due at %d was visited, want those before %d", e.due.Sub(base), at)
			}
		})
		if want = min(want, most); got != want || left != most-want {
			t.Errorf("before visited %d entries and left %d, want %d and %d", got, left, want, most-want)
		}
	})
}
