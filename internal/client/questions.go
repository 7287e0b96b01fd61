package client

import (
	"context"
	"net/url"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

// Explanation tells the story of an event. The id may be that of a run, or TOPIC/PARTITION@OFFSET; topic "" = any.
func (c *Client) Explanation(ctx context.Context, id, topic string) (out wire.Explanation, err error) {
	return out, c.call(ctx, about("explanation", id, topic), &out)
}

// Trace tells what led to an event and what it led to. The id may be that of a run, a W3C trace id, or TOPIC/PARTITION@OFFSET; topic "" = any.
func (c *Client) Trace(ctx context.Context, id, topic string) (out wire.Trace, err error) {
	return out, c.call(ctx, about("trace", id, topic), &out)
}

func about(question, id, topic string) request {
	v := values{}
	v.text("id", id)
	v.text("topic", topic)
	r := get("v1", question)
	r.query = url.Values(v)
	return r
}

// Past tells the platform's state at a time; function "" = all.
func (c *Client) Past(ctx context.Context, at time.Time, function string) (out wire.Past, err error) {
	v := values{}
	v.time("at", at)
	v.text("function", function)
	r := get("v1", "past")
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}

// ChangeQuery selects changes. Zero fields select all.
type ChangeQuery struct {
	Since, Before time.Time
	Function, Env string
	Limit         int64 // the newest so many; 0 = 100
}

// Changes lists what was changed on the platform, the newest last.
func (c *Client) Changes(ctx context.Context, q ChangeQuery) (out wire.ChangeList, err error) {
	v := values{}
	v.time("since", q.Since)
	v.time("before", q.Before)
	v.text("function", q.Function)
	v.text("env", q.Env)
	v.number("limit", q.Limit)
	r := get("v1", "changes")
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}
