package client

import (
	"context"

	"github.com/dalamb/dalamb/internal/wire"
)

// Upstreams tells of the servers that answer routes, as a node sees them; fn "" = of all functions.
func (c *Client) Upstreams(ctx context.Context, fn string) ([]wire.Upstream, error) {
	r := get("v1", "upstreams")
	if fn != "" {
		r.query = map[string][]string{"function": {fn}}
	}
	var out wire.UpstreamList
	err := c.call(ctx, r, &out)
	return out.Upstreams, err
}
