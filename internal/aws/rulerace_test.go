package aws_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// trigger is the first one that a rule gave a function.
func (n *node) trigger(fn string) (one wire.Trigger) {
	n.Helper()
	f, err := n.client.Function(n.Context(), fn)
	ok(n.T, err)
	for _, t := range f.Triggers {
		if strings.HasPrefix(t.Name, "rule-") {
			return t
		}
	}
	n.Fatalf("function %s has no trigger of a rule", fn)
	return one
}

// filtered says whether the trigger that a rule gave a function has a text in its filter.
func (n *node) filtered(fn, text string) bool {
	n.Helper()
	filter, err := json.Marshal(n.spec(fn)["triggers"].([]any)[0].(object)["filter"])
	ok(n.T, err)
	return strings.Contains(string(filter), text)
}

func TestWhatWaitsForAPausedTriggerStaysWhenItsRuleIsPutAgain(t *testing.T) {
	n := startNode(t)
	shop := n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	name := n.trigger("pay").Name
	ok(t, n.client.PauseTrigger(t.Context(), "pay", name))
	for i := range 5 {
		n.put(fmt.Sprintf(`{"n":%d}`, i))
	}
	n.aim("paid", `{"source":["shop"]}`, "pay") // PutRule and PutTargets as before
	n.bridged("EnableRule", object{"Name": "paid"})
	if !n.trigger("pay").Paused {
		t.Error("the trigger goes on, which somebody let wait")
	}
	ok(t, n.client.ResumeTrigger(t.Context(), "pay", name))
	for range 5 {
		shop.next()
	}
}

func TestARuleThatIsChangedByTwoIsWhatItSays(t *testing.T) {
	n := startNode(t)
	n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	beside := func(operations ...func()) {
		var all sync.WaitGroup
		for _, do := range operations {
			all.Go(do)
		}
		all.Wait()
	}
	for i := range 8 {
		beside(func() { n.bridge("EnableRule", object{"Name": "paid"}) }, func() { n.bridge("DisableRule", object{"Name": "paid"}) })
		if state, paused := n.bridged("DescribeRule", object{"Name": "paid"})["State"], n.trigger("pay").Paused; paused != (state == "DISABLED") {
			t.Fatalf("%d: the rule is %v, and paused = %v", i, state, paused)
		}
	}
	n.bridged("EnableRule", object{"Name": "paid"})
	for i := range 8 {
		put := func(source string) func() {
			return func() {
				n.bridge("PutRule", object{"Name": "paid", "EventPattern": fmt.Sprintf(`{"source":["%s%d"]}`, source, i)})
			}
		}
		beside(put("shop"), put("bank"))
		pattern := n.bridged("DescribeRule", object{"Name": "paid"})["EventPattern"].(string)
		if source := strings.Split(pattern, `"`)[3]; !n.filtered("pay", source) {
			t.Fatalf("%d: the rule is %s, and the triggers %v", i, pattern, n.spec("pay")["triggers"])
		}
	}
	// Targets that are put beside each other are all there.
	n.reporter("ship")
	n.bridged("PutRule", object{"Name": "many", "EventPattern": `{"source":["shop"]}`})
	put := func(id, fn string) func() {
		return func() {
			if out, typ := n.bridge("PutTargets", object{"Rule": "many", "Targets": []object{{"Id": id, "Arn": functionARN(fn)}}}); typ != "" || out["FailedEntryCount"] != 0.0 {
				t.Errorf("PutTargets = %v", out)
			}
		}
	}
	beside(put("1", "pay"), put("2", "ship"))
	if got := n.targets("many"); len(got) != 2 {
		t.Errorf("targets = %v", got)
	}
	// What is put and removed at once leaves no trigger without a target.
	for i := range 4 {
		beside(func() {
			n.bridge("PutRule", object{"Name": "many", "EventPattern": fmt.Sprintf(`{"source":["other%d"]}`, i)})
		}, func() {
			n.bridge("RemoveTargets", object{"Rule": "many", "Ids": []string{"2"}})
		})
		triggers, _ := n.spec("ship")["triggers"].([]any)
		if got := n.targets("many"); len(got)-1 != len(triggers) {
			t.Fatalf("%d: targets = %v, triggers = %v", i, got, triggers)
		}
		put("2", "ship")()
	}
}

func TestADeletedRuleDoesNotComeBackWithAnOldVersion(t *testing.T) {
	n := startNode(t)
	n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	with := n.newest("pay").Number
	n.bridged("RemoveTargets", object{"Rule": "paid", "Ids": []string{"1"}})
	n.bridged("DeleteRule", object{"Name": "paid"})
	_, err := n.client.Shift(t.Context(), "pay", function.LiveAlias, wire.ShiftRequest{Shares: []wire.Share{{Version: with}}})
	ok(t, err)
	n.deployed("pay")
	if triggers := n.spec("pay")["triggers"]; triggers != nil {
		t.Errorf("triggers = %v", triggers)
	}
}
