package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Alerts lists the alerts, and how they stand.
func (c *Client) Alerts(ctx context.Context) ([]wire.Alert, error) {
	var out wire.AlertList
	err := c.call(ctx, get("v1", "alerts"), &out)
	return out.Alerts, err
}

// Alert returns an alert with its newest changes.
func (c *Client) Alert(ctx context.Context, name string) (out wire.AlertDetail, err error) {
	return out, c.call(ctx, get("v1", "alerts", name), &out)
}

// SetAlert makes an alert, or puts another in its place.
func (c *Client) SetAlert(ctx context.Context, a function.Alert) (out wire.AlertSet, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "alerts", a.Name}, body: a}, &out)
}

// RemoveAlert takes an alert away.
func (c *Client) RemoveAlert(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "alerts", name}}, nil)
}

// TestAlert tells what an alert tells that fires, marked as a test.
func (c *Client) TestAlert(ctx context.Context, name string) (out wire.AlertTested, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "alerts", name, "test"}}, &out)
}
