package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// scaleFunction makes a version like the one that is live, with other bounds of its instances: versions do not change.
func (a *API) scaleFunction(r *http.Request, _ query) (any, error) {
	var req wire.ScaleRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	f, err := a.catalog.View().Function(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	live := f.Live()
	if live == nil {
		return nil, fault.New(fault.Conflict, "the alias live of %s points at no version, so there is none to scale", f.Name).WithHint("dalamb versions %s lists those that it could point at", f.Name)
	}
	if req.Version != 0 && req.Version != live.Number {
		return nil, fault.New(fault.Conflict, "version %d of %s is live by now, and not %d", live.Number, f.Name, req.Version).WithHint("look at it again; nothing was changed")
	}
	spec := live.Declared()
	spec.Env, spec.Entry.Command, spec.Triggers = maps.Clone(spec.Env), slices.Clone(spec.Entry.Command), slices.Clone(spec.Triggers)
	if req.Min != nil {
		spec.Scale.Min = *req.Min
	}
	if req.Max != nil {
		spec.Scale.Max = *req.Max
	}
	if spec.Scale.Min == live.Spec.Scale.Min && spec.Scale.Max == live.Spec.Scale.Max {
		return nil, fault.New(fault.Conflict, "version %d of %s has %d to %d instances on a node already", live.Number, f.Name, spec.Scale.Min, spec.Scale.Max).WithHint("say another min or max")
	}
	again := wire.DeployRequest{Spec: spec, Code: live.Code, Alias: function.LiveAlias, DryRun: req.DryRun, Origin: live.Origin, Expects: &f.Last, Rules: true}
	if live.Built != nil {
		again.Build = live.Built.ID
	}
	if live.Image != nil {
		again.ImageDigest = live.Image.Digest // a tag that has moved is another's decision
	}
	out, err := a.Deploy(r.Context(), again)
	if err != nil {
		return nil, err
	}
	return out, nil
}
