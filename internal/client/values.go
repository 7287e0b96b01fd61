package client

import (
	"bytes"
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// Secrets lists the secrets, without their values.
func (c *Client) Secrets(ctx context.Context) (out wire.SecretList, err error) {
	return out, c.call(ctx, get("v1", "secrets"), &out)
}

// SetSecret gives a secret a value.
func (c *Client) SetSecret(ctx context.Context, name string, value []byte) (out wire.SecretSet, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "secrets", name}, body: bytes.NewReader(value)}, &out)
}

// RemoveSecret takes a secret away.
func (c *Client) RemoveSecret(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "secrets", name}}, nil)
}

// Config lists the configuration values.
func (c *Client) Config(ctx context.Context) ([]wire.ConfigValue, error) {
	var out wire.ConfigList
	err := c.call(ctx, get("v1", "config"), &out)
	return out.Config, err
}

// SetConfig gives a configuration value a value.
func (c *Client) SetConfig(ctx context.Context, name, value string) (out wire.ConfigSet, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "config", name}, body: wire.ConfigChange{Value: value}}, &out)
}

// RemoveConfig takes a configuration value away.
func (c *Client) RemoveConfig(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "config", name}}, nil)
}
