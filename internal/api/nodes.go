package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/health"
	"github.com/dalamb/dalamb/internal/wire"
)

// mostOfNode is how many functions a node names of those that it works for.
const mostOfNode = 1000

// NodeStatus is how this node does, for the others.
func (a *API) NodeStatus(ctx context.Context) wire.NodeStatus {
	n, own := a.node(ctx), a.health.Node()
	s := wire.NodeStatus{
		ID: n.ID, Heard: a.now(), Version: n.Version, Started: n.Started, Gateway: n.Gateway, Control: n.Control, Grade: own.Grade.String(), Reasons: []string{}, Functions: []wire.NodeFunction{},
	}
	for _, m := range own.Measures {
		if m.Grade != health.Healthy {
			s.Reasons = append(s.Reasons, m.Name+" "+m.Grade.String())
		}
	}
	of := map[string]*wire.NodeFunction{}
	for _, f := range a.catalog.View().Functions() {
		of[f.Name] = &wire.NodeFunction{Function: f.Name}
		if r := a.health.Function(f.Name); called(r) {
			of[f.Name].Grade = r.Grade.String()
		}
	}
	for _, i := range a.fleet.Instances() {
		s.Instances++
		f := of[i.Function]
		if f == nil {
			continue // it has just been removed
		}
		f.Instances++
		if i.State == "busy" {
			f.Busy++
		}
		f.MemoryKB += i.MemoryKB
		f.CPUMs += i.CPUMs
	}
	for _, f := range of {
		if f.Instances > 0 || f.Grade != "" {
			s.Functions = append(s.Functions, *f)
		}
	}
	slices.SortFunc(s.Functions, func(x, y wire.NodeFunction) int {
		return cmp.Or(cmp.Compare(y.Instances, x.Instances), cmp.Compare(x.Function, y.Function))
	})
	if left := len(s.Functions) - mostOfNode; left > 0 {
		s.Functions, s.Left = s.Functions[:mostOfNode], left
	}
	return s
}

func (a *API) listNodes(r *http.Request, _ query) (any, error) {
	own := a.NodeStatus(r.Context())
	own.Self = true
	return wire.NodeList{Nodes: append([]wire.NodeStatus{own}, a.others()...)}, nil
}

// counts is how many instances each function has on all nodes.
func (a *API) counts() map[string]int {
	all := maps.Clone(a.fleet.Counts())
	for _, n := range a.others() {
		for _, f := range n.Functions {
			all[f.Function] += f.Instances
		}
	}
	return all
}
