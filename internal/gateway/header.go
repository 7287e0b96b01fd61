package gateway

import (
	"net/http"
	"slices"
)

// passHeader gives the client the fields of a function's answer. What dalamb has said itself holds: the run, what is left of a limit, and, where
// the route has rules for pages of other origins, all about these. Both may name what an answer varies with.
func (x *exchange) passHeader(from http.Header) {
	h := x.Header()
	own := http.Header{}
	for name, values := range h {
		if name == runHeader || name == limitHeader || name == limitPolicyHeader || x.cors && (name == "Vary" || allowsOrigins(name)) {
			own[name] = values
		}
	}
	passHeader(h, from)
	for name := range h {
		if x.cors && allowsOrigins(name) {
			delete(h, name)
		}
	}
	vary := slices.Concat(own["Vary"], from["Vary"])
	for name, values := range own {
		h[name] = values
	}
	if vary != nil {
		h["Vary"] = vary
	}
}

// passHeader copies the fields of a function's answer, but what only dalamb says.
func passHeader(h, from http.Header) {
	copyEndToEnd(h, from)
	delete(h, runHeader)
}
