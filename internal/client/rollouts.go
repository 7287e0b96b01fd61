package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dalamb/dalamb/internal/wire"
)

// Rollouts lists roll-outs, the newest first.
func (c *Client) Rollouts(ctx context.Context) ([]wire.Rollout, error) {
	var out wire.RolloutList
	err := c.call(ctx, get("v1", "rollouts"), &out)
	return out.Rollouts, err
}

// Rollout returns the roll-out of an alias that is under way, else the newest.
func (c *Client) Rollout(ctx context.Context, fn, alias string) (out wire.Rollout, err error) {
	r := get("v1", "functions", fn, "rollout")
	r.query = url.Values{"alias": {alias}}
	return out, c.call(ctx, r, &out)
}

// RolloutByID returns one roll-out of a function.
func (c *Client) RolloutByID(ctx context.Context, fn string, id int64) (out wire.Rollout, err error) {
	r := get("v1", "functions", fn, "rollout")
	r.query = url.Values{"id": {strconv.FormatInt(id, 10)}}
	return out, c.call(ctx, r, &out)
}

// PauseRollout, ResumeRollout, AbortRollout and PromoteRollout change the roll-out of an alias that is under way.
func (c *Client) PauseRollout(ctx context.Context, fn, alias string) (wire.Rollout, error) {
	return c.changeRollout(ctx, fn, alias, "pause")
}

// ResumeRollout lets a paused roll-out go on.
func (c *Client) ResumeRollout(ctx context.Context, fn, alias string) (wire.Rollout, error) {
	return c.changeRollout(ctx, fn, alias, "resume")
}

// AbortRollout gives the traffic back to the old version.
func (c *Client) AbortRollout(ctx context.Context, fn, alias string) (wire.Rollout, error) {
	return c.changeRollout(ctx, fn, alias, "abort")
}

// PromoteRollout gives all the traffic to the new version, for good.
func (c *Client) PromoteRollout(ctx context.Context, fn, alias string) (wire.Rollout, error) {
	return c.changeRollout(ctx, fn, alias, "promote")
}

func (c *Client) changeRollout(ctx context.Context, fn, alias, verb string) (out wire.Rollout, err error) {
	r := request{method: http.MethodPost, path: []string{"v1", "functions", fn, "rollout", verb}, query: url.Values{"alias": {alias}}}
	return out, c.call(ctx, r, &out)
}
