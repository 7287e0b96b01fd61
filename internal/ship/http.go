package ship

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// HTTPOptions of NewHTTP and NewOTLP. URL is required.
type HTTPOptions struct {
	URL    string
	Header string                 // with Value; "" = none
	Value  func() (string, error) // asked for each request, so that a new one counts at once; nil = none
	TLS    *tls.Config
}

// HTTP is a sink that takes batches by POST, one object of JSON a line.
type HTTP struct {
	o      HTTPOptions
	client *http.Client
}

// NewHTTP asks nobody yet.
func NewHTTP(o HTTPOptions) *HTTP {
	return &HTTP{o: o, client: &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: dialPatience}).DialContext, TLSClientConfig: o.TLS, TLSHandshakeTimeout: dialPatience,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the header is for nobody else
	}}
}

const (
	maxAnswer = 64 << 10
	maxAgain  = 10 * time.Minute
)

// Send posts one batch.
func (h *HTTP) Send(ctx context.Context, lines []Line) error {
	b, err := toJSON(lines)
	if err != nil {
		return err
	}
	_, err = h.post(ctx, "application/x-ndjson", b)
	return err
}

// post returns the answer where it is a success.
func (h *HTTP) post(ctx context.Context, mediaType string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("User-Agent", "dalamb")
	if h.o.Value != nil {
		value, err := h.o.Value()
		if err != nil {
			return nil, fault.New(fault.Unavailable, "the value of the header %s cannot be had: %w", h.o.Header, err)
		}
		r.Header.Set(h.o.Header, value)
	}
	res, err := h.client.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without what the URL may have in it
		}
		return nil, fault.New(fault.Unavailable, "%s does not answer: %w", r.URL.Host, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch s := res.StatusCode; {
	case s >= 200 && s < 300 && err == nil:
		return answer, nil
	case s >= 200 && s < 300:
		return nil, fault.New(fault.Unavailable, "%s broke off its answer: %w", r.URL.Host, err)
	case s == http.StatusBadRequest, s == http.StatusRequestEntityTooLarge, s == http.StatusUnprocessableEntity:
		return nil, fault.New(fault.Invalid, "%s answers %d", r.URL.Host, s)
	default: // what else it says may change: it is busy, or somebody mends a token or an address
		said := busy{err: fault.New(fault.Unavailable, "%s answers %d", r.URL.Host, s)}
		if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
			said.again = min(time.Duration(min(seconds, 1<<20))*time.Second, maxAgain)
		}
		return nil, said
	}
}

// Check connects once.
func (h *HTTP) Check(ctx context.Context) error {
	u, err := url.Parse(h.o.URL)
	if err != nil {
		return err
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	var conn net.Conn
	d := &net.Dialer{Timeout: dialPatience}
	if u.Scheme == "https" {
		conn, err = (&tls.Dialer{NetDialer: d, Config: h.o.TLS}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = d.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return err
	}
	return conn.Close()
}

// Close gives idle connections back.
func (h *HTTP) Close() error {
	h.client.CloseIdleConnections()
	return nil
}
