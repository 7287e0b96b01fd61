package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// TryPattern says which events of a stretch of a topic a pattern matches.
func (c *Client) TryPattern(ctx context.Context, t wire.PatternTry) (out wire.PatternTried, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "patterns", "try"}, body: t}, &out)
}
