package gateway

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// redactedValue stands for a value that may be a secret.
const redactedValue = "[redacted]"

// redactor knows which values do not go into the record.
type redactor struct{ headers map[string]bool }

func newRedactor(more []string) *redactor {
	r := &redactor{headers: map[string]bool{}}
	for _, name := range slices.Concat([]string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}, more) {
		r.headers[http.CanonicalHeaderKey(name)] = true
	}
	return r
}

// names are the fields whose values may be secrets, in order.
func (r *redactor) names() []string { return slices.Sorted(maps.Keys(r.headers)) }

// header returns a copy whose secret-bearing values are replaced.
func (r *redactor) header(h http.Header) map[string][]string {
	if len(h) == 0 {
		return nil
	}
	out := make(map[string][]string, len(h))
	for name, values := range h {
		if r.headers[name] {
			values = []string{redactedValue}
		}
		out[name] = values
	}
	return out
}

// without returns a copy that lacks the secret-bearing fields: those of a request that the log keeps for the function itself.
func (r *redactor) without(h http.Header) http.Header {
	out := h.Clone()
	for name := range r.headers {
		delete(out, name)
	}
	return out
}

// secretParameter says whether a query parameter carries a secret by its name: tokens and signatures as OAuth 2.0
// (RFC 6750, section 2.3), AWS (Signature Version 4) and many webhooks put them there.
func secretParameter(name string) bool {
	switch strings.ToLower(name) {
	case "token", "access_token", "id_token", "refresh_token", "auth", "api_key", "apikey", "api-key", "x-api-key",
		"secret", "client_secret", "password", "passwd", "sig", "signature", "hmac", "jwt",
		"x-amz-signature", "x-amz-security-token", "x-amz-credential":
		return true
	}
	return false
}

// path is the path and query of a URL; the query keeps its order and its form. A semicolon separates too: some programs
// still read it so.
func (r *redactor) path(u *url.URL) string {
	p := u.EscapedPath()
	if u.RawQuery == "" {
		return p
	}
	var b strings.Builder
	b.WriteString(p)
	b.WriteByte('?')
	for rest := u.RawQuery; rest != ""; {
		end := strings.IndexAny(rest, "&;")
		if end < 0 {
			end = len(rest)
		}
		pair := rest[:end]
		name, _, has := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if has && (err != nil || secretParameter(plain)) {
			pair = name + "=" + redactedValue
		}
		b.WriteString(pair)
		if rest = rest[end:]; rest != "" {
			b.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	return b.String()
}
