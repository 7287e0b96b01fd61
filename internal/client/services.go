package client

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Services lists the services that have registered themselves.
func (c *Client) Services(ctx context.Context) ([]wire.ServiceSummary, error) {
	var out wire.ServiceList
	err := c.call(ctx, get("v1", "services"), &out)
	return out.Services, err
}

// Service returns a service with its instances, or those alone that are healthy.
func (c *Client) Service(ctx context.Context, name string, healthy bool) (out wire.Service, err error) {
	r := get("v1", "services", name)
	if healthy {
		r.query = map[string][]string{"healthy": {"true"}}
	}
	return out, c.call(ctx, r, &out)
}

// RegisterInstance makes an instance of a service known; the same again is its heartbeat.
func (c *Client) RegisterInstance(ctx context.Context, r function.Registration) (out function.ServiceInstance, err error) {
	return out, c.call(ctx, request{method: http.MethodPut, path: []string{"v1", "services", r.Service, r.Instance}, body: r}, &out)
}

// DeregisterInstance takes an instance of a service away.
func (c *Client) DeregisterInstance(ctx context.Context, service, instance string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "services", service, instance}}, nil)
}
