package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dalamb/dalamb/internal/wire"
)

// Versions lists the versions of a function, the newest first.
func (c *Client) Versions(ctx context.Context, fn string) (out wire.VersionList, err error) {
	return out, c.call(ctx, get("v1", "functions", fn, "versions"), &out)
}

// Diff says where two versions of a function differ.
func (c *Client) Diff(ctx context.Context, fn string, from, to int) (out wire.VersionDiff, err error) {
	r := get("v1", "functions", fn, "diff")
	r.query = url.Values{"from": {strconv.Itoa(from)}, "to": {strconv.Itoa(to)}}
	return out, c.call(ctx, r, &out)
}

// Aliases lists the aliases of a function.
func (c *Client) Aliases(ctx context.Context, fn string) (out wire.AliasList, err error) {
	return out, c.call(ctx, get("v1", "functions", fn, "aliases"), &out)
}

// Shift points an alias at versions, or says what that would change.
func (c *Client) Shift(ctx context.Context, fn, alias string, s wire.ShiftRequest) (out wire.Shifted, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "functions", fn, "aliases", alias}, body: s}, &out)
}

// RemoveAlias takes an alias away.
func (c *Client) RemoveAlias(ctx context.Context, fn, alias string) (out wire.AliasRemoved, err error) {
	return out, c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "functions", fn, "aliases", alias}}, &out)
}

// Scale makes a version with other bounds of its instances.
func (c *Client) Scale(ctx context.Context, fn string, r wire.ScaleRequest) (out wire.Deployed, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "functions", fn, "scale"}, body: r}, &out)
}

// Rollback points an alias at the version that it was at before, or says what that would change.
func (c *Client) Rollback(ctx context.Context, fn string, r wire.RollbackRequest) (out wire.Shifted, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "functions", fn, "rollback"}, body: r}, &out)
}
