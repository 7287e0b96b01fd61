package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Tokens lists the tokens that can send events, and the access keys.
func (c *Client) Tokens(ctx context.Context) (out wire.TokenList, err error) {
	return out, c.call(ctx, get("v1", "tokens"), &out)
}

// CreateToken makes a token that can send events.
func (c *Client) CreateToken(ctx context.Context, name string) (out wire.Token, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "tokens"}, body: wire.TokenCreate{Name: name}}, &out)
}

// CreateAccessKey makes an access key for AWS's tools.
func (c *Client) CreateAccessKey(ctx context.Context, name string) (out wire.Token, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "tokens"}, body: wire.TokenCreate{Name: name, AWS: true}}, &out)
}

// RemoveToken ends a token or an access key.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "tokens", name}}, nil)
}
