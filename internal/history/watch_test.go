package history

import (
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

func TestWhoWatchesAnEventIsToldOfItsRuns(t *testing.T) {
	w := newWorld(t)
	mine, stop := w.Watch("e-1")
	other, stopOther := w.Watch("e-2")
	defer stopOther()
	one := story("r-1", "f", function.RunRetrying, 1)
	one.Event = function.EventRef{Topic: function.TopicInvoke, Partition: 3, Offset: 7, ID: "e-1"}
	w.append(w.run(event.TypeAttemptFailed, one))
	<-mine
	w.catchUp()
	if run, err := w.RunAt(one.Event); err != nil || run == nil || run.State != function.RunRetrying {
		t.Fatalf("RunAt = %v, %v, want the run that is retried", run, err)
	}
	if run, err := w.RunAt(function.EventRef{Topic: function.TopicInvoke, Partition: 3, Offset: 8, ID: "e-1"}); err != nil || run != nil {
		t.Errorf("RunAt of an event that stands elsewhere = %v, %v, want none", run, err)
	}
	stop()
	one.State = function.RunSucceeded
	w.append(w.run(event.TypeRunFinished, one))
	w.catchUp()
	if len(mine) != 0 || len(other) != 0 {
		t.Errorf("tokens = %d and %d, want none for who has stopped and none for who watches another event", len(mine), len(other))
	}
	if n := len(w.watchers.of); n != 1 {
		t.Errorf("%d events are watched, want the one", n)
	}
}

func TestCancellationsAreKeptAsLongAsRuns(t *testing.T) {
	w := newWorld(t)
	says := func(want bool) {
		t.Helper()
		w.catchUp()
		if got, err := w.Cancelled("e-1"); err != nil || got != want {
			t.Errorf("Cancelled = %v, %v, want %v", got, err, want)
		}
	}
	says(false)
	told, stop := w.Watch("e-1")
	defer stop()
	cancel := eventlog.FromEvent(function.TopicRuns, &event.Event{ID: "c-1", Source: "/t", Type: event.TypeRunCancelled, Subject: "e-1"})
	cancel.Partition = 0
	w.append(cancel, cancel)
	<-told
	says(true)
	w.restart()
	says(true)
	if err := w.forgetCancelled(start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	says(false)
}
