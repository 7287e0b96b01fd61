package function

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Redirect sends a client elsewhere, without the function.
type Redirect struct {
	To     string `json:"to"`               // an URL, or a path of the same host; {name} and {name...} are those of the route's path
	Status int    `json:"status,omitempty"` // 0 = DefaultRedirect
}

// DefaultRedirect keeps the method, and is not kept by browsers. RFC 9110, section 15.4.8.
const DefaultRedirect = 307

func redirectStatuses() []int { return []int{301, 302, 303, 307, 308} }

// Rewrite gives the function another request than the client has sent.
type Rewrite struct {
	Path        string `json:"path,omitempty"`        // with {name} and {name...} of the route's path
	StripPrefix string `json:"stripPrefix,omitempty"` // instead of Path: what is taken off
	Host        string `json:"host,omitempty"`
}

// BodyLimit bounds the bodies of a route's requests.
type BodyLimit struct {
	Max Bytes `json:"max"`
}

func redirectValue() value[Redirect] {
	return object([]string{"to"},
		field("to", "A URL, or a path on the same host. {name} and {name...} of the route's path may stand in its path. The query goes with it, where this has none.", text[string](), func(r *Redirect) *string { return &r.To }),
		field("status", "301, 302, 303, 307 or 308. Default: 307.", whole(), func(r *Redirect) *int { return &r.Status }),
	)
}

func rewriteValue() value[Rewrite] {
	return object(nil,
		field("path", "The path that the function sees, with {name} and {name...} of the route's path. Default: as the client wrote it.", text[string](), func(r *Rewrite) *string { return &r.Path }),
		field("stripPrefix", "What is taken off the beginning of the path, instead of path: /api of /api/orders.", text[string](), func(r *Rewrite) *string { return &r.StripPrefix }),
		field("host", "The host that the function sees. Default: as the client wrote it.", text[string](), func(r *Rewrite) *string { return &r.Host }),
	)
}

// placeholder is {name} or {name...} in a path.
var placeholder = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}`)

// Fill puts values in the place of {name} and {name...}: of the first whole, so that a slash in it is no border of segments, of the second by
// segment. false = a value would lead to another place than the path says: by a segment that climbs, or, at the beginning, to another host.
func Fill(path string, of func(name string) string) (filled string, ok bool) {
	ok = true
	filled = placeholder.ReplaceAllStringFunc(path, func(found string) string {
		name := strings.Trim(found, "{.}")
		segments := []string{of(name)}
		if strings.HasSuffix(found, "...}") {
			segments = strings.Split(segments[0], "/")
		}
		for i, s := range segments {
			ok = ok && s != "." && s != ".." && (s != "" || i > 0 || len(segments) == 1)
			segments[i] = url.PathEscape(s)
		}
		return strings.Join(segments, "/")
	})
	return filled, ok
}

func (c *checker) redirect(at string, r *Route) {
	to := r.Redirect
	if to == nil {
		return
	}
	if to.Status != 0 && !slices.Contains(redirectStatuses(), to.Status) {
		c.add(at+".status", "301, 302, 303, 307 or 308", "%d sends nobody elsewhere", to.Status)
	}
	u, err := url.Parse(placeholder.ReplaceAllString(to.To, "x"))
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(to.To, "https://"), "http://"), "/")
	switch {
	case to.To == "":
		c.add(at+".to", "such as https://shop.example/{path...} or /new", "is required")
	case err != nil || u.Scheme == "" && (u.Host != "" || !strings.HasPrefix(u.Path, "/")) || u.Scheme != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil):
		c.add(at+".to", "such as https://shop.example/{path...} or /new", "%q is neither a URL of http or https nor a path", clip(to.To))
	case u.Scheme != "" && strings.Contains(host, "{"):
		c.add(at+".to", "{name} stands in the path alone", "a client could choose the host")
	case placeholder.MatchString(u.RawQuery + u.Fragment), strings.ContainsAny(afterPath(to.To), "{}"):
		c.add(at+".to", "{name} stands in the path alone", "the query of a redirect is as it is written")
	}
	c.placeholders(at+".to", to.To, r.Path)
	if r.Rewrite != nil {
		c.add(at, "remove one of both", "no function sees what rewrite makes of the request")
	}
}

// afterPath is the query and the fragment of a URL as it is written.
func afterPath(to string) string {
	if i := strings.IndexAny(to, "?#"); i >= 0 {
		return to[i:]
	}
	return ""
}

func (c *checker) rewrite(at string, r *Route) {
	w := r.Rewrite
	if w == nil {
		return
	}
	switch {
	case *w == (Rewrite{}):
		c.add(at, "write path, stripPrefix or host", "changes nothing")
	case w.Path != "" && w.StripPrefix != "":
		c.add(at, "write path or stripPrefix", "says twice what becomes of the path")
	case w.Path != "" && (w.Path[0] != '/' || strings.HasPrefix(w.Path, "//") || strings.ContainsAny(w.Path, "?#")):
		c.add(at+".path", "such as /v2/{id}", "%q is no path", clip(w.Path))
	case w.StripPrefix != "" && (w.StripPrefix[0] != '/' || strings.HasSuffix(w.StripPrefix, "/") || !strings.HasPrefix(r.Path+"/", w.StripPrefix+"/")):
		c.add(at+".stripPrefix", "such as /api for a route whose path is /api/{path...}", "the route's path does not begin with %q", clip(w.StripPrefix))
	case strings.Contains(w.StripPrefix, "{"):
		c.add(at+".stripPrefix", "write it with path", "a parameter has no fixed length")
	}
	if w.Host != "" && !validHost.MatchString(w.Host) {
		c.add(at+".host", "a lower-case host name without port", "%q is no host", clip(w.Host))
	}
	c.placeholders(at+".path", w.Path, r.Path)
}

// placeholders wants those of a text to be the path's.
func (c *checker) placeholders(at, text, path string) {
	for _, found := range placeholder.FindAllString(text, -1) {
		if !strings.Contains(path, found) {
			c.add(at, "those of the route's path "+clip(path), "%s stands for nothing", clip(found))
		}
	}
	if left := placeholder.ReplaceAllString(text, ""); strings.ContainsAny(left, "{}") {
		c.add(at, "write {name} or {name...}", "%q has a brace without a name", clip(text))
	}
}

// MaxBody is what a route can allow a body at most.
const MaxBody = 64 << 30

func (c *checker) body(at string, b *BodyLimit) {
	if b != nil {
		between(c.at(at+".max"), b.Max, 1, MaxBody)
	}
}

// shapeMembers are the fields of a route that are about what goes in and out, whatever the function is.
func shapeMembers() []member[Route] {
	return []member[Route]{
		field("upstream", "Let servers answer that are no functions; see docs/upstreams.md. Default: the function answers.", pointer(upstreamValue(), none[Upstream]), func(r *Route) **Upstream { return &r.Upstream }),
		field("redirect", "Send clients elsewhere, without the function; see docs/routes.md. Default: no.", pointer(redirectValue(), none[Redirect]), func(r *Route) **Redirect { return &r.Redirect }),
		field("rewrite", "Give the function another path or host than the client wrote; see docs/routes.md. Default: no.", pointer(rewriteValue(), none[Rewrite]), func(r *Route) **Rewrite { return &r.Rewrite }),
		field("static", "Answer with files of the function's code, without the function; see docs/routes.md. Default: no.", pointer(staticValue(), none[Static]), func(r *Route) **Static { return &r.Static }),
		field("scatter", "Ask several functions, or one for each of several shards, and answer with what has come of it in time; see docs/scatter.md. Default: no.", pointer(scatterValue(), none[Scatter]), func(r *Route) **Scatter { return &r.Scatter }),
		field("compress", "Whether answers are compressed for clients that take it; see docs/routes.md. Default: false.", truth(), func(r *Route) *bool { return &r.Compress }),
		field("body", "Bounds of the bodies of requests. Default: the node's own.", pointer(object([]string{"max"},
			field("max", "The longest that is taken; a longer one is answered 413. Not above the node's limits.request and limits.upload.", size(), func(b *BodyLimit) *Bytes { return &b.Max }),
		), none[BodyLimit]), func(r *Route) **BodyLimit { return &r.Body }),
		field("validate", "The OpenAPI document, a file of the code, that requests are held against, and answers; see docs/openapi.md. Default: none.", pointer(routeValidateValue(), defaultRouteValidate), func(r *Route) **RouteValidate { return &r.Validate }),
	}
}

// shape checks these fields.
func (c *checker) shape(at string, s *Spec, r *Route) {
	c.redirect(at+".redirect", r)
	c.rewrite(at+".rewrite", r)
	c.static(at+".static", s, r)
	c.body(at+".body", r.Body)
	c.routeValidate(at+".validate", s, r)
}
