package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Hooks lists the hooks of git servers.
func (c *Client) Hooks(ctx context.Context) ([]wire.Hook, error) {
	var out wire.HookList
	err := c.call(ctx, get("v1", "hooks"), &out)
	return out.Hooks, err
}

// Hook returns a hook with its newest deliveries.
func (c *Client) Hook(ctx context.Context, name string) (out wire.HookDetail, err error) {
	return out, c.call(ctx, get("v1", "hooks", name), &out)
}

// SetHook makes a hook, or puts another in its place.
func (c *Client) SetHook(ctx context.Context, h function.Hook) (out wire.HookSet, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "hooks", h.Name}, body: h}, &out)
}

// RemoveHook takes a hook away.
func (c *Client) RemoveHook(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "hooks", name}}, nil)
}

// TestHook tries what a hook needs.
func (c *Client) TestHook(ctx context.Context, name string) (out wire.HookTested, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "hooks", name, "test"}}, &out)
}
