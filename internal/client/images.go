package client

import (
	"context"

	"github.com/dalamb/dalamb/internal/wire"
)

// Images lists the container images that the node keeps.
func (c *Client) Images(ctx context.Context) (out wire.ImageList, err error) {
	return out, c.call(ctx, get("v1", "images"), &out)
}

// ImagePulls lists the container images that are on their way to the node.
func (c *Client) ImagePulls(ctx context.Context) (out wire.ImagePullList, err error) {
	return out, c.call(ctx, get("v1", "images", "pulls"), &out)
}
