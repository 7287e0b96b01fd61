package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/dalamb/dalamb/internal/wire"
)

// Audit is what the node has signed of its log.
func (c *Client) Audit(ctx context.Context) (out wire.Audit, err error) {
	return out, c.call(ctx, get("v1", "audit"), &out)
}

// Prove asks for the proof that an event is in what the node has signed. id is that of the event, of a run of it, or TOPIC/PARTITION@OFFSET.
func (c *Client) Prove(ctx context.Context, id, topic string) (out wire.AuditProof, err error) {
	r := about("audit", id, topic)
	r.path = append(r.path, "proof")
	return out, c.call(ctx, r, &out)
}

// ProveGrowth asks for the proof that what the node had signed by one checkpoint is in what it had signed by a later one; "" = of all topics.
func (c *Client) ProveGrowth(ctx context.Context, from, to int64, topic string) (out wire.AuditGrowth, err error) {
	r := get("v1", "audit", "growth")
	r.query = url.Values{"from": {strconv.FormatInt(from, 10)}, "to": {strconv.FormatInt(to, 10)}}
	if topic != "" {
		r.query.Set("topic", topic)
	}
	return out, c.call(ctx, r, &out)
}
