package upstream

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxDirectory bounds an answer of a directory, in bytes.
	maxDirectory = 8 << 20
	// maxRefusal bounds what is read of an answer that is not 200, in bytes.
	maxRefusal = 4 << 10
	// directoryTime is how long a directory may take to begin an answer that it has.
	directoryTime = 10 * time.Second
	// directoryWait is how long a directory is asked to wait for something to change.
	directoryWait = time.Minute
)

// directory is a server that knows of others, which is asked over HTTP in JSON.
type directory struct {
	name   string // for people
	url    string
	client *http.Client
}

// newDirectory follows no redirect and takes no proxy: what it sends may have a token in it. secured says how one of https proves who it is; nil = by the
// authorities of the machine.
func newDirectory(name, at string, secured *tls.Config) *directory {
	return &directory{name: name, url: strings.TrimSuffix(at, "/"), client: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: secured, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// refusal is an answer that is not 200.
type refusal struct {
	name   string // of the directory
	status int
	said   string
}

func (r *refusal) Error() string {
	said := strings.ToValidUTF8(r.said[:min(len(r.said), 300)], "")
	return fmt.Sprintf("ask %s: it answered %d %s", r.name, r.status, strings.TrimSpace(said))
}

// request is a question to a directory.
type request struct {
	path   string
	query  url.Values
	header http.Header
	body   any // nil = GET, else what is POSTed as JSON
}

// begin sends a question and gives its answer, of 200, whose body the caller closes.
func (d *directory) begin(ctx context.Context, q request) (*http.Response, error) {
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("encode a question to %s: %w", d.name, err)
		}
		method, body = http.MethodPost, strings.NewReader(string(text))
	}
	at := d.url + q.path
	if q.query != nil {
		at += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, fmt.Errorf("make a question to %s: %w", d.name, err)
	}
	for name, values := range q.header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "dalamb")
	res, err := d.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", d.name, err)
	}
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal)) // the status says enough
		res.Body.Close()
		return nil, &refusal{name: d.name, status: res.StatusCode, said: string(said)}
	}
	return res, nil
}

// ask sends a question and decodes its whole answer, which comes within a time.
func (d *directory) ask(ctx context.Context, q request, within time.Duration, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	res, err := d.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxDirectory+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer of %s: %w", d.name, err)
	case len(text) > maxDirectory:
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", d.name, maxDirectory)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("decode the answer of %s: %w", d.name, err)
	}
	return res.Header, nil
}
