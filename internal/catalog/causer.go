package catalog

import (
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// sign says in a control event who caused it. CloudEvents, extension "Auth Context".
func sign(e *event.Event, by access.Actor) {
	e.Extensions = map[string]any{event.ExtAuthType: by.Type, event.ExtAuthID: by.ID}
}

// causer is who caused a control event; nil where an older binary wrote it.
func causer(e *event.Event) *function.Identity {
	typ, _ := e.Extensions[event.ExtAuthType].(string)
	id, _ := e.Extensions[event.ExtAuthID].(string)
	if typ == "" || id == "" {
		return nil
	}
	return &function.Identity{Type: typ, ID: id}
}

// permit refuses a change of a function to whom has rights over others alone. Who serves a request asks for its right; that none is forgotten about a
// function's name is seen to here, which every change passes.
func permit(by access.Actor, entity string) error {
	if strings.Contains(entity, "/") || by.Covers(entity) {
		return nil
	}
	return fault.New(fault.Denied, "the %s is for %s, and not for %q", by, by.Bound(), entity).
		WithHint("use a token that is for it, or for all functions")
}
