package client

import (
	"context"
	"io"
	"net/url"
)

// RoutesOpenAPI is one OpenAPI document, as JSON, of the gateway's routes: of an environment, or of a function, where that is named.
func (c *Client) RoutesOpenAPI(ctx context.Context, environment, function string) ([]byte, error) {
	r := get("v1", "routes", "openapi.json")
	r.query = url.Values{}
	for name, v := range map[string]string{"environment": environment, "function": function} {
		if v != "" {
			r.query.Set(name, v)
		}
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
