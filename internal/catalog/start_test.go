package catalog

import (
	"reflect"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// hourly puts n events into topic "other", an hour apart, the newest an hour old.
func hourly(t *testing.T, log eventlog.Log, n int) (now time.Time) {
	t.Helper()
	now = time.Now().Truncate(time.Millisecond)
	for i := range n {
		r := eventlog.Record{Topic: "other", Value: []byte("{}"), Time: now.Add(time.Duration(i-n) * time.Hour)}
		if _, err := log.Append(t.Context(), []eventlog.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	return now
}

func TestANewTriggerStartsWhereItSays(t *testing.T) {
	log := newLog(t)
	now := hourly(t, log, 5)
	c, _ := start(t, log, nil)
	for _, tc := range []struct {
		start function.Start
		want  int64
	}{
		{"", 5}, {function.StartLatest, 5}, {function.StartEarliest, 0},
		{function.Start(now.Add(-3 * time.Hour).UTC().Format(time.RFC3339)), 2},
		{"150m", 3}, {"30d", 0}, {"1m", 5},
	} {
		tr := on("t", "other", "x")
		tr.Start = tc.start
		name := "f" + string(rune('a'+tc.want))
		v := submit(t, c, Deploy{Version: version(name, tr)})
		got, err := v.Trigger(name, "t")
		if err != nil || got.Start[0] != tc.want {
			t.Errorf("start %q = %v, %v, want offset %d", tc.start, got.Start, err, tc.want)
		}
		// It begins there once: a later version of the same trigger goes on where it is.
		tr.Start = function.StartEarliest
		tr.Order = function.OrderNone
		v = submit(t, c, Deploy{Version: version(name, tr)})
		if again, err := v.Trigger(name, "t"); err != nil || again.Start[0] != tc.want || again.Began != got.Began || got.Began.IsZero() {
			t.Errorf("after another deploy = %+v, %v, want what it was", again, err)
		}
		submit(t, c, Remove{Function: name})
	}
}

func TestANewTriggerGoesOnWhereItsGroupStands(t *testing.T) {
	log := newLog(t)
	hourly(t, log, 5)
	c, _ := start(t, log, nil)
	tr := on("t", "other", "x")
	tr.Start = function.StartGroup
	if _, err := c.Submit(t.Context(), Deploy{Version: version("f", tr)}); fault.KindOf(err) != fault.NotFound || fault.HintOf(err) == "" {
		t.Errorf("deploy without positions = %v, want not found and a hint", err)
	}
	place := func(at int64) {
		t.Helper()
		o := eventlog.GroupOffset{Partition: eventlog.Partition{Topic: "other"}, Offset: at}
		if err := log.CommitOffsets(t.Context(), function.GroupOf("f", "t"), []eventlog.GroupOffset{o}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ at, want int64 }{{3, 3}, {0, 0}, {5, 5}, {99, 5}} {
		place(tc.at)
		v := submit(t, c, Deploy{Version: version("f", tr)})
		if got, err := v.Trigger("f", "t"); err != nil || got.Start[0] != tc.want {
			t.Errorf("of a group at %d = %v, %v, want %d", tc.at, got.Start, err, tc.want)
		}
		place(1) // whoever has begun does not look there again
		v = submit(t, c, Deploy{Version: version("f", tr)})
		if got, err := v.Trigger("f", "t"); err != nil || got.Start[0] != tc.want {
			t.Errorf("after another deploy = %v, %v, want %d", got.Start, err, tc.want)
		}
		submit(t, c, Remove{Function: "f"})
	}
}

func TestASoughtTriggerIsAnotherOneElsewhere(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	v := submit(t, c, Deploy{Version: version("f", on("a", "events", "x"), on("b", "events", "x"))})
	submit(t, c, Pause{Function: "f", Trigger: "b", Paused: true})
	first, _ := v.Trigger("f", "b")

	v = submit(t, c, Seek{Function: "f", Trigger: "b", To: map[int32]int64{1: 7}, Partial: true})
	part, _ := v.Trigger("f", "b")
	if part.In(0) != first.UID || part.In(1) == first.UID || part.Start[1] != 7 || part.Start[0] != first.Start[0] || !part.Paused {
		t.Errorf("after a seek of partition 1 = %+v, before %+v", part, first)
	}
	if part.Since(0) != first.Since(0) || part.Since(1) <= first.Since(1) || part.Newest() != part.Since(1) {
		t.Errorf("since %d, %d, newest %d; before %d", part.Since(0), part.Since(1), part.Newest(), first.Since(0))
	}
	v = submit(t, c, Seek{Function: "f", Trigger: "b", To: map[int32]int64{0: 3, 1: 4}})
	whole, _ := v.Trigger("f", "b")
	if whole.UID == first.UID || whole.Sought != nil || whole.Start[0] != 3 || whole.Start[1] != 4 || !whole.Paused {
		t.Errorf("after a seek = %+v", whole)
	}
	if want := []int64{first.UID, part.In(1), first.UID}; !reflect.DeepEqual(whole.Was, want) {
		t.Errorf("it was %v, want %v", whole.Was, want)
	}
	if other, _ := v.Trigger("f", "a"); other.Was != nil || other.Since(0) != first.Since(0) {
		t.Errorf("the other trigger = %+v", other)
	}
	if _, err := c.Submit(t.Context(), Seek{Function: "f", Trigger: "c"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("seek of no trigger = %v, want not found", err)
	}

	// The snapshot has it too.
	stop()
	again, _ := start(t, log, store)
	if got, err := again.View().Trigger("f", "b"); err != nil || got.UID != whole.UID || !reflect.DeepEqual(got.Was, whole.Was) || !got.Began.Equal(whole.Began) {
		t.Errorf("after a restart = %+v, %v, want %+v", got, err, whole)
	}
}

func TestWhereATriggerBeganIsSaidOfOneTopic(t *testing.T) {
	log, store := newLog(t), &memory{}
	hourly(t, log, 5)
	c, stop := start(t, log, store)
	spec := version("f", on("t", "other", "x"))
	begins := func(v *View, what, topicID string, want int64) {
		t.Helper()
		got, err := v.Trigger("f", "t")
		if err != nil {
			t.Fatal(err)
		}
		if at := got.Begin(topicID, 0); at != want {
			t.Errorf("%s it begins at %d in topic %s, want %d", what, at, topicID, want)
		}
	}
	v := submit(t, c, Deploy{Version: spec})
	tr, err := v.Trigger("f", "t")
	if err != nil || tr.TopicID == "" {
		t.Fatalf("trigger = %+v, %v, want it to know its topic", tr, err)
	}
	old := tr.TopicID
	begins(v, "deployed", old, 5)
	begins(v, "deployed", "another", 0)

	v = submit(t, c, Deploy{Version: spec})
	begins(v, "deployed again", old, 5)
	begins(v, "deployed again", "another", 0)

	v = submit(t, c, Seek{Function: "f", Trigger: "t", TopicID: "another", To: map[int32]int64{1: 7}, Partial: true})
	begins(v, "sought in partition 1 of another topic", "another", 0)
	v = submit(t, c, Seek{Function: "f", Trigger: "t", TopicID: "another", To: map[int32]int64{0: 3}})
	begins(v, "sought in another topic", "another", 3)
	begins(v, "sought in another topic", old, 0)
	stop()
	c, _ = start(t, log, store)
	begins(c.View(), "after a restart", "another", 3)
	begins(c.View(), "after a restart", old, 0)

	// Control events from before topics were named are about whichever there is.
	v = submit(t, c, Seek{Function: "f", Trigger: "t", To: map[int32]int64{0: 2}})
	begins(v, "sought without a topic", old, 2)
	begins(v, "sought without a topic", "another", 2)
}
