package entry

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// Prober is a Conn that can be asked whether its function is well, beside its invocations.
type Prober interface {
	// Probe GETs a path of the function, on a connection of its own; a status from 200 to 399 is well. It blocks until the answer or ctx ends.
	Probe(ctx context.Context, path string) error
}

// Probe implements Prober.
func (c *httpConn) Probe(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.start.Version.Function()+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	once := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.box.Dial(ctx) },
	}
	resp, err := once.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("GET %s was not answered in time", path)
		}
		return fmt.Errorf("GET %s: %w", path, err)
	}
	resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s answered %d", path, resp.StatusCode)
	}
	return nil
}
