package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// passHeader gives the client the fields of a function's answer. What dalamb has said itself holds: the run, the request's id, what is left of a limit, and, where
// the route has rules for pages of other origins, all about these. Both may name what an answer varies with.
func (x *exchange) passHeader(from http.Header) {
	h := x.Header()
	run, id := h[runHeader], h[requestIDHeader]
	var own http.Header // of policies; most routes have none that say anything
	for name, values := range h {
		if name == limitHeader || name == limitPolicyHeader || x.cors && (name == "Vary" || allowsOrigins(name)) {
			if own == nil {
				own = http.Header{}
			}
			own[name] = values
		}
	}
	passHeader(h, from)
	if run != nil {
		h[runHeader] = run
	}
	if id != nil {
		h[requestIDHeader] = id
	}
	if x.cached != "" {
		tellCache(h, from, x.cached)
	}
	if own == nil {
		return
	}
	for name := range h {
		if x.cors && allowsOrigins(name) {
			delete(h, name)
		}
	}
	vary := slices.Concat(own["Vary"], from["Vary"])
	maps.Copy(h, own)
	if vary != nil {
		h["Vary"] = vary
	}
}

// passHeader copies the fields of a function's answer, but what only dalamb says.
func passHeader(h, from http.Header) {
	copyEndToEnd(h, from)
	delete(h, runHeader)
}

// tellVariance says in the answer which fields of the request it depends on beside those that it names. RFC 9110, section 12.5.5.
func (x *exchange) tellVariance() {
	if x.varies == nil {
		return
	}
	h := x.Header()
	named := strings.ToLower(strings.Join(h["Vary"], ","))
	said := strings.FieldsFunc(named, func(r rune) bool { return r == ',' || r == ' ' })
	vary := slices.Clone(h["Vary"]) // the function's own
	for _, name := range x.varies {
		if !slices.Contains(said, strings.ToLower(name)) && !slices.Contains(said, "*") {
			vary = append(vary, name)
		}
	}
	if vary != nil {
		h["Vary"] = vary
	}
}
