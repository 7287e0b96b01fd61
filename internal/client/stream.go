package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxLine bounds one line of a stream: an event of the largest size a log takes, in base64.
const maxLine = 16 << 20

// EventQuery selects events. Zero fields select all.
type EventQuery struct {
	Topic     string // "" = events
	Partition *int32 // nil = all
	Key       string // "" = all
	From      string // earliest, latest, an offset, a time or how long ago; "" = earliest, latest when following
	Filter    string // a pattern
	Follow    bool
	Limit     int64
}

// Events streams events until there are no more, the caller stops, or ctx is done. An error is the last thing that it gives.
func (c *Client) Events(ctx context.Context, q EventQuery) iter.Seq2[wire.EventAt, error] {
	v := values{}
	v.text("topic", q.Topic)
	if q.Partition != nil {
		v["partition"] = []string{fmt.Sprint(*q.Partition)}
	}
	v.text("key", q.Key)
	v.text("from", q.From)
	v.text("filter", q.Filter)
	v.flag("follow", q.Follow)
	v.number("limit", q.Limit)
	r := get("v1", "events")
	r.query = url.Values(v)
	return stream[wire.EventAt](ctx, c, r)
}

// NewestQuery selects events from the newest on. Zero fields select all.
type NewestQuery struct {
	Topic     string // "" = events
	Partition *int32 // nil = all
	Key       string // "" = all
	Filter    string // a pattern
	Since     string // a time or how long ago
	Before    string // a time or how long ago
	Look      int64  // events to look at, at most; 0 = as many as there is time for
	Limit     int64  // 0 = 50
	Older     string // NewestEvents.Older of the page before
}

// NewestEvents are the newest events that fit, the newest first.
func (c *Client) NewestEvents(ctx context.Context, q NewestQuery) (out wire.NewestEvents, err error) {
	v := values{}
	v.text("topic", q.Topic)
	if q.Partition != nil {
		v["partition"] = []string{fmt.Sprint(*q.Partition)}
	}
	v.text("key", q.Key)
	v.text("filter", q.Filter)
	v.text("since", q.Since)
	v.text("before", q.Before)
	v.number("look", q.Look)
	v.number("limit", q.Limit)
	v.text("older", q.Older)
	r := get("v1", "events", "newest")
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}

// LogQuery selects log lines. Zero fields select all.
type LogQuery struct {
	Function, Run string
	Version       int64
	Level         string // the least serious one
	Text          string
	Since, Until  string // times, or how long ago
	Follow        bool
	Limit         int64 // the last so many; 0 = 1000
}

// Logs streams what functions wrote, oldest first. It ends as Events does.
func (c *Client) Logs(ctx context.Context, q LogQuery) iter.Seq2[function.LogLine, error] {
	v := values{}
	v.text("function", q.Function)
	v.text("run", q.Run)
	v.number("version", q.Version)
	v.text("level", q.Level)
	v.text("text", q.Text)
	v.text("since", q.Since)
	v.text("until", q.Until)
	v.flag("follow", q.Follow)
	v.number("limit", q.Limit)
	r := get("v1", "logs")
	r.query = url.Values(v)
	return stream[function.LogLine](ctx, c, r)
}

// stream reads NDJSON. A line {"error": ...} is the node's word for what ended the stream.
func stream[T any](ctx context.Context, c *Client, r request) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.do(ctx, r)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		scanner := bufio.NewScanner(resp.Body)
		scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
		for scanner.Scan() {
			var failed wire.ErrorBody
			if json.Unmarshal(scanner.Bytes(), &failed) == nil && failed.Error.Message != "" {
				yield(none, failed.Error.Fault())
				return
			}
			var v T
			if err := json.Unmarshal(scanner.Bytes(), &v); err != nil {
				yield(none, fmt.Errorf("decode line: %w", err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		err = scanner.Err()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			yield(none, ctx.Err())
		case errors.Is(err, io.ErrUnexpectedEOF):
			yield(none, c.unreachable(errors.New("the connection broke")))
		default:
			yield(none, fmt.Errorf("read stream: %w", err))
		}
	}
}
