package catalog

import (
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestASealStaysUntilItsTopicIsGone(t *testing.T) {
	c, stop := start(t, newLog(t), nil)
	defer stop()
	try := func(ch Change, want fault.Kind) {
		t.Helper()
		if _, err := c.Submit(t.Context(), ch); (err == nil) != (want == 0) || err != nil && fault.KindOf(err) != want {
			t.Errorf("Submit(%+v) = %v, want kind %v", ch, err, want)
		}
	}
	yes, no, most := true, false, function.Bytes(100)
	seen := c.View()
	try(SetTopic{Topic: "t", Change: &function.TopicRulesChange{Seal: &yes}}, 0)
	// Of one who read the rules before that.
	try(SetTopic{Topic: "t", Change: &function.TopicRulesChange{MaxEvent: &most}}, 0)
	try(SetTopic{Topic: "t", Change: &function.TopicRulesChange{Seal: &no}}, fault.Invalid)
	try(DropTopic{Topic: "t", Seen: seen}, fault.Conflict)
	if r := c.View().Rules("t"); !r.Seal || r.MaxEvent != most {
		t.Errorf("rules = %+v, want both that were set", r)
	}
	try(SetTopic{Topic: "t", Anew: true}, 0)
	if r := c.View().Rules("t"); !r.Seal || r.MaxEvent != 0 {
		t.Errorf("rules of the topic that is made anew = %+v, want the seal alone", r)
	}
	try(DropTopic{Topic: "t", Seen: c.View()}, 0)
	if r := c.View().Rules("t"); !r.None() {
		t.Errorf("rules of the topic that is gone = %+v", r)
	}
}
