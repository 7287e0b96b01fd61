package api

import (
	"fmt"
	"net/http"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

func (a *API) getNode(r *http.Request, _ query) (any, error) {
	topics, err := a.log.Topics(r.Context())
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	n := a.node(r.Context())
	n.Functions = len(a.catalog.View().Functions())
	n.Instances = 0
	for _, instances := range a.fleet.Counts() {
		n.Instances += instances
	}
	n.Topics = 0
	for _, t := range topics {
		if !function.SystemTopic(t.Name) {
			n.Topics++
		}
	}
	n.Space = "ok"
	if s, ok := a.log.(eventlog.SpaceReporter); ok {
		n.Space = spaceName(s.Space())
	}
	if n.Runner.Limits == nil {
		n.Runner.Limits = []string{}
	}
	return n, nil
}

func spaceName(s eventlog.Space) string {
	switch s {
	case eventlog.SpaceLow:
		return "low"
	case eventlog.SpaceEmpty:
		return "empty"
	}
	return "ok"
}
