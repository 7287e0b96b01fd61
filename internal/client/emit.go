package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Emit puts events into a topic through the node's gateway, all of them or none, and returns where they stand. It returns when
// they are durable.
func (c *Client) Emit(ctx context.Context, topic string, events []*event.Event) ([]wire.Stored, error) {
	return c.EmitAt(ctx, time.Time{}, topic, events)
}

// EmitAt is Emit of events that wait until a time; until then they stand in no topic. A zero time, or one that has passed, is now.
func (c *Client) EmitAt(ctx context.Context, notBefore time.Time, topic string, events []*event.Event) ([]wire.Stored, error) {
	gateway, err := c.gateway(ctx)
	if err != nil {
		return nil, err
	}
	form, body, err := encode(events)
	if err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	query := values{"topic": {topic}}
	query.time("notBefore", notBefore)
	var out []wire.Stored
	err = gateway.call(ctx, request{
		method: http.MethodPost, path: []string{"_", "events"}, query: url.Values(query),
		body: io.Reader(bytes.NewReader(body)), header: http.Header{"Content-Type": {form}},
	}, &out)
	return out, err
}

// encode gives one event the form of one, so that an answer about it does not speak of a batch.
func encode(events []*event.Event) (contentType string, body []byte, err error) {
	if len(events) == 1 {
		body, err = events[0].MarshalJSON()
		return event.ContentTypeStructured, body, err
	}
	body, err = event.EncodeBatch(events)
	return event.ContentTypeBatch, body, err
}

// gateway is a client of the node's other listener. One that listens on all addresses is reached where the control listener is.
func (c *Client) gateway(ctx context.Context) (*Client, error) {
	g := *c
	if g.base = c.send; g.base != "" {
		return &g, nil
	}
	node, err := c.Node(ctx)
	if fault.KindOf(err) == fault.Denied {
		return nil, fault.New(fault.Denied, "ask where the gateway is: %w", err).WithHint("name it: --gateway URL; a token that may send events alone may not ask the control listener")
	}
	if err != nil {
		return nil, err
	}
	control, err := url.Parse(c.base)
	if err != nil {
		return nil, fmt.Errorf("read the node's address: %w", err)
	}
	host, port, err := net.SplitHostPort(node.Gateway)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's address: %w", err)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = control.Hostname()
	}
	g.base = control.Scheme + "://" + net.JoinHostPort(host, port)
	return &g, nil
}
