package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// PurgeCache empties caches of a function's routes, on every node.
func (c *Client) PurgeCache(ctx context.Context, fn string, what wire.CachePurge) (out wire.CachePurged, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "functions", fn, "cache", "purge"}, body: what}, &out)
}
