package api

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Services is what the API needs of discovery.
type Services interface {
	View() *discovery.View
	// Changed returns a channel that is closed when there is a newer view.
	Changed() <-chan struct{}
	// CatchUp blocks until the view has all that was stored before the call.
	CatchUp(ctx context.Context) error
	// Register makes an instance known, or takes its heartbeat.
	Register(ctx context.Context, r function.Registration) (function.ServiceInstance, error)
	// Deregister takes an instance away.
	Deregister(ctx context.Context, service, instance string) error
}

func wireService(s *discovery.Service, healthy bool) wire.Service {
	out := wire.Service{Name: s.Name, Instances: s.Instances}
	if healthy {
		out.Instances = s.Healthy()
	}
	return out
}

func (a *API) listServices(*http.Request, query) (any, error) {
	list := wire.ServiceList{Services: []wire.ServiceSummary{}}
	for _, s := range a.services.View().Services() {
		list.Services = append(list.Services, wire.ServiceSummary{Name: s.Name, Instances: len(s.Instances), Healthy: len(s.Healthy())})
	}
	return list, nil
}

func (a *API) getService(r *http.Request, q query) (any, error) {
	healthy, err := q.flag("healthy")
	if err != nil {
		return nil, err
	}
	s, err := a.services.View().Service(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return wireService(s, healthy), nil
}

func (a *API) registerInstance(r *http.Request, _ query) (any, error) {
	var reg function.Registration
	if err := decode(r, &reg); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		field, path string
		in          *string
	}{{"service", r.PathValue("name"), &reg.Service}, {"instance", r.PathValue("instance"), &reg.Instance}} {
		switch *part.in {
		case "":
			*part.in = part.path
		case part.path:
		default:
			return nil, fault.New(fault.Invalid, "%s: is %q in the body and %q in the path", part.field, fault.Clip(*part.in), fault.Clip(part.path))
		}
	}
	return a.services.Register(r.Context(), reg)
}

func (a *API) deregisterInstance(r *http.Request, _ query) (any, error) {
	return nil, a.services.Deregister(r.Context(), r.PathValue("name"), r.PathValue("instance"))
}

// serviceRoutes are those of services that are no functions, and of what watches the installation.
func (a *API) serviceRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/services", Name: "listServices", Summary: "The services that have registered themselves.", Answer: wire.ServiceList{}, serve: a.listServices},
		{Method: "GET", Path: "/v1/services/{name}", Name: "getService", Summary: "One service: who serves it, where, and whether that instance is healthy.",
			Query: []param{{Name: "healthy", Type: "boolean", About: "only the instances that are"}}, Answer: wire.Service{}, serve: a.getService},
		{Method: "PUT", Path: "/v1/services/{name}/{instance}", Name: "registerInstance", Summary: "Make an instance of a service known. To send the same again is its heartbeat, which has to come within ttl; or dalamb checks it.",
			Body: function.Registration{}, Answer: function.ServiceInstance{}, Also: []int{409, 429}, serve: a.registerInstance},
		{Method: "DELETE", Path: "/v1/services/{name}/{instance}", Name: "deregisterInstance", Summary: "Take an instance of a service away.", Status: http.StatusNoContent, serve: a.deregisterInstance},
		{Method: "GET", Path: "/v1/watch", Name: "watch", Summary: "What changes: functions, services, configuration, as server-sent events. Without a position it begins with all that there is. The id of an event is the position behind it; an event reset says that all follows anew.",
			Query: []param{
				{Name: "kind", Type: "string", About: "only of this kind", Enum: watchedKinds()},
				{Name: "since", Type: "string", About: "the position to go on from; the header Last-Event-ID is stronger"},
			}, Answer: wire.Watched{}, AnswerType: eventStream, Lasts: true, raw: a.watch},
	}
}
