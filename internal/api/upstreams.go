package api

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) listUpstreams(_ *http.Request, q query) (any, error) {
	fn := q.text("function")
	if fn != "" {
		if _, err := a.catalog.View().Function(fn); err != nil {
			return nil, err
		}
	}
	list := wire.UpstreamList{Upstreams: []wire.Upstream{}}
	if a.upstreams != nil {
		list.Upstreams = a.upstreams(fn)
	}
	return list, nil
}

// upstreamRoutes are those of servers that answer in the place of functions.
func (a *API) upstreamRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/upstreams", Name: "listUpstreams", Summary: "The servers that answer routes in the place of functions, and how they are, as this node sees them.",
			Query: []param{{Name: "function", Type: "string", About: "only of this function's routes"}}, Answer: wire.UpstreamList{}, serve: a.listUpstreams},
	}
}
