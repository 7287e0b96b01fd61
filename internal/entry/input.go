package entry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/forwarded"
	"github.com/dalamb/dalamb/internal/function"
)

// KeepBody reads the body of an invocation's request into memory, once: further calls give the same bytes, because an
// invocation that was not delivered goes to another instance. Called ahead of Invoke, no instance waits for a slow client.
// The error is TooLarge past an http.MaxBytesReader's limit, else Invalid: the client broke off.
func KeepBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if in, ok := r.Body.(inMemory); ok {
		return in.All(), nil
	}
	if up, ok := r.Body.(function.Upload); ok {
		b, err := up.Gather()
		if err == nil {
			r.Body, r.ContentLength = &keptBody{Reader: bytes.NewReader(b), all: b}, int64(len(b))
		}
		return b, err
	}
	b, err := io.ReadAll(r.Body)
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return nil, fault.New(fault.TooLarge, "the request's body is larger than the limit of %d bytes", limit.Limit)
	case err != nil:
		return nil, fault.New(fault.Invalid, "read request body: %w", err)
	}
	r.Body = &keptBody{Reader: bytes.NewReader(b), all: b}
	return b, nil
}

type keptBody struct {
	*bytes.Reader
	all []byte
}

func (k *keptBody) All() []byte { return k.all }

func (*keptBody) Close() error { return nil }

// inMemory is a body that somebody has read already. All gives its bytes, however often.
type inMemory interface{ All() []byte }

// document is what lambda and stdio functions get for anything but a request: a JSON text.
func document(inv *function.Invocation) ([]byte, error) {
	if inv.Event == nil {
		return inv.Payload, nil
	}
	b, err := inv.Event.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", inv.Event.ID, err)
	}
	return b, nil
}

// hopByHop are the fields that concern one connection only. RFC 9110, section 7.6.1; Proxy-Connection is what old clients send.
var hopByHop = [...]string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// dropHopByHop removes them, and those that Connection names.
func dropHopByHop(h http.Header) {
	for _, field := range h["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// forward copies the fields of a request as a proxy passes them on: with the client's address, the host that it asked
// for and the scheme, in both ways of saying so. What was there of these is somebody's word: the function has to believe only one.
func forward(r *http.Request) http.Header {
	h := r.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	dropHopByHop(h)
	proto, ip := scheme(r), clientIP(r)
	h.Set("X-Forwarded-For", ip)
	h.Set("X-Forwarded-Host", r.Host)
	h.Set("X-Forwarded-Proto", proto)
	h.Set("Forwarded", forwarded.Written(ip, r.Host, proto))
	return h
}

func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// scheme is the client's, which the gateway has put into the URL, else that of the connection.
func scheme(r *http.Request) string {
	switch {
	case r.URL.Scheme != "":
		return r.URL.Scheme
	case r.TLS != nil:
		return "https"
	}
	return "http"
}
