package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// together makes the record of n runs of one batch, NAME0 to NAME<n-1>, whose events stand at the offsets from first on, step apart.
func (w *world) together(name string, n int, first, step int64) eventlog.Record {
	w.t.Helper()
	at := func(i int) function.EventRef {
		return function.EventRef{Topic: "events", Partition: 2, Offset: first + int64(i)*step, ID: fmt.Sprintf("event-of-%s%d", name, i)}
	}
	run := story(name+"0", "pay", function.RunSucceeded, 1)
	run.Event = at(0)
	run.Result, run.Emitted = json.RawMessage(`"ok"`), []function.Emitted{{Topic: "events", ID: "e", Type: "t"}}
	b := function.RunBatch{Run: run}
	for i := 1; i < n; i++ {
		b.Others = append(b.Others, function.RunRef{ID: fmt.Sprint(name, i), Event: at(i)})
	}
	return record(w.t, function.TopicRuns, event.TypeBatchFinished, run.ID, b)
}

// TestABatchIsItsRuns: one record tells of several runs, and each is there as if it had one of its own, also when the record comes
// twice and the index is opened again.
func TestABatchIsItsRuns(t *testing.T) {
	for _, n := range []int{1, 3, manyLeast - 1, manyLeast, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t)
			told := w.together("b", n, 4090, 40)
			w.append(w.run(event.TypeRunFinished, story("before", "pay", function.RunSucceeded, 1)))
			w.append(told)
			w.append(told)
			w.append(w.run(event.TypeRunFinished, story("after", "pay", function.RunSucceeded, 1)))
			w.restart()
			want := []string{"after"}
			for i := range n {
				want = append(want, fmt.Sprint("b", i))
			}
			want = append(want, "before")
			for _, q := range []Query{{Limit: 1}, {Limit: 7}, {Limit: 1000}, {Limit: 100, Function: "pay"}, {Limit: 50, State: function.RunSucceeded}} {
				if got := w.pages(q); !slices.Equal(got, want) {
					t.Errorf("pages of %+v: %q, want %q", q, got, want)
				}
			}
			last := function.EventRef{Topic: "events", Partition: 2, Offset: 4090 + 40*int64(n-1)}
			elsewhere := last
			elsewhere.Offset++
			for _, c := range []struct {
				q    Query
				want string
			}{
				{Query{EventID: fmt.Sprint("event-of-b", n-1)}, want[n]},
				{Query{EventID: fmt.Sprint("event-of-b", n-1), EventAt: &last}, want[n]},
				{Query{EventID: fmt.Sprint("event-of-b", n-1), EventAt: &elsewhere}, ""},
				{Query{EventID: "event-of-nothing"}, ""},
				{Query{EventID: "event-of-b0", Function: "ship"}, ""},
				{Query{State: function.RunDead}, ""},
			} {
				if p, err := w.Runs(c.q); err != nil || ids(p.Rows) != c.want {
					t.Errorf("Runs(%+v) = %q, %v, want %q", c.q, ids(p.Rows), err, c.want)
				}
			}
			for i := range n {
				one, err := w.RunByID(fmt.Sprint("b", i))
				must(t, err)
				if one.Function != "pay" || len(one.Attempts) != 1 || one.Event.Offset != 4090+40*int64(i) || (one.Result != nil) != (i == 0) || len(one.Emitted) != len(one.Result)/4 {
					t.Errorf("run b%d = %+v", i, one)
				}
			}
			for _, id := range []string{fmt.Sprint("b", n), manyMark + "b0"} {
				if _, err := w.RunByID(id); fault.KindOf(err) != fault.NotFound {
					t.Errorf("RunByID(%q) = %v, want not found", id, err)
				}
			}
		})
	}
}

// pages are the ids of all pages of q.
func (w *world) pages(q Query) []string {
	w.t.Helper()
	var got []string
	for {
		p, err := w.Runs(q)
		must(w.t, err)
		for _, r := range p.Rows {
			got = append(got, r.ID)
		}
		if q.After = p.Next; q.After == "" {
			return got
		}
	}
}

// TestAnExpiredBatchLeavesNothing: with a row of many runs go all that leads to it.
func TestAnExpiredBatchLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.append(w.together("b", 200, 0, 100))
	w.catchUp()
	w.stop()
	hour := time.Hour
	must(t, w.log.AlterTopic(t.Context(), function.TopicRuns, eventlog.TopicChange{Retention: &hour}))
	w.past.Store(int64(2 * hour))
	h, err := Open(Options{Log: w.log, Dir: w.dir, Now: w.now})
	must(t, err)
	defer h.Close()
	count := func() (n int) {
		it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: []byte("R"), UpperBound: []byte("S")})
		must(t, err)
		defer it.Close()
		for it.First(); it.Valid(); it.Next() {
			n++
		}
		return n
	}
	if n := count(); n < 4 || n > 20 {
		t.Errorf("200 runs make %d keys, want a few", n)
	}
	_, err = h.survey(t.Context(), map[eventlog.Partition]bool{})
	must(t, err)
	if n := count(); n != 0 {
		t.Errorf("%d keys are left of an expired batch, want none", n)
	}
}
