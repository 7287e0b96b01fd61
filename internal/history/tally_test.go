package history

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// counted is what the history counts, as text.
func (w *world) counted() map[string]string {
	w.t.Helper()
	w.catchUp()
	w.seeded()
	all := map[string]string{}
	c := w.Counts()
	for _, t := range c.Triggers {
		all[t.Function+"/"+t.Trigger] = fmt.Sprintln(t.Runs, t.Emitted, t.Wants, t.Emits)
	}
	if len(c.Others) > 0 {
		all["others"] = fmt.Sprint(c.Others)
	}
	return all
}

// seeded waits until the rows that were there at the start are counted, which goes on beside the folds' first look.
func (w *world) seeded() {
	w.t.Helper()
	for begun, deadline := w.now(), time.Now().Add(time.Minute); !w.Counts().Since.Before(begun); runtime.Gosched() {
		if time.Now().After(deadline) {
			w.t.Fatal("what was there at the start is not counted")
		}
	}
}

func (w *world) wantCounts(when string, want map[string]string) {
	w.t.Helper()
	if got := w.counted(); !reflect.DeepEqual(got, want) {
		w.t.Errorf("%s: counts = %v, want %v", when, got, want)
	}
}

func emitting(r function.Run, wants string, topics ...string) function.Run {
	r.Event.Type = wants
	for _, topic := range topics {
		r.Emitted = append(r.Emitted, function.Emitted{Topic: topic, Type: "of." + topic})
	}
	return r
}

func TestRunsAreCountedOnceEachWhereTheyStand(t *testing.T) {
	w := newWorld(t)
	w.shop()
	want := map[string]string{"pay/on-pay": "map[dead:1 succeeded:2] map[] [] []\n", "ship/on-ship": "map[retrying:1] map[] [] []\n"}
	w.wantCounts("folded", want)
	w.restart()
	w.wantCounts("after a restart", want)

	again := w.run(event.TypeRunFinished, emitting(story("r3", "ship", function.RunSucceeded, 1, 2), "order.paid", "events", "events", "mail"))
	w.append(again)
	want["ship/on-ship"] = "map[succeeded:1] map[events:2 mail:1] [order.paid] [of.events of.mail]\n"
	w.wantCounts("tried again", want)
	w.append(again) // the record is told a second time, as after a crash of who wrote it
	w.wantCounts("told twice", want)
	w.append(w.run(event.TypeDeadLetterResolved, function.Run{ID: "r4", Reason: "discarded"}), tombstone("r4"))
	if got := w.counted()["pay/on-pay"]; got != want["pay/on-pay"] {
		t.Errorf("a dead letter that is resolved: counts = %q, want %q", got, want["pay/on-pay"])
	}
	w.restart()
	w.wantCounts("after another restart", want)
}

func TestBatchesAreCountedByTheirRuns(t *testing.T) {
	for _, runs := range []int{2, manyLeast, 100} {
		w := newWorld(t)
		batch := function.RunBatch{Run: emitting(story("b0", "pay", function.RunSucceeded, 1), "order.paid", "mail")}
		for i := range runs - 1 {
			batch.Others = append(batch.Others, function.RunRef{ID: fmt.Sprint("b", i+1), Event: function.EventRef{Topic: "events", ID: fmt.Sprint("e", i)}})
		}
		told := record(t, function.TopicRuns, event.TypeBatchFinished, "b0", batch)
		w.append(told)
		want := map[string]string{"pay/on-pay": fmt.Sprintf("map[succeeded:%d] map[mail:1] [order.paid] [of.mail]\n", runs)}
		w.wantCounts(fmt.Sprint(runs, " runs"), want)
		w.append(told)
		w.wantCounts(fmt.Sprint(runs, " runs told twice"), want)
		w.restart()
		w.wantCounts(fmt.Sprint(runs, " runs after a restart"), want)
	}
}

func TestOldRunsAreCountedNoMore(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.catchUp()
	if c := w.Counts(); !c.Since.Equal(w.now().Add(-TallySpan)) {
		t.Errorf("counted since %s, want the span before %s", c.Since, w.now())
	}
	w.past.Add(int64(TallySpan + time.Minute))
	w.wantCounts("after the span", map[string]string{})
	w.append(w.run(event.TypeRunFinished, story("r9", "pay", function.RunSucceeded, 1)))
	w.wantCounts("a new one", map[string]string{"pay/on-pay": "map[succeeded:1] map[] [] []\n"})
	w.restart()
	w.wantCounts("after a restart", map[string]string{"pay/on-pay": "map[succeeded:1] map[] [] []\n"})
}

func TestCountsAreBounded(t *testing.T) {
	ta := newTally(start)
	for i := range tallyTriggers + 5 {
		r := talliedRun{Function: "f", Trigger: fmt.Sprint("t", i), State: function.RunSucceeded, Event: function.EventRef{Type: "a"}}
		for n := range 2 * tallyNames {
			r.Emitted = append(r.Emitted, function.Emitted{Topic: fmt.Sprint("t", n), Type: fmt.Sprint("e", n)})
		}
		ta.add(start, []happened{r.happened(start, 2)})
	}
	c := ta.sum(start)
	if len(c.Triggers) != tallyTriggers || c.Others[function.RunSucceeded] != 10 || len(c.Triggers[0].Emitted) != tallyNames || len(c.Triggers[0].Emits) != tallyNames {
		t.Errorf("%d triggers, others %v, the first %+v", len(c.Triggers), c.Others, c.Triggers[0])
	}
	for i := range 100 {
		ta.add(start.Add(time.Duration(i)*time.Minute), []happened{{at: start.Add(time.Duration(i) * time.Minute), state: function.RunDead, runs: 1}})
	}
	if n := len(ta.minutes); n > int(TallySpan/time.Minute)+2 {
		t.Errorf("%d minutes are kept", n)
	}
	ta.add(start, []happened{{at: start.Add(time.Hour), runs: 1}, {at: start.Add(-time.Hour), runs: 1}})
	if ta.minutes[minuteOf(start.Add(-time.Hour))] != nil {
		t.Error("a run of an hour ago is counted")
	}
}

// A long stretch of runs is not read at the start: what is counted says since when.
func TestTheStartReadsABoundedStretch(t *testing.T) {
	w := newWorld(t)
	var records []eventlog.Record
	for i := range tallySeed + 50 {
		records = append(records, w.run(event.TypeRunFinished, story(fmt.Sprint("s", i), "pay", function.RunSucceeded, 1)))
		if len(records) == 50 {
			w.append(records...)
			records = records[:0]
		}
	}
	w.catchUp()
	w.restart()
	w.seeded()
	if c := w.Counts(); len(c.Triggers) != 1 || c.Triggers[0].Runs[function.RunSucceeded] != tallySeed || !c.Since.Equal(start.Add(time.Millisecond)) {
		t.Errorf("counts = %+v, want %d since just after %s", c, tallySeed, start)
	}
}
