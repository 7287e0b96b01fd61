package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Seek lets a trigger go on from another place, or says what that would do.
func (c *Client) Seek(ctx context.Context, fn, trigger string, s wire.Seek) (out wire.Sought, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "triggers", fn, trigger, "seek"}, body: s}, &out)
}
