package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/wire"
)

// PauseKey starts no more runs of one key of a trigger.
func (c *Client) PauseKey(ctx context.Context, fn, trigger, key string) (wire.KeyList, error) {
	return c.setKey(ctx, fn, trigger, key, "pause")
}

// ResumeKey lets a paused key go on where it stopped.
func (c *Client) ResumeKey(ctx context.Context, fn, trigger, key string) (wire.KeyList, error) {
	return c.setKey(ctx, fn, trigger, key, "resume")
}

func (c *Client) setKey(ctx context.Context, fn, trigger, key, verb string) (out wire.KeyList, err error) {
	path := []string{"v1", "triggers", fn, trigger, "keys", verb}
	return out, c.call(ctx, request{method: http.MethodPost, path: path, body: wire.Key{Key: key}}, &out)
}

// Keys lists the keys of a trigger that are paused.
func (c *Client) Keys(ctx context.Context, fn, trigger string) (out wire.KeyList, err error) {
	return out, c.call(ctx, get("v1", "triggers", fn, trigger, "keys"), &out)
}
