package replay

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// kept is a keeper that runs on a log where function f listens to events.
type kept struct {
	*testing.T
	comparer
	cat    *catalog.Catalog
	keeper *Keeper
	owns   atomic.Bool
}

func newKept(t *testing.T, originals ...function.Run) *kept {
	t.Helper()
	k := &kept{T: t, comparer: newComparer(t, originals...)}
	for _, topic := range []eventlog.Topic{{Name: function.TopicControl, Partitions: 1}, {Name: function.TopicInvoke, Partitions: 1}, {Name: function.TopicReplays, Partitions: 2}} {
		if err := k.log.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if k.cat, err = catalog.New(catalog.Options{Log: k.log}); err != nil {
		t.Fatal(err)
	}
	k.keeper, err = New(Options{
		Log: k.log, Catalog: k.cat, History: k.history, Every: time.Millisecond,
		Owns: func(eventlog.Partition) bool { return k.owns.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []func(context.Context) error{k.cat.Run, k.keeper.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	if _, err := k.cat.Submit(t.Context(), catalog.Deploy{Version: function.Version{Spec: function.Spec{Name: "f", Triggers: []function.Trigger{{Name: "t", Topic: "events"}}}}}); err != nil {
		t.Fatal(err)
	}
	return k
}

// begin starts a replay of two of the three partitions of events.
func (k *kept) begin(name string) {
	k.Helper()
	topics, err := k.log.Topics(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	s := catalog.StartReplay{
		Replay: function.Replay{Name: name, Function: "f", Trigger: "t", Topic: "events", Version: 1},
		From:   map[int32]int64{0: 0, 1: 3, 2: 0}, To: map[int32]int64{0: 9, 1: 3, 2: 9},
	}
	for _, t := range topics {
		if t.Name == "events" {
			s.TopicID = t.ID
		}
	}
	if _, err := k.cat.Submit(k.Context(), s); err != nil {
		k.Fatal(err)
	}
}

func (k *kept) tell(typ, name string, data any) {
	k.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		k.Fatal(err)
	}
	e := &event.Event{ID: event.NewID(), Source: "/t", Type: typ, Subject: name, DataContentType: "application/json", Data: text}
	if _, err := k.log.Append(k.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicReplays, e)}); err != nil {
		k.Fatal(err)
	}
}

func (k *kept) await(what, name string, cond func(r *catalog.Replay, p function.ReplayReport) bool) {
	k.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		r, err := k.cat.View().Replay(name)
		if err != nil {
			k.Fatal(err)
		}
		p, err := k.keeper.Report(r)
		if err != nil {
			k.Fatal(err)
		}
		if cond(r, p) {
			return
		}
		if time.Now().After(deadline) {
			k.Fatalf("waited 30 s for %s: %+v, %+v", what, r, p)
		}
	}
}

func TestAReplayEndsWhenAllOfItHasRun(t *testing.T) {
	k := newKept(t, run("o", function.RunDead, nil))
	k.begin("a")
	passes := function.ReplayedRun{Run: run("n", function.RunSucceeded, nil), Replay: "a"}
	k.tell(event.TypeReplayRunFinished, "a", passes)
	k.tell(event.TypeReplayRunFinished, "another", passes)
	k.tell(event.TypeReplayPartitionFinished, "a", function.ReplayedPartition{Replay: "a", Partition: 0})
	k.await("the run to be compared", "a", func(r *catalog.Replay, p function.ReplayReport) bool { return r.Ended == nil && p.NewlyPassing == 1 })
	k.tell(event.TypeReplayPartitionFinished, "a", function.ReplayedPartition{Replay: "a", Partition: 2})
	k.owns.Store(true) // before, it was another node's to end it
	k.await("the end", "a", func(r *catalog.Replay, p function.ReplayReport) bool {
		return r.Ended != nil && r.Ended.State == function.ReplayFinished && p.Runs == 1 && p.NewlyPassing == 1 && len(p.Differences) == 1
	})
	if err := k.keeper.Cancel(t.Context(), "a"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("cancel of a replay that is over = %v, want not found", err)
	}
}

func TestAReplayIsCancelledOrLosesItsTopic(t *testing.T) {
	k := newKept(t)
	k.begin("a")
	k.begin("b")
	k.tell(event.TypeReplayRunFinished, "a", function.ReplayedRun{Run: run("n", function.RunDead, nil), Replay: "a"})
	k.await("a run without original", "a", func(_ *catalog.Replay, p function.ReplayReport) bool { return p.NoOriginal == 1 && p.Failing == 1 })
	if err := k.keeper.Cancel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	k.await("the end", "a", func(r *catalog.Replay, p function.ReplayReport) bool {
		return r.Ended != nil && r.Ended.State == function.ReplayCancelled && p.NoOriginal == 1
	})
	if err := k.log.DeleteTopic(t.Context(), "events"); err != nil {
		t.Fatal(err)
	}
	k.await("the end", "b", func(r *catalog.Replay, _ function.ReplayReport) bool {
		return r.Ended != nil && r.Ended.State == function.ReplayFailed
	})
}
