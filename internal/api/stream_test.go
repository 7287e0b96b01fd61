package api

import (
	"bufio"
	"context"
	"net/http"
)

// streamed is an open answer, read line by line.
type streamed struct {
	n    *node
	resp *http.Response
	in   *bufio.Reader
}

// open sends a GET and returns when the headers are here.
func (n *node) open(ctx context.Context, path string) *streamed {
	n.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", n.url+path, nil)
	ok(n, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	ok(n, err)
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != ndjson {
		n.Fatalf("GET %s = %d %q, want a stream", path, resp.StatusCode, got)
	}
	return &streamed{n, resp, bufio.NewReader(resp.Body)}
}

func (s *streamed) line() string {
	s.n.Helper()
	line, err := s.in.ReadString('\n')
	ok(s.n, err)
	return line
}

func (s *streamed) end() { s.resp.Body.Close() }
