package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dalamb/dalamb/internal/wire"
)

// Delayed lists events that wait until they are due, the next one first.
func (c *Client) Delayed(ctx context.Context, limit int) (out wire.DelayedList, err error) {
	v := values{}
	v.number("limit", int64(limit))
	r := get("v1", "delayed")
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}

// CancelDelayed takes an event back that is not due yet.
func (c *Client) CancelDelayed(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "delayed", id}}, nil)
}
