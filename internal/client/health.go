package client

import (
	"context"

	"github.com/dalamb/dalamb/internal/wire"
)

// Health says how well a node does, and its functions that were called lately.
func (c *Client) Health(ctx context.Context) (out wire.NodeHealth, err error) {
	return out, c.call(ctx, get("v1", "health"), &out)
}

// Machine says what the node's machine gives it.
func (c *Client) Machine(ctx context.Context) ([]wire.Finding, error) {
	var out wire.MachineReport
	err := c.call(ctx, get("v1", "machine"), &out)
	return out.Findings, err
}

// FunctionHealth says how well a function does on a node.
func (c *Client) FunctionHealth(ctx context.Context, name string) (out wire.Health, err error) {
	return out, c.call(ctx, get("v1", "functions", name, "health"), &out)
}
