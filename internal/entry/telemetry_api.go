package entry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/dalamb/dalamb/internal/runner"
)

// subscribing is a subscription as an extension asks for it.
type subscribing struct {
	Schema      string `json:"schemaVersion"`
	Destination struct {
		Protocol string `json:"protocol"`
		URI      string `json:"URI"`
		Port     int    `json:"port"`
	} `json:"destination"`
	Types     []kind     `json:"types"`
	Buffering *buffering `json:"buffering"`
}

// dialect is one of the two APIs: the older one differs in its records.
type dialect struct {
	path    string
	old     bool
	word    string // of platform records
	schemas []string
}

var errNoTelemetry = &apiError{http.StatusAccepted, "Telemetry.NotSupported", "Telemetry API is not supported by this runner"}

func dialects() []dialect {
	return []dialect{
		{"/2022-07-01/telemetry", false, "telemetry", []string{"2022-07-01", "2022-12-13", "2025-01-29"}},
		{"/2020-08-15/logs", true, "logs", []string{"", "2020-08-15", "2021-03-18"}},
	}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}

// check says what is wrong with a subscription, and fills in what it leaves open.
func (d *dialect) check(s *subscribing) (port int, refused *apiError) {
	if !slices.Contains(d.schemas, s.Schema) {
		return 0, invalid("schemaVersion %.32q is none of %q", s.Schema, d.schemas)
	}
	if len(s.Types) == 0 {
		return 0, invalid("types is empty: name some of platform, function and extension")
	}
	for _, k := range s.Types {
		if k != kindPlatform && k != kindFunction && k != kindExtension {
			return 0, invalid("type %.32q is none of platform, function and extension", k)
		}
	}
	if s.Buffering == nil {
		s.Buffering = &buffering{}
	}
	for _, field := range []struct {
		name               string
		n                  *int
		least, usual, most int
	}{
		{"maxItems", &s.Buffering.Items, 1000, 10_000, 10_000},
		{"maxBytes", &s.Buffering.Bytes, 256 << 10, 256 << 10, 1 << 20},
		{"timeoutMs", &s.Buffering.Timeout, 25, 1000, 30_000},
	} {
		if *field.n == 0 {
			*field.n = field.usual
		}
		if *field.n < field.least || *field.n > field.most {
			return 0, invalid("buffering.%s %d is not from %d to %d", field.name, *field.n, field.least, field.most)
		}
	}
	return s.port()
}

// port is where the extension listens, on the sandbox's own loopback.
func (s *subscribing) port() (int, *apiError) {
	port := s.Destination.Port
	switch s.Destination.Protocol {
	case "TCP":
	case "HTTP":
		u, err := url.Parse(s.Destination.URI)
		if err != nil || u.Scheme != "http" || u.Hostname() != "sandbox.localdomain" && u.Hostname() != "sandbox" {
			return 0, invalid("destination.URI %.128q is not one of http://sandbox.localdomain:PORT", s.Destination.URI)
		}
		port = 80
		if u.Port() != "" {
			port, _ = strconv.Atoi(u.Port()) // what is no number is out of range below
		}
	default:
		return 0, invalid("destination.protocol %.32q is neither HTTP nor TCP", s.Destination.Protocol)
	}
	if port < 1 || port > 65535 || port == listenPort {
		return 0, invalid("port %d of the destination is not one that an extension can listen on", port)
	}
	return port, nil
}

// subscribe answers a request of the Telemetry or the Logs API.
func (c *apiConn) subscribe(req *http.Request, d *dialect) bool {
	if req.Method != http.MethodPut {
		return c.refuse(req, errNoSuchMethod)
	}
	e, refused := c.identify(req)
	if refused != nil {
		return c.refuse(req, refused)
	}
	var asked subscribing
	if err := c.small(req, &asked); err != nil {
		return c.refuse(req, invalid("the request is not a subscription: %v", err))
	}
	port, refused := d.check(&asked)
	if refused != nil {
		return c.refuse(req, refused)
	}
	dialer, ok := c.api.conn.box.(runner.PortDialer)
	if !ok {
		return c.refuse(req, errNoTelemetry)
	}
	if !c.api.conn.subscribe(e, d, &asked, func(ctx context.Context) (net.Conn, error) { return dialer.DialPort(ctx, port) }) {
		return c.refuse(req, forbidden("Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already"))
	}
	if !discard(req.Body) {
		return false
	}
	return c.answer(http.StatusOK, []byte("\"OK\"\n"))
}

func (c *lambdaConn) subscribe(e *extension, d *dialect, asked *subscribing, dial func(context.Context) (net.Conn, error)) bool {
	ctx, cancel := context.WithCancel(context.Background()) // ended with the sandbox
	s := &subscription{
		owner: e.id, old: d.old, kinds: make(map[kind]bool), limits: *asked.Buffering,
		done: ctx.Done(), end: cancel, changed: make(chan struct{}, 1), empty: make(chan struct{}),
		dropped: func(n, size int) []byte {
			return encodeDropped(c.entries.Now(), n, size)
		},
	}
	for _, k := range asked.Types {
		s.kinds[k] = true
	}
	s.deliver = byTCP(dial)
	if asked.Destination.Protocol == "HTTP" {
		s.deliver = byHTTP(asked.Destination.URI, dial)
	}
	if !c.tele.subscribe(s) {
		cancel()
		return false
	}
	c.sending.Go(func() { s.run(ctx) })
	c.tele.platform(d.word+"Subscription", subscriptionRecord{Name: e.name, State: "Subscribed", Types: asked.Types})
	return true
}
