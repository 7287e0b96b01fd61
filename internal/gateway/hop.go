package gateway

import (
	"net/http"
	"strings"
)

// hopByHop are the fields that concern one connection only. RFC 9110, section 7.6.1; Proxy-Connection and Keep-Alive are
// what old programs send.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropHopByHop removes them, and those that Connection names.
func dropHopByHop(h http.Header) {
	for _, field := range h["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.Del(name)
			}
		}
	}
	for name := range h {
		if hopByHop(name) {
			delete(h, name)
		}
	}
}

// endHop takes out of a request what concerns the client's connection alone, but for what the function is to decide on: an upgrade.
func endHop(r *http.Request) {
	wanted := upgrade(r)
	dropHopByHop(r.Header)
	if wanted != "" {
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{wanted}
	}
}

// copyEndToEnd copies all other fields. The values are shared.
func copyEndToEnd(to, from http.Header) {
	for name, values := range from {
		if !hopByHop(name) {
			to[name] = values
		}
	}
	for _, field := range from["Connection"] {
		for name := range strings.SplitSeq(field, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" {
				delete(to, name)
			}
		}
	}
}
