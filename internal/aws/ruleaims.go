package aws

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// Aims says whether the rule that a function's trigger is of is there, and has that function as the target whose trigger it is.
func Aims(view *catalog.View, fn string, t *function.Trigger) bool {
	_, name, _ := strings.Cut(t.Rule, ":rule/")
	if !strings.Contains(name, "/") {
		name = defaultBus + "/" + name
	}
	text, _ := view.SharedNote(ruleNotes + name)
	var r rule
	if text == nil || json.Unmarshal(text, &r) != nil {
		return false
	}
	return slices.ContainsFunc(r.Targets, func(at ruleTarget) bool { return at.Function == fn && triggerName(&r, at.ID) == t.Name })
}
