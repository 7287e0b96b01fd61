package api

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/openapi"
	"github.com/dalamb/dalamb/internal/wire"
)

// checkDocuments wants the documents that routes are held against to be in the code, and sound. A dry run may be of code that is not here.
func (a *API) checkDocuments(req *wire.DeployRequest) error {
	for _, t := range req.Spec.Triggers {
		if t.Route == nil || t.Route.Validate == nil || !a.code.Has(req.Code) {
			continue
		}
		dir, err := a.code.Dir(req.Code)
		if err != nil {
			return err
		}
		if _, err := openapi.Load(dir, t.Route.Validate.File); err != nil {
			wrong := fault.New(fault.KindOf(err), "function %q, trigger %q, validate: %w", req.Spec.Name, t.Name, err)
			return wrong.WithHint("%s", fault.HintOf(err))
		}
	}
	return nil
}

func (a *API) getRoutesOpenAPI(w http.ResponseWriter, _ *http.Request, q query) error {
	env, name := q.values.Get("environment"), q.values.Get("function")
	if name != "" {
		if _, err := a.catalog.View().Function(name); err != nil {
			return err
		}
		env = function.Environment(name)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(a.gates(env, name), '\n')) // a client that is gone cannot be told
	return nil
}
