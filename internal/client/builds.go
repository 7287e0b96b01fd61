package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dalamb/dalamb/internal/wire"
)

// Build streams what a build says; the last one is what it made. Its source was put before. It ends as Events does.
func (c *Client) Build(ctx context.Context, b wire.BuildRequest) iter.Seq2[wire.BuildProgress, error] {
	return stream[wire.BuildProgress](ctx, c, request{method: http.MethodPost, path: []string{"v1", "builds"}, body: b})
}

// BuildLog returns what a build said. The caller closes it.
func (c *Client) BuildLog(ctx context.Context, id string) (io.ReadCloser, error) {
	return c.text(ctx, get("v1", "builds", id, "log"))
}

// VersionLog returns what the build of a version said; 0 = the live one. The caller closes it.
func (c *Client) VersionLog(ctx context.Context, function string, version int) (io.ReadCloser, error) {
	r := get("v1", "functions", function, "build-log")
	if version != 0 {
		r.query = url.Values{"version": {strconv.Itoa(version)}}
	}
	return c.text(ctx, r)
}

func (c *Client) text(ctx context.Context, r request) (io.ReadCloser, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
