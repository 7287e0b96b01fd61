package client

import (
	"context"
	"net/url"

	"github.com/dalamb/dalamb/internal/wire"
)

// Usage says what functions used in the hours from a time until another one; "" = a day ago, and now: sums by one of wire.UsageSums, or "" = the hours themselves.
func (c *Client) Usage(ctx context.Context, since, until, by string) (out wire.UsageList, err error) {
	v := values{}
	v.text("since", since)
	v.text("until", until)
	v.text("by", by)
	r := get("v1", "usage")
	r.query = url.Values(v)
	err = c.call(ctx, r, &out)
	return out, err
}
