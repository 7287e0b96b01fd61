package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func controlPartition() eventlog.Partition { return eventlog.Partition{Topic: function.TopicControl} }

func TestTopicsComeChangeAndGo(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	made, err := n.client.CreateTopic(ctx, wire.TopicCreate{Name: "orders.eu", Partitions: 3, Retention: "12h", MaxBytes: "64Mi"})
	ok(t, err)
	if made.Partitions != 3 || made.Retention != "12h" || made.MaxBytes != "64Mi" || made.System || made.ID == "" || len(made.Bounds) != 3 {
		t.Errorf("CreateTopic = %+v", made)
	}
	five, forever := int32(5), wire.Forever
	changed, err := n.client.AlterTopic(ctx, "orders.eu", wire.TopicAlter{Partitions: &five, Retention: &forever})
	ok(t, err)
	if changed.Partitions != 5 || changed.Retention != wire.Forever || changed.MaxBytes != "64Mi" || changed.ID != made.ID {
		t.Errorf("AlterTopic = %+v", changed)
	}
	for _, name := range []string{function.TopicProgress, function.TopicDelayed} {
		if topic, err := n.client.Topic(ctx, name); err != nil || topic.Partitions != 5 || !topic.System {
			t.Errorf("%s = %+v, %v, want as wide as the widest topic", name, topic, err)
		}
	}
	n.emit("orders.eu", fact("order.requested", "k", 1))
	got, err := n.client.Topic(ctx, "orders.eu")
	ok(t, err)
	total := int64(0)
	for _, b := range got.Bounds {
		total += b.End - b.Start
	}
	if total != 1 {
		t.Errorf("bounds = %+v, want one event", got.Bounds)
	}
	ok(t, n.client.DeleteTopic(ctx, "orders.eu"))
	if names := n.topicNames(); names != "events" {
		t.Errorf("topics = %q, want events", names)
	}
}

func TestADefaultTopic(t *testing.T) {
	n := newNode(t)
	made, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "x"})
	ok(t, err)
	if made.Partitions < 1 || made.Retention == "" || made.Retention == "0s" || made.MaxBytes == "0" {
		t.Errorf("CreateTopic = %+v, want the log's defaults", made)
	}
	progress, err := n.client.Topic(t.Context(), function.TopicProgress)
	ok(t, err)
	if progress.Partitions < made.Partitions {
		t.Errorf("%s has %d partitions, fewer than the %d of a default topic", function.TopicProgress, progress.Partitions, made.Partitions)
	}
}

// While a topic is there that is sealed, so is what comes: also where its maker or its remover comes no further.
func TestTheSealOfATopicIsThereBeforeItAndGoesAfterIt(t *testing.T) {
	n := newNode(t)
	yes, asked := true, 0
	n.control.refuse = func(e *event.Event) error {
		if e.Type != event.TypeTopicChanged {
			return nil
		}
		asked++
		if _, err := n.api.topic(t.Context(), "orders"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("the rules change while the topic is there (%v)", err)
		}
		return nil
	}
	_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "orders", Partitions: 1, Rules: &function.TopicRulesChange{Seal: &yes}})
	ok(t, err)
	ok(t, n.client.DeleteTopic(t.Context(), "orders"))
	if asked != 2 || !n.catalog.View().Rules("orders").None() {
		t.Errorf("%d changes, and the rules %+v; want 2, and none", asked, n.catalog.View().Rules("orders"))
	}
}
