package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Quotas lists what each environment may have and do at most, and what it has; production is the first.
func (c *Client) Quotas(ctx context.Context) ([]wire.Quota, error) {
	var out wire.QuotaList
	err := c.call(ctx, get("v1", "quotas"), &out)
	return out.Quotas, err
}

// SetQuota puts a quota in the place of the one that an environment has, or production.
func (c *Client) SetQuota(ctx context.Context, environment string, q function.Quota) (out wire.Quota, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "quotas", environment}, body: q}, &out)
}
