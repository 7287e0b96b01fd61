package function

import (
	"net/http"
	"regexp"
)

// Sticky names what of a request decides which version takes it while the alias has several; without it each request may meet another.
type Sticky struct {
	Cookie string `json:"cookie,omitempty"`
	Header string `json:"header,omitempty"`
}

// Key is what a request has there; "" = nothing.
func (s *Sticky) Key(r *http.Request) string {
	switch {
	case s == nil:
		return ""
	case s.Header != "":
		return r.Header.Get(s.Header)
	}
	c, err := r.Cookie(s.Cookie)
	if err != nil {
		return "" // there is none
	}
	return c.Value
}

// validToken is a name of a header or a cookie. RFC 9110, section 5.6.2.
var validToken = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$")

func stickyValue() value[Sticky] {
	return object(nil,
		field("cookie", "The name of a cookie.", text[string](), func(s *Sticky) *string { return &s.Cookie }),
		field("header", "The name of a header.", text[string](), func(s *Sticky) *string { return &s.Header }),
	)
}

func (c *checker) sticky(at string, s *Sticky) {
	switch {
	case s == nil:
	case (s.Cookie == "") == (s.Header == ""):
		c.add(at, "write {cookie: NAME} or {header: NAME}", "names not exactly one of a cookie and a header")
	case s.Cookie != "" && !validToken.MatchString(s.Cookie):
		c.add(at+".cookie", "letters, digits, dashes and underscores", "%q is no name for a cookie", clip(s.Cookie))
	case s.Header != "" && !validToken.MatchString(s.Header):
		c.add(at+".header", "letters, digits and dashes", "%q is no name for a header", clip(s.Header))
	}
}
