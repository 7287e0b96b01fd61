package api

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// checkRules refuses rules that are wrong in themselves, or that this log cannot keep.
func (a *API) checkRules(rules function.TopicRules) error {
	if err := rules.Check(); err != nil {
		return err
	}
	if _, ok := a.log.(eventlog.Deduper); rules.Dedupe != 0 && !ok {
		return fault.New(fault.Invalid, "dedupe: this log takes an event twice if it is sent twice").
			WithHint("only the embedded log looks at ingest; give the triggers dedupe: {window: %s}", rules.Dedupe)
	}
	if rules.MaxEvent > function.Bytes(a.maxEvent) {
		return fault.New(fault.Invalid, "maxEvent: %s is more than this node takes of any event, %s", rules.MaxEvent, function.Bytes(a.maxEvent)).
			WithHint("0 is the node's bound; its setting limits.event raises that")
	}
	return nil
}

// absentWriters says which of a topic's writers are not there: a slip of the pen, or deployed later. Who is there for one environment is told so of its functions
// alone: whether others are there, and which tokens, he is not to learn by asking.
func (a *API) absentWriters(ctx context.Context, writers []string) []string {
	var ws []string
	who := access.From(ctx)
	view := a.catalog.View()
	for _, w := range writers {
		kind, name, _ := strings.Cut(w, "/")
		switch {
		case who.Environment != "" && (kind != "function" || !who.Sees(name)):
		case kind == "function":
			if _, err := view.Function(name); err != nil {
				ws = append(ws, fmt.Sprintf("there is no function %q yet: until it is deployed, %s writes nothing", name, w))
			}
		case kind == "token":
			if name != function.NodeToken && !view.HasToken(name) {
				ws = append(ws, fmt.Sprintf("there is no token %q yet: until it is made (dalamb token create %s), %s writes nothing", name, name, w))
			}
		}
	}
	return ws
}

// setRules changes rules of a topic, where that makes them other ones. Of a topic that is about to be made they are set in any case, so that who has just deleted one
// of the name does not drop them (catalog.DropTopic).
func (a *API) setRules(ctx context.Context, c catalog.SetTopic) error {
	had, rules, err := c.On(a.catalog.View())
	if err != nil || reflect.DeepEqual(had, rules) && (!c.Anew || rules.None()) {
		return err
	}
	_, err = a.catalog.Submit(ctx, c)
	return err
}
