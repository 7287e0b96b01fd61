package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// StartReplay runs a stretch of history again, or says how much that is.
func (c *Client) StartReplay(ctx context.Context, r wire.ReplayRequest) (out wire.Replay, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "replays"}, body: r}, &out)
}

// Replays lists replays, the newest first.
func (c *Client) Replays(ctx context.Context) ([]wire.Replay, error) {
	var out wire.ReplayList
	err := c.call(ctx, get("v1", "replays"), &out)
	return out.Replays, err
}

// Replay returns one replay with its report.
func (c *Client) Replay(ctx context.Context, name string) (out wire.Replay, err error) {
	return out, c.call(ctx, get("v1", "replays", name), &out)
}

// ReplayedRuns returns what came of the runs of a replay, as far as they are kept.
func (c *Client) ReplayedRuns(ctx context.Context, name string) (out wire.ReplayedRuns, err error) {
	return out, c.call(ctx, get("v1", "replays", name, "runs"), &out)
}

// CancelReplay ends a replay before it is over.
func (c *Client) CancelReplay(ctx context.Context, name string) (out wire.Replay, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "replays", name, "cancel"}}, &out)
}
