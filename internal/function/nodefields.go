package function

import (
	"net/http"
	"strings"
)

// SaysOrigin says of a field of a request, by its canonical name, whether it is about where the request comes from.
func SaysOrigin(name string) bool {
	return name == "Forwarded" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-")
}

// Dashed is the canonical name of the field that a program behind CGI, WSGI or PHP takes a field for: these make one variable of both spellings.
// RFC 3875, section 4.1.18.
func Dashed(name string) string {
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// OnlyNode says of a field of a request, by its canonical name, whether functions may take it for one that the node alone says.
func OnlyNode(name string) bool {
	name = Dashed(name)
	return SaysOrigin(name) || name == "X-Request-Id" || name == "Traceparent" || strings.HasPrefix(name, "Dalamb-")
}
