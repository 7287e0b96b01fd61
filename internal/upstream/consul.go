package upstream

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// directoryPause is the least time between two questions, so that a service which changes all the time costs little.
// Consul, HTTP API, Blocking Queries: "implementations should rate limit".
const directoryPause = 200 * time.Millisecond

// consul are the instances of a service in Consul.
type consul struct {
	*directory
	rule   *function.UpstreamConsul
	scheme function.UpstreamScheme
	secret Secret
}

// consulEntry is an element of GET /v1/health/service/NAME. Consul, HTTP API, Health, "List Service Instances for Service".
type consulEntry struct {
	Node    struct{ Address string }
	Service struct {
		Address string // "" = the node's
		Port    int
		Weights struct{ Passing int }
	}
	Checks []struct{ Name, Status string }
}

// Watch implements Source, by blocking queries.
func (c *consul) Watch(ctx context.Context, take func([]Server)) error {
	for index := uint64(0); ; {
		q := request{path: "/v1/health/service/" + url.PathEscape(c.rule.Service), query: url.Values{"index": {strconv.FormatUint(index, 10)}, "wait": {directoryWait.String()}}, header: http.Header{}}
		if c.rule.Token != "" {
			token, _, err := c.secret(c.rule.Token)
			if err != nil {
				return fmt.Errorf("open the token for %s: %w", c.name, err)
			}
			q.header["X-Consul-Token"] = []string{string(token)}
		}
		var found []consulEntry
		within := directoryTime
		if index > 0 { // the first one is answered at once
			within += directoryWait + directoryWait/16 // it adds up to a sixteenth to the wait
		}
		header, err := c.ask(ctx, q, within, &found)
		if err != nil {
			return err
		}
		list := make([]Server, len(found))
		for i, e := range found {
			list[i] = e.server(c.scheme)
		}
		take(list)
		next, err := strconv.ParseUint(header.Get("X-Consul-Index"), 10, 64)
		if err != nil || next < index {
			next = 0 // it has begun anew
		}
		index = next
		select {
		case <-time.After(directoryPause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (e *consulEntry) server(scheme function.UpstreamScheme) Server {
	s := Server{Scheme: scheme, Address: net.JoinHostPort(cmp.Or(e.Service.Address, e.Node.Address), strconv.Itoa(e.Service.Port)), Weight: e.Service.Weights.Passing}
	for _, check := range e.Checks {
		if check.Status == "critical" || check.Status == "maintenance" {
			s.Unwell = fmt.Sprintf("%s in Consul: %s", check.Status, check.Name)
		}
	}
	return s
}
