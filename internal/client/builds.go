package client

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Build streams what a build says; the last one is what it made. Its source was put before. It ends as Events does.
func (c *Client) Build(ctx context.Context, b wire.BuildRequest) iter.Seq2[wire.BuildProgress, error] {
	return stream[wire.BuildProgress](ctx, c, request{method: http.MethodPost, path: []string{"v1", "builds"}, body: b})
}

// BuildAll is Build, with all that the build says given to say, line by line; it returns what it made.
func (c *Client) BuildAll(ctx context.Context, b wire.BuildRequest, say func(line string)) (made wire.BuildProgress, err error) {
	for said, err := range c.Build(ctx, b) {
		switch {
		case err != nil:
			return made, err
		case said.Built != nil:
			made = said
		default:
			say(said.Line)
		}
	}
	if made.Built == nil {
		return made, fault.New(fault.Unavailable, "the node's answer ended before the build did").WithHint("do it again")
	}
	return made, nil
}

// BuildQuery says which builds are wanted.
type BuildQuery struct {
	Function string // "" = of all
	Outcome  string // "" = of any
	Limit    int    // 0 = as the node has it
}

// Builds lists builds, the newest first.
func (c *Client) Builds(ctx context.Context, q BuildQuery) (out wire.BuildList, err error) {
	r := get("v1", "builds")
	r.query = url.Values{}
	for name, value := range map[string]string{"function": q.Function, "outcome": q.Outcome} {
		if value != "" {
			r.query.Set(name, value)
		}
	}
	if q.Limit != 0 {
		r.query.Set("limit", strconv.Itoa(q.Limit))
	}
	return out, c.call(ctx, r, &out)
}

// OneBuild returns a build by its id.
func (c *Client) OneBuild(ctx context.Context, id string) (out wire.Build, err error) {
	return out, c.call(ctx, get("v1", "builds", id), &out)
}

// VersionBuild returns the build of a version; 0 = the live one.
func (c *Client) VersionBuild(ctx context.Context, function string, version int) (out wire.Build, err error) {
	return out, c.call(ctx, ofVersion(function, version, "build"), &out)
}

// BuildLog returns what a build said. The caller closes it.
func (c *Client) BuildLog(ctx context.Context, id string) (io.ReadCloser, error) {
	return c.text(ctx, get("v1", "builds", id, "log"))
}

// VersionLog returns what the build of a version said; 0 = the live one. The caller closes it.
func (c *Client) VersionLog(ctx context.Context, function string, version int) (io.ReadCloser, error) {
	return c.text(ctx, ofVersion(function, version, "build-log"))
}

// Provenance returns what was signed of the build of a version; 0 = the live one.
func (c *Client) Provenance(ctx context.Context, function string, version int) (out json.RawMessage, err error) {
	return out, c.call(ctx, ofVersion(function, version, "provenance"), &out)
}

// BuildKey returns the public key that the node signs builds with.
func (c *Client) BuildKey(ctx context.Context) (out wire.BuildKey, err error) {
	return out, c.call(ctx, get("v1", "build-key"), &out)
}

// ofVersion asks for something of a version of a function; 0 = the live one.
func ofVersion(function string, version int, what string) request {
	r := get("v1", "functions", function, what)
	if version != 0 {
		r.query = url.Values{"version": {strconv.Itoa(version)}}
	}
	return r
}

func (c *Client) text(ctx context.Context, r request) (io.ReadCloser, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
