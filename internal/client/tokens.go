package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Tokens lists the names of the tokens that can send events.
func (c *Client) Tokens(ctx context.Context) ([]string, error) {
	var out wire.TokenList
	err := c.call(ctx, get("v1", "tokens"), &out)
	return out.Tokens, err
}

// CreateToken makes a token that can send events.
func (c *Client) CreateToken(ctx context.Context, name string) (out wire.Token, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "tokens"}, body: wire.TokenCreate{Name: name}}, &out)
}

// RemoveToken ends a token.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "tokens", name}}, nil)
}
