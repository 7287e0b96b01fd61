package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// StartCopy lets a topic be copied to another one.
func (c *Client) StartCopy(ctx context.Context, r wire.CopyRequest) (out wire.Copy, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "copies"}, body: r}, &out)
}

// Copies lists copies, the newest first.
func (c *Client) Copies(ctx context.Context) ([]wire.Copy, error) {
	var out wire.CopyList
	err := c.call(ctx, get("v1", "copies"), &out)
	return out.Copies, err
}

// Copy returns one copy and how far it is.
func (c *Client) Copy(ctx context.Context, name string) (out wire.Copy, err error) {
	return out, c.call(ctx, get("v1", "copies", name), &out)
}

// CancelCopy ends a copy before it is over.
func (c *Client) CancelCopy(ctx context.Context, name string) (out wire.Copy, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "copies", name, "cancel"}}, &out)
}

// PlaceCopy stores where the topic's triggers stand in the topic that it is copied to.
func (c *Client) PlaceCopy(ctx context.Context, name string, p wire.CopyPositions) (out wire.CopyPlaced, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "copies", name, "positions"}, body: p}, &out)
}
