package api

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Repositories is what the API needs of the git server.
type Repositories interface {
	// Repositories lists them by name.
	Repositories(ctx context.Context) ([]wire.Repository, error)
	// Remove takes one away; NotFound, or Conflict while it is pushed to.
	Remove(ctx context.Context, name string) error
}

func (a *API) listRepositories(r *http.Request, _ query) (any, error) {
	if a.repositories == nil {
		return nil, fault.New(fault.NotFound, "this node has no git server")
	}
	list, err := a.repositories.Repositories(r.Context())
	if err != nil {
		return nil, err
	}
	return wire.RepositoryList{Repositories: list}, nil
}

func (a *API) removeRepository(r *http.Request, _ query) (any, error) {
	if a.repositories == nil {
		return nil, fault.New(fault.NotFound, "this node has no git server")
	}
	return nil, a.repositories.Remove(r.Context(), r.PathValue("name"))
}
