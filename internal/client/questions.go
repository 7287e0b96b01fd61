package client

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
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

// Export says what a bundle is of.
type Export struct {
	ID, Topic string // as for Trace
	Causes    bool   // from the first cause on that can be found; else from the event on
	Images    int64  // pack images, of at most so many bytes; 0 = none
}

// Export writes a trace with all that belongs to it as a tar archive: see package bundle. What was written is not whole where there is an error.
func (c *Client) Export(ctx context.Context, of Export, w io.Writer) error {
	r := about("bundle", of.ID, of.Topic)
	v := values(r.query)
	v.flag("causes", of.Causes)
	v.number("images", of.Images)
	answer, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(w, answer.Body); err != nil {
		return fault.New(fault.Unavailable, "the bundle was cut short: %w", err).WithHint("export it again; the node's log says what went wrong there")
	}
	return nil
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
