package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Environments lists the environments beside production.
func (c *Client) Environments(ctx context.Context) ([]wire.Environment, error) {
	var out wire.EnvironmentList
	err := c.call(ctx, get("v1", "environments"), &out)
	return out.Environments, err
}

// RemoveEnvironment takes an environment away, with its functions, secrets and configuration values.
func (c *Client) RemoveEnvironment(ctx context.Context, name string) (out wire.EnvironmentRemoved, err error) {
	return out, c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "environments", name}}, &out)
}
