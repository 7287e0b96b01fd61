package api

import (
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// A target is removed after the deploy was checked, and before its version is made.
func TestATargetThatIsRemovedBesideADeployIsNotBroughtBack(t *testing.T) {
	n := newNode(t)
	req := n.request("pay")
	made := function.NewTrigger()
	made.Name, made.Topic, made.Rule = "rule-paid", function.TopicEvents, function.RuleARN(function.AWSRegion, "", "paid")
	with := req
	with.Spec.Triggers, with.Rules = []function.Trigger{made}, true
	_, err := n.client.Deploy(t.Context(), with)
	ok(t, err)
	for _, left := range []int{1000, 0, 1, 2} { // how often the rule still has the target
		n.api.aims = func(*catalog.View, string, *function.Trigger) bool { left--; return left >= 0 }
		req.Code = n.upload(string(rune('a' + left%26)))
		done, err := n.client.Deploy(t.Context(), req)
		ok(t, err)
		v, err := n.catalog.View().VersionNumber("pay", done.Version)
		ok(t, err)
		if kept := left > 100; kept != (len(v.Spec.Triggers) == 1) || v.Digest != v.Spec.Digest(v.Code, "") {
			t.Errorf("%d: triggers = %v, digest %s", left, v.Spec.Triggers, v.Digest)
		}
		_, err = n.client.Deploy(t.Context(), with)
		ok(t, err)
	}
}

// The same of a deploy of what is there already, which only moves the alias: the target is removed while it is looked at, or before the alias moves.
func TestATargetThatIsRemovedBesideAShiftIsNotBroughtBack(t *testing.T) {
	n := newNode(t)
	made := function.NewTrigger()
	made.Name, made.Topic, made.Rule = "rule-paid", function.TopicEvents, function.RuleARN(function.AWSRegion, "", "paid")
	for at := range 4 { // looks until somebody removes it
		req := n.request(fmt.Sprint("pay", at))
		first := req
		first.Spec.Triggers, first.Rules = []function.Trigger{made}, true
		with := first
		with.Code = n.upload("other")
		without := with
		without.Spec.Triggers = nil
		for _, r := range []wire.DeployRequest{first, with} {
			_, err := n.api.Release(t.Context(), []wire.DeployRequest{r})
			ok(t, err)
		}
		left := at
		n.api.aims = func(*catalog.View, string, *function.Trigger) bool {
			if left--; left == -1 {
				_, err := n.api.Release(t.Context(), []wire.DeployRequest{without})
				ok(t, err)
			}
			return left >= -1
		}
		done, err := n.client.Deploy(t.Context(), req)
		ok(t, err)
		f, err := n.catalog.View().Function(req.Spec.Name)
		ok(t, err)
		if live := f.Live(); left < 0 && (live.Number != done.Version || live.Code != first.Code || len(live.Spec.Triggers) != 0) {
			t.Errorf("%d: live is version %d of %s with the triggers %v; want %d without one", at, live.Number, live.Code, live.Spec.Triggers, done.Version)
		}
	}
}
