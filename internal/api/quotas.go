package api

import (
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Quotas is what the API needs of quota and fleet.
type Quotas interface {
	// Call counts a call that is accepted now and made later. An error says that there may be none now.
	Call(environment string) error
	// Used is how many instances each environment has on this node, "" = production, and their memory; the rest of it is the API's to fill in.
	Used() map[string]wire.QuotaUse
}

func (a *API) listQuotas(r *http.Request, _ query) (any, error) {
	names, err := a.topicNames(r.Context(), "")
	if err != nil {
		return nil, err
	}
	view, used := a.catalog.View(), a.quotas.Used()
	list := wire.QuotaList{Quotas: []wire.Quota{a.quotaOf(view, "", names, used)}}
	for _, e := range view.Environments() {
		list.Quotas = append(list.Quotas, a.quotaOf(view, e.Name, names, used))
	}
	return list, nil
}

func (a *API) quotaOf(view *catalog.View, env string, topics []string, used map[string]wire.QuotaUse) wire.Quota {
	q := wire.Quota{Environment: function.EnvironmentName(env), Allowed: view.Quota(env), Used: used[env]}
	q.Used.Functions, q.Used.Topics = len(view.FunctionsOf(env)), len(topicsOf(env, topics))
	return q
}

// topicsOf are those of the names that count for an environment: dalamb's own count for none.
func topicsOf(env string, names []string) []string {
	var own []string
	for _, name := range names {
		if !function.SystemTopic(name) && function.Environment(name) == env {
			own = append(own, name)
		}
	}
	return own
}

// setQuota puts a quota in the place of the one before. What an environment has already it keeps; of instances only those that are wanted no more are ended.
func (a *API) setQuota(r *http.Request, _ query) (any, error) {
	env, err := environmentOf(r.PathValue("env"))
	if err != nil {
		return nil, err
	}
	var quota function.Quota
	if err := decode(r, &quota); err != nil {
		return nil, err
	}
	if err := quota.Check(); err != nil {
		return nil, err
	}
	if a.catalog.View().Quota(env) != quota {
		if _, err := a.catalog.Submit(r.Context(), catalog.SetQuota{Environment: env, Quota: quota}); err != nil {
			return nil, err
		}
	}
	names, err := a.topicNames(r.Context(), "")
	if err != nil {
		return nil, err
	}
	return a.quotaOf(a.catalog.View(), env, names, a.quotas.Used()), nil
}

// environmentOf reads the name of an environment, of which production is one here.
func environmentOf(name string) (string, error) {
	if name == function.Production {
		return "", nil
	}
	return name, function.CheckEnvironment(name)
}

// mayHave refuses a topic that is one too many for its environment.
func (a *API) mayHave(topic string, there []string) error {
	env := function.Environment(topic)
	most := a.catalog.View().Quota(env).Topics
	own := topicsOf(env, there)
	if most == 0 || len(own) < most {
		return nil
	}
	name := function.EnvironmentName(env)
	return fault.New(fault.Exhausted, "environment %s may have %d topics, and %q is one too many: it has %d (%s)", name, most, fault.Clip(topic), len(own), fault.Clip(strings.Join(own, ", "))).
		WithHint("delete one that nobody needs (dalamb topic delete), or have the quota raised: dalamb env quota %s --topics N", name)
}

func (a *API) quotaRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/quotas", Name: "listQuotas", Summary: "What each environment may have and do at most, and what it has; production is the first.", Answer: wire.QuotaList{}, serve: a.listQuotas},
		{Method: "PUT", Path: "/v1/quotas/{env}", Name: "setQuota", Summary: "Give an environment, or production, a quota in the place of the one that it has. What it has already it keeps.",
			Body: function.Quota{}, Answer: wire.Quota{}, Also: []int{409}, serve: a.setQuota},
	}
}
