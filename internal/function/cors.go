package function

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// CORS says which web pages of other origins may call a route. The Fetch standard, section 3.3.
type CORS struct {
	Origins     []string `json:"origins"` // https://shop.example, https://*.shop.example, or "*" alone
	Headers     []string `json:"headers,omitempty"`
	Expose      []string `json:"expose,omitempty"`
	Credentials bool     `json:"credentials,omitempty"`
	MaxAge      Duration `json:"maxAge,omitempty"` // how long a browser may keep the answer to its question; 0 = as long as it likes
}

// AnyOrigin in CORS.Origins is every page there is.
const AnyOrigin = "*"

func corsValue() value[CORS] {
	words := func() value[[]string] { return list(text[string](), none[string]) }
	return object([]string{"origins"},
		field("origins", "Whose pages may call: https://shop.example, https://*.shop.example, or \"*\" for all.", words(), func(c *CORS) *[]string { return &c.Origins }),
		field("headers", "The request header fields that they may send beside the simple ones, or \"*\".", words(), func(c *CORS) *[]string { return &c.Headers }),
		field("expose", "The fields of the answer that they may read beside the simple ones.", words(), func(c *CORS) *[]string { return &c.Expose }),
		field("credentials", "Whether they may send cookies and passwords; not with origins: [\"*\"]. Default: false.", truth(), func(c *CORS) *bool { return &c.Credentials }),
		field("maxAge", "How long a browser may go without asking again, at most 24h. Default: as long as it likes, usually 5s.", duration(), func(c *CORS) *Duration { return &c.MaxAge }),
	)
}

func (c *checker) cors(at string, r *CORS) {
	if r == nil {
		return
	}
	if len(r.Origins) == 0 {
		c.add(at+".origins", `such as ["https://shop.example"], or ["*"] for all`, "names no origin")
	}
	for i, o := range r.Origins {
		if why := notOrigin(o, len(r.Origins)); why != "" {
			c.add(fmt.Sprintf("%s.origins[%d]", at, i), `such as https://shop.example or https://*.shop.example; "*" stands alone`, "%q %s", clip(o), why)
		}
	}
	if r.Credentials && slices.Contains(r.Origins, AnyOrigin) {
		c.add(at+".credentials", "name the origins", "any page of the internet could act as whoever visits it")
	}
	for name, fields := range map[string][]string{"headers": r.Headers, "expose": r.Expose} {
		for i, f := range fields {
			if !validToken.MatchString(f) || f == AnyOrigin && (name != "headers" || len(fields) > 1) {
				c.add(fmt.Sprintf("%s.%s[%d]", at, name, i), `such as X-Request-Id; "*" stands alone, in headers`, "%q is no name for a header", clip(f))
			}
		}
	}
	between(c.at(at+".maxAge"), r.MaxAge, 0, Duration(24*time.Hour))
}

// notOrigin says what is wrong with one of n origins; "" = nothing. RFC 6454, section 6.1.
func notOrigin(o string, n int) string {
	if o == AnyOrigin {
		if n > 1 {
			return "makes the others needless"
		}
		return ""
	}
	u, err := url.Parse(strings.Replace(o, "//*.", "//any.", 1))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Contains(u.Host, "*"):
		return "is no origin"
	case u.Scheme+"://"+u.Host != strings.Replace(o, "//*.", "//any.", 1) || strings.ToLower(o) != o:
		return "has more than a scheme, a host in small letters and a port"
	}
	return ""
}
