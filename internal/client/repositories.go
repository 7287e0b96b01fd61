package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Repositories lists the repositories that were pushed to the node.
func (c *Client) Repositories(ctx context.Context) (out wire.RepositoryList, err error) {
	return out, c.call(ctx, get("v1", "repositories"), &out)
}

// RemoveRepository takes a repository away. What was delivered from it stays.
func (c *Client) RemoveRepository(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "repositories", name}}, nil)
}
