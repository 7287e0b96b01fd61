package gateway

import (
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// errClimbs is the answer to a path that would lead elsewhere than the route says.
var errClimbs = fault.New(fault.Invalid, "the path has a part that leads elsewhere: an encoded . or .., or a slash at its beginning").WithHint("send the path in its clean form")

// redirect answers a request with the place to go to.
func redirect(rule *function.Redirect) handler {
	status := rule.Status
	if status == 0 {
		status = function.DefaultRedirect
	}
	return func(x *exchange, c *Call) error {
		to, ok := function.Fill(rule.To, c.Request.PathValue)
		if !ok {
			return errClimbs
		}
		if q := c.Request.URL.RawQuery; q != "" && !strings.ContainsAny(rule.To, "?#") {
			to += "?" + q
		}
		x.Header().Set("Location", to)
		x.WriteHeader(status)
		return nil
	}
}

// rewriting gives the function another path or host than the client's. The record has what the client wrote.
func rewriting(rule *function.Rewrite) policy {
	return func(x *exchange, c *Call, next handler) error {
		r := c.Request
		if rule.Path != "" || rule.StripPrefix != "" {
			inner := *r.URL
			ok, err := true, error(nil)
			if rule.Path != "" {
				inner.RawPath, ok = function.Fill(rule.Path, r.PathValue)
			} else {
				inner.RawPath = stripped(r.URL.EscapedPath(), rule.StripPrefix)
			}
			if !ok {
				return errClimbs
			}
			if inner.Path, err = url.PathUnescape(inner.RawPath); err != nil {
				return fault.New(fault.Invalid, "the path is malformed: %w", err)
			}
			if c.URL == nil {
				c.URL = r.URL
			}
			r.URL, r.RequestURI = &inner, inner.RequestURI()
		}
		if rule.Host != "" {
			r.Host = rule.Host
		}
		return next(x, c)
	}
}

// stripped takes as many segments off a path as a prefix has, however the client has encoded them: the route's path begins with them.
func stripped(escaped, prefix string) string {
	for range strings.Count(prefix, "/") {
		i := strings.IndexByte(escaped[1:], '/')
		if i < 0 {
			return "/"
		}
		escaped = escaped[1+i:]
	}
	return escaped
}
