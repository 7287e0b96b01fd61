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
	"strings"

	"github.com/dalamb/dalamb/internal/wire"
)

// Watched is one thing that has changed.
type Watched struct {
	wire.Watched
	Position string `json:"position,omitempty"` // to go on from; "" where more of the same moment follows
	Reset    bool   `json:"reset,omitempty"`    // nothing has changed: what was told before is to be forgotten, all follows anew
}

// Watch streams what changes, or what has changed since a position, "" = all that there is, until the caller stops or ctx is done. kind "" is every kind.
// It ends without an error when the node stops: whoever goes on asks again from the last position.
func (c *Client) Watch(ctx context.Context, kind, since string) iter.Seq2[Watched, error] {
	v := values{}
	v.text("kind", kind)
	v.text("since", since)
	r := get("v1", "watch")
	r.query = url.Values(v)
	return func(yield func(Watched, error) bool) {
		resp, err := c.do(ctx, r)
		if err != nil {
			yield(Watched{}, err)
			return
		}
		defer resp.Body.Close()
		for w, err := range readWatched(resp.Body) {
			switch {
			case err == nil:
			case ctx.Err() != nil:
				err = ctx.Err()
			case errors.Is(err, io.ErrUnexpectedEOF):
				err = c.unreachable(errors.New("the connection broke"))
			}
			if !yield(w, err) {
				return
			}
		}
	}
}

// readWatched reads server-sent events as a node writes them: a field a line, a space behind its colon. HTML Living Standard, section 9.2.5
func readWatched(r io.Reader) iter.Seq2[Watched, error] {
	return func(yield func(Watched, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), maxLine)
		var w Watched
		told := false
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "id":
				w.Position = value
			case "event":
				w.Reset, told = value == "reset", true
			case "data":
				if err := json.Unmarshal([]byte(value), &w.Watched); err != nil {
					yield(Watched{}, fmt.Errorf("decode what has changed: %w", err))
					return
				}
			case "":
				if value != "" || !told { // a comment, or the end of one
					continue
				}
				if !yield(w, nil) {
					return
				}
				w, told = Watched{}, false
			}
		}
		if err := lines.Err(); err != nil {
			yield(Watched{}, fmt.Errorf("read what changes: %w", err))
		}
	}
}
