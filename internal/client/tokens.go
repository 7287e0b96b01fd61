package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Tokens lists the tokens and the access keys that were given out.
func (c *Client) Tokens(ctx context.Context) (out wire.TokenList, err error) {
	return out, c.call(ctx, get("v1", "tokens"), &out)
}

// Self is who holds the client's token, and what he may.
func (c *Client) Self(ctx context.Context) (out wire.Self, err error) {
	return out, c.call(ctx, get("v1", "self"), &out)
}

// CreateToken makes a token, or an access key.
func (c *Client) CreateToken(ctx context.Context, asked wire.TokenCreate) (out wire.Token, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "tokens"}, body: asked}, &out)
}

// RemoveToken ends a token or an access key.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "tokens", name}}, nil)
}
