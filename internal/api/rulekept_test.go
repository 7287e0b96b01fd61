package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
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
