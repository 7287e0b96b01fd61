package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/seal"
	"github.com/dalamb/dalamb/internal/wire"
)

// sealing is the node's log as it seals.
func (n *node) sealing() eventlog.Log { return n.api.seals.(*seal.Log) }

func (n *node) forgets() (count int) {
	n.Helper()
	_, err := eventlog.ReadAll(n.Context(), n.log, controlPartition(), func(r *eventlog.Record) error {
		if e, err := eventlog.ToEvent(*r); err == nil && e.Type == event.TypeKeyForgotten {
			count++
		}
		return nil
	})
	ok(n, err)
	return count
}

func TestForgettingCanBeSaidAgainAndIsOnRecordAlsoOfATopicThatIsGone(t *testing.T) {
	n := newNode(t)
	yes := true
	_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "orders", Partitions: 1, Rules: &function.TopicRulesChange{Seal: &yes}})
	ok(t, err)
	_, err = n.sealing().Append(t.Context(), []eventlog.Record{eventlog.FromEvent("orders", fact("x", "ada", 1)), eventlog.FromEvent("orders", fact("x", "bob", 1))})
	ok(t, err)
	for again, events := range []int64{1, 0} {
		got, err := n.client.Forget(t.Context(), wire.Forget{Key: "ada"})
		if err != nil || got.Events != events || got.Again != (again > 0) || !got.Erased {
			t.Errorf("Forget = %+v, %v; want %d events, erased", got, err, events)
		}
	}
	before := n.forgets()
	ok(t, n.client.DeleteTopic(t.Context(), "orders"))
	if got, err := n.client.Forget(t.Context(), wire.Forget{Key: "bob"}); err != nil || got.Events != 0 || got.Again {
		t.Errorf("Forget of a key whose topic is gone = %+v, %v", got, err)
	}
	if after := n.forgets(); before != 2 || after != 3 {
		t.Errorf("the control log tells of %d forgets and then of %d, want 2 and 3", before, after)
	}
	for _, dry := range []bool{true, false} {
		if _, err := n.client.Forget(t.Context(), wire.Forget{Key: "nobody", DryRun: dry}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Forget of a key that there is not (dry %v) = %v, want NotFound", dry, err)
		}
	}
	if n.forgets() != 3 {
		t.Error("what was not done is on record")
	}
}
