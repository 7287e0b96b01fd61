package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// theatre plays the fleet's part in the choice of a version, and remembers who met which.
type theatre struct {
	w  *world
	do func(version int, inv *function.Invocation) *function.Result

	mu   sync.Mutex
	seen []scene
}

type scene struct {
	version int
	ids     []string // of the events of one invocation
}

func (h *theatre) Invoke(_ context.Context, c fleet.Call) (*function.Result, error) {
	version := c.Version
	if version == 0 {
		v, err := h.w.cat.View().Version(c.Function, c.Alias, 0)
		if err != nil {
			return nil, err
		}
		version = v.Number
	} else if _, err := h.w.cat.View().VersionNumber(c.Function, version); err != nil {
		return nil, err
	}
	s := scene{version: version}
	if c.Invocation.Event != nil {
		s.ids = []string{c.Invocation.Event.ID}
	} else if es, err := event.DecodeBatch(c.Invocation.Payload); err == nil {
		for _, e := range es {
			s.ids = append(s.ids, e.ID)
		}
	}
	h.mu.Lock()
	h.seen = append(h.seen, s)
	h.mu.Unlock()
	r := succeed()
	if h.do != nil {
		r = h.do(version, c.Invocation)
	}
	r.Version = version
	return r, nil
}

func (h *theatre) scenes() []scene {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.seen)
}

// again deploys another version of f.
func (w *world) again(keep int, triggers ...function.Trigger) {
	w.t.Helper()
	v := function.Version{Spec: function.Spec{Name: "f", Keep: keep, Scale: function.Scale{Max: 16}, Triggers: triggers}}
	for i := range triggers {
		triggers[i].Topic = function.TopicEvents
		if triggers[i].Retry.Attempts == 0 {
			triggers[i].Retry = function.Retry{Attempts: 4, Initial: function.Duration(time.Millisecond), Max: function.Duration(4 * time.Millisecond), Factor: 2}
		}
	}
	w.change(catalog.Deploy{Version: v})
}

func TestKeysStayOnTheirVersionWhateverTheShapeOfTheTrigger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, setting{partitions: 1})
		defer w.close()
		tr := function.Trigger{Name: "t", Order: rapid.SampledFrom([]function.Order{function.OrderKey, function.OrderNone}).Draw(t, "order")}
		if rapid.Bool().Draw(t, "batched") {
			tr.Batch = batchOf(rapid.IntRange(2, 30).Draw(t, "size"))
		}
		w.again(0, tr)
		w.again(0, tr)
		alias := function.Alias{Name: function.LiveAlias, Primary: 1, Weights: map[int]int{2: rapid.IntRange(1, 99).Draw(t, "percent")}}
		w.change(catalog.Shift{Function: "f", Alias: alias})
		var keys []string
		for i := range rapid.IntRange(1, 12).Draw(t, "keys") {
			keys = append(keys, fmt.Sprint("customer-", i))
		}
		if rapid.Bool().Draw(t, "some without a key") {
			keys = append(keys, "")
		}
		events := numbered(60, keys...)
		key := map[string]string{}
		for _, e := range events {
			key[e.ID] = e.Key()
		}
		failed := map[string]bool{}
		h := &theatre{w: w, do: func(_ int, inv *function.Invocation) *function.Result {
			if id := inv.Run; !failed[id] && len(failed) < 5 { // each first time
				return fail("once")
			}
			return succeed()
		}}
		var mu sync.Mutex
		once := h.do
		h.do = func(version int, inv *function.Invocation) *function.Result {
			mu.Lock()
			defer mu.Unlock()
			r := once(version, inv)
			failed[inv.Run] = true
			return r
		}
		w.append("events", events...)
		w.node(h)
		for _, run := range w.awaitFinished(len(events)) {
			if run.State != function.RunSucceeded {
				t.Fatalf("run of event %s is %s: %s", run.Event.ID, run.State, run.Reason)
			}
			for _, a := range run.Attempts {
				want := run.Attempts[0].Version // without a key a run has its own
				if run.Event.Key != "" {
					want = alias.Pick(function.Ticket("f", run.Event.Key))
				}
				if a.Version != want {
					t.Fatalf("attempt %d of the event %s of key %q had version %d, want %d", a.Number, run.Event.ID, run.Event.Key, a.Version, want)
				}
			}
		}
		for _, s := range h.scenes() {
			for _, id := range s.ids {
				if k := key[id]; k != "" && s.version != alias.Pick(function.Ticket("f", k)) {
					t.Fatalf("version %d met the event %s of key %q", s.version, id, k)
				}
			}
		}
	})
}

// What runs strictly one after another is not taken apart: the version that the first event of a batch meets has all of it.
func TestABatchInPartitionOrderStaysTogether(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	tr := function.Trigger{Name: "t", Order: function.OrderPartition, Batch: batchOf(10)}
	w.again(0, tr)
	w.again(0, tr)
	alias := function.Alias{Name: function.LiveAlias, Primary: 1, Weights: map[int]int{2: 50}}
	w.change(catalog.Shift{Function: "f", Alias: alias})
	w.append("events", numbered(40, "a", "b", "c", "d", "e", "f", "g")...)
	h := &theatre{w: w}
	w.node(h)
	w.awaitFinished(40)
	next := 0
	for _, s := range h.scenes() {
		if want := alias.Pick(function.Ticket("f", string("abcdefg"[next%7]))); s.version != want || len(s.ids) != 10 {
			t.Errorf("version %d had %v, want all ten on version %d", s.version, s.ids, want)
		}
		for _, id := range s.ids {
			if id != fmt.Sprintf("%03d", next) {
				t.Fatalf("event %s where %03d should be", id, next)
			}
			next++
		}
	}
}

// events that fail on version 1, and what the retry meets after others were deployed.
func TestARetryRunsOnTheSameVersionOrTheNewest(t *testing.T) {
	for _, c := range []struct {
		name     string
		on       function.RetryOn
		deploys  int // while the run waits for its second attempt
		keep     int
		versions []int
		note     string
	}{
		{"by default", "", 1, 0, []int{1, 2}, ""},
		{"newest", function.RetryOnNewest, 1, 0, []int{1, 2}, ""},
		{"same", function.RetryOnSame, 1, 0, []int{1, 1}, ""},
		{"same that was let go", function.RetryOnSame, 3, 1, []int{1, 4}, "version 1, with which the run began, was let go (keep): the newest takes it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			tr := function.Trigger{Name: "t", Order: function.OrderKey, RetryOn: c.on}
			w.again(0, tr)
			h := &theatre{w: w, do: func(version int, inv *function.Invocation) *function.Result {
				if inv.Attempt > 1 {
					return succeed()
				}
				for range c.deploys {
					w.again(c.keep, tr)
				}
				return fail("a mistake of version 1")
			}}
			w.append("events", newEvent("a", "x", "k"))
			w.node(h)
			run := w.awaitFinished(1)[0]
			var versions []int
			for _, a := range run.Attempts {
				versions = append(versions, a.Version)
			}
			if !slices.Equal(versions, c.versions) || run.State != function.RunSucceeded {
				t.Fatalf("the attempts had versions %v, want %v; the run %s", versions, c.versions, run.State)
			}
			if got := run.Attempts[1].Note; got != c.note {
				t.Errorf("note = %q, want %q", got, c.note)
			}
		})
	}
}

func TestARedriveFollowsRetryOnAndRefusesAVersionThatIsGone(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	tr := function.Trigger{Name: "t", Order: function.OrderKey, RetryOn: function.RetryOnSame, Retry: function.Retry{Attempts: 1}}
	w.again(0, tr)
	w.append("events", newEvent("a", "x", "k"))
	refuse := true
	var mu sync.Mutex
	h := &theatre{w: w, do: func(version int, _ *function.Invocation) *function.Result {
		mu.Lock()
		defer mu.Unlock()
		if refuse {
			return fail("no")
		}
		return succeed()
	}}
	w.node(h)
	w.awaitFinished(1)
	w.again(0, tr)
	w.jobCount(w.redrive(RedriveRequest{Function: "f"})) // on version 1 again: it dies again
	w.await("the second death", func() bool {
		for _, dl := range w.dead() {
			return len(dl.Run.Attempts) == 2
		}
		return false
	})
	for range 3 {
		w.again(1, tr)
	}
	// Version 1 is gone: who asks for it by number is refused, and who asks for the same gets the newest.
	w.jobCount(w.redrive(RedriveRequest{Function: "f", Version: 1}))
	w.await("the refusal", func() bool {
		for _, dl := range w.dead() {
			return strings.HasPrefix(dl.Run.Reason, "version 1 of f, which was asked for, is not there any more: it was removed, or newer ones")
		}
		return false
	})
	mu.Lock()
	refuse = false
	mu.Unlock()
	w.jobCount(w.redrive(RedriveRequest{Function: "f"}))
	w.await("the dead letter to go", func() bool { return len(w.dead()) == 0 })
	var versions []int
	for _, s := range h.scenes() {
		versions = append(versions, s.version)
	}
	if want := []int{1, 1, 5}; !slices.Equal(versions, want) {
		t.Errorf("versions that ran it = %v, want %v", versions, want)
	}
}

func TestACallOfAnAliasThatIsGoneIsADeadLetter(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.o.Now = func() time.Time { return time.Now().Add(2 * aliasPatience) }
	w.again(0)
	data, err := json.Marshal(function.InvokeRequest{Function: "f", Alias: "preview/x", Payload: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	call := &event.Event{ID: "c", Source: "/test", Type: event.TypeInvokeRequested, Subject: "f", DataContentType: "application/json", Data: data}
	if _, err := w.disk.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicInvoke, call)}); err != nil {
		t.Fatal(err)
	}
	w.node(&theatre{w: w})
	if run := w.awaitFinished(1)[0]; run.State != function.RunDead || run.Reason != "the alias preview/x of f, which was asked for, is not there any more" {
		t.Errorf("the run is %s: %s", run.State, run.Reason)
	}
}

// Each version that takes events of a batch gives one answer, and one that may not be kept ends the runs of that version alone.
func TestARefusedAnswerIsThatOfOneVersion(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	tr := function.Trigger{Name: "t", Order: function.OrderKey, Batch: batchOf(40)}
	w.again(0, tr)
	w.again(0, tr)
	alias := function.Alias{Name: function.LiveAlias, Primary: 1, Weights: map[int]int{2: 50}}
	w.change(catalog.Shift{Function: "f", Alias: alias})
	events := numbered(40, "a", "b", "c", "d", "e", "f", "g")
	w.append("events", events...)
	w.node(&theatre{w: w, do: func(version int, _ *function.Invocation) *function.Result {
		if version == 2 {
			return succeed(&event.Event{Type: event.TypeRunFinished})
		}
		return succeed()
	}})
	states := map[function.RunState]int{}
	for _, run := range w.awaitFinished(len(events)) {
		want := function.RunSucceeded
		if alias.Pick(function.Ticket("f", run.Event.Key)) == 2 {
			want = function.RunDead
		}
		if run.State != want {
			t.Errorf("the run of key %s is %s (%s), want %s", run.Event.Key, run.State, run.Reason, want)
		}
		states[run.State]++
	}
	if len(states) != 2 {
		t.Errorf("states %v, want both", states)
	}
}
