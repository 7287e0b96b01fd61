package gateway

import (
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// requestIDHeader names a request on its way through several services. It is the client's where that gave a good one.
const requestIDHeader = "X-Request-Id"

// maxRequestID bounds it, in bytes.
const maxRequestID = 128

// locate gives a request the address of its client, and the scheme and host that this has asked for, as proxies that are trusted say. What
// anybody says of that is taken out: a function is told by the node alone. Behind it RemoteAddr, URL.Scheme and Host are true.
func (g *Gateway) locate(r *http.Request) {
	o := g.live.Load().proxies.Of(r)
	for name := range r.Header {
		if function.SaysOrigin(name) || pretends(name) {
			delete(r.Header, name)
		}
	}
	if o.Client.IsValid() {
		r.RemoteAddr = o.RemoteAddr()
	}
	r.URL.Scheme = "http"
	if r.TLS != nil {
		r.URL.Scheme = "https"
	}
	if o.Scheme != "" {
		r.URL.Scheme = o.Scheme
	}
	if o.Host != "" {
		r.Host = o.Host
	}
}

// pretends says of a field whether it is one of the node's own, but for an underscore: a program that takes both for one would believe the client.
func pretends(name string) bool { return strings.Contains(name, "_") && function.OnlyNode(name) }

// identify gives a request its id, and tells the client.
func (x *exchange) identify(r *http.Request) {
	id := r.Header[requestIDHeader]
	if len(id) != 1 || !validRequestID(id[0]) {
		id = []string{event.NewID()}
		r.Header[requestIDHeader] = id
	}
	x.Header()[requestIDHeader] = id
}

// validRequestID takes what stands in logs and URLs without quotes.
func validRequestID(s string) bool {
	return s != "" && len(s) <= maxRequestID && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:/+=@~", c)
	})
}
