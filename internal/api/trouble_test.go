package api

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestATriggerTellsWhatItLostAndThatItsTopicIsGone(t *testing.T) {
	n := newNode(t)
	_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "orders"})
	ok(t, err)
	n.deploy(strings.Replace(payManifest, "topic: events, filter", "topic: orders, filter", 1), "one")
	for i, lost := range []int64{120, 0} {
		id := event.NewID()
		run := function.Run{
			ID: id, Function: "pay", Trigger: "on-order", State: function.RunExpired, Lost: lost,
			Event: function.EventRef{Topic: "orders", Offset: int64(i)},
		}
		data, err := json.Marshal(run)
		ok(t, err)
		e := &event.Event{ID: id, Source: "/t", Type: event.TypeRunFinished, Subject: id, DataContentType: "application/json", Data: data}
		_, err = n.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicRuns, e)})
		ok(t, err)
	}
	ok(t, n.history.CatchUp(t.Context()))
	state := func() wire.Trigger {
		f, err := n.client.Function(t.Context(), "pay")
		ok(t, err)
		for _, tr := range f.Triggers {
			if tr.Name == "on-order" {
				return tr
			}
		}
		t.Fatal("the trigger is not there")
		return wire.Trigger{}
	}
	if got := state(); got.Lost != 121 || got.Error != "" {
		t.Errorf("lost %d, error %q; want 121 and none", got.Lost, got.Error)
	}
	ok(t, n.log.DeleteTopic(t.Context(), "orders"))
	if got := state(); got.Error != `its topic "orders" is not there any more` {
		t.Errorf("error = %q", got.Error)
	}
}

// counting is a log that counts how often its topics are listed.
type counting struct {
	eventlog.Log
	listed int
}

func (c *counting) Topics(ctx context.Context) ([]eventlog.Topic, error) {
	c.listed++
	return c.Log.Topics(ctx)
}

func TestTopicsAreListedOnceForAllTriggers(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	log := &counting{Log: n.api.log}
	n.api.log = log
	triggers, err := n.client.Triggers(t.Context(), "")
	ok(t, err)
	if len(triggers) < 2 || log.listed != 1 {
		t.Errorf("for %d triggers the topics were listed %d times, want once", len(triggers), log.listed)
	}
}
