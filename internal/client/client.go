// Package client is the Go client of the control API. Errors come back as *fault.Error, as the node made them. It does not
// retry, and knows no files: where the node is and what the token is, its caller finds out.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxError bounds what is read of an answer that is an error.
const maxError = 64 << 10

// Options of New.
type Options struct {
	Address string // of the control listener: host:port or http://host:port
	Gateway string // likewise of the gateway, for a client that sends events alone; "" = the control listener is asked for it
	Token   string
	// TokenHint is for a person whose token the node refuses: from where it was taken. "" = the node's own hint, which speaks of a header.
	TokenHint string
	HTTP      *http.Client // nil = a client without a time-out: streams follow for as long as the caller wants
}

// Client calls one node. Safe for concurrent use.
type Client struct {
	base      string
	send      string // the gateway; "" = not known
	token     string
	tokenHint string
	http      *http.Client
}

// Address is the URL of the node and the token that the client shows: for its registry, which other clients speak to.
func (c *Client) Address() (url, token string) { return c.base, c.token }

// Transport is the client's way to the node; nil = Go's own.
func (c *Client) Transport() http.RoundTripper { return c.http.Transport }

// New checks the options; it calls nobody.
func New(o Options) (*Client, error) {
	base, err := listener(cmp.Or(o.Address, o.Gateway))
	if err != nil {
		return nil, err
	}
	send := ""
	if o.Gateway != "" {
		if send, err = GatewayURL(o.Gateway); err != nil {
			return nil, err
		}
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	return &Client{base: base, send: send, token: o.Token, tokenHint: o.TokenHint, http: o.HTTP}, nil
}

// listener is the URL of one, without a slash at its end.
func listener(of string) (string, error) {
	base := of
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fault.New(fault.Invalid, "%q is not the address of a node", of).WithHint("give host:port or http://host:port")
	}
	return strings.TrimRight(base, "/"), nil
}

// GatewayURL is the URL of a gateway that a person has named by host:port or a URL. Invalid for one with more in it than where that is: a token
// would go to a path, or beside a user's name, of which nobody knows whose they are.
func GatewayURL(of string) (string, error) {
	base, err := listener(of)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(base)
	if err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return "", fault.New(fault.Invalid, "the URL of a gateway has no user, path or query").WithHint("give host:port or http://host:port")
	}
	return strings.ToLower(base), nil // a scheme and a host: case does not count
}

// request is one call.
type request struct {
	method string
	path   []string // segments; escaped here
	query  url.Values
	body   any         // sent as JSON; an io.Reader is sent as it is
	header http.Header // beside those that every call has
}

// do returns an answer whose status is below 400; the caller closes its body.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	address := c.base
	for _, s := range r.path {
		if s == "" || s == "." || s == ".." { // it would be another path
			return nil, fault.New(fault.Invalid, "%q is no name", s).WithHint("name what is meant; a variable of the shell may be empty")
		}
		address += "/" + url.PathEscape(s)
	}
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var body io.Reader
	contentType := "application/json"
	switch b := r.body.(type) {
	case nil:
	case io.Reader:
		body, contentType = b, "application/octet-stream"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return nil, fault.New(fault.Invalid, "what was given is no JSON: %w", err).WithHint("quote it in the shell: '{\"type\":[\"order.created\"]}'")
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	err = errorOf(resp)
	if c.tokenHint != "" && refusesToken(resp) {
		err = fault.New(fault.Unauthenticated, "%w", err).WithHint("%s", c.tokenHint)
	}
	return nil, err
}

func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var cause *url.Error
	if errors.As(err, &cause) {
		err = cause.Err // without the method and the whole address
	}
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.New(fault.Unavailable, "the node at %s is not believed: %w", c.base, wrong.Err).
			WithHint("name its authority with --ca FILE or DALAMB_CA; `dalamb tls init` has made it where the node's certificate is from there (ca.pem)")
	}
	silent := fault.New(fault.Unavailable, "the node at %s does not answer: %w", c.base, err)
	if c.send != "" {
		return silent.WithHint("is it running, and is that the URL of its gateway? --gateway has said so; `dalamb node` tells it where the control listener is in reach")
	}
	return silent.WithHint("is it running? start it with dalamb up, or say where it is with DALAMB_CONTROL")
}

// refusesToken says whether the token is what the node refuses, and not, say, that of another registry.
func refusesToken(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") == wire.TokenChallenge
}

// errorOf reads what the node said; what is not from a node, as from a proxy, is told by its status.
func errorOf(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	var body wire.ErrorBody
	if err := json.Unmarshal(b, &body); err == nil && body.Error.Message != "" {
		return body.Error.Fault()
	}
	if refusesToken(resp) { // the answer to a HEAD has no body
		return fault.New(fault.Unauthenticated, "the token is missing or wrong")
	}
	f := fault.New(wire.KindOf(resp.StatusCode), "the node answered %s", resp.Status)
	if strings.Contains(string(b), "HTTP request to an HTTPS server") { // net/http's own words
		return f.WithHint("it speaks TLS: its address begins with https://")
	}
	return f
}

// call sends r and decodes the answer into out; nil = there is none.
func (c *Client) call(ctx context.Context, r request, out any) error {
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("decode answer of %s /%s: %w", r.method, strings.Join(r.path, "/"), err)
	}
	return nil
}
