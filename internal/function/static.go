package function

import (
	"io/fs"
	"regexp"
	"strings"
)

// Static answers a route with files of the function's code, without the function.
type Static struct {
	Dir          string `json:"dir"`             // of the code: public
	Index        string `json:"index,omitempty"` // the file that answers for a directory; "" = DefaultIndex
	SPA          bool   `json:"spa,omitempty"`   // the top directory's index answers for what is not there
	CacheControl string `json:"cacheControl,omitempty"`
}

// DefaultIndex answers for a directory.
const DefaultIndex = "index.html"

// IndexFile is the name of the file that answers for a directory.
func (s *Static) IndexFile() string {
	if s.Index == "" {
		return DefaultIndex
	}
	return s.Index
}

// Rest is the name of the parameter at the end of a path that has all of it from there on; "" = there is none.
func (r *Route) Rest() string {
	if m := restOf.FindStringSubmatch(r.Path); m != nil {
		return m[1]
	}
	return ""
}

var restOf = regexp.MustCompile(`/\{([A-Za-z_][A-Za-z0-9_]*)\.\.\.\}$`)

func staticValue() value[Static] {
	return object([]string{"dir"},
		field("dir", "The directory of the code whose files everybody may read.", text[string](), func(s *Static) *string { return &s.Dir }),
		field("index", "The file that answers for a directory. Default: index.html.", text[string](), func(s *Static) *string { return &s.Index }),
		field("spa", "Whether the index of dir answers for paths that are not there, as pages with routes of their own want it. Default: false, they are answered 404.", truth(), func(s *Static) *bool { return &s.SPA }),
		field("cacheControl", "How long clients keep the files, as the header Cache-Control says it; pages (the index) are always asked for again. Default: no-cache, each is asked for again, and sent when it has changed.", text[string](), func(s *Static) *string { return &s.CacheControl }),
	)
}

func (c *checker) static(at string, s *Spec, r *Route) {
	f := r.Static
	if f == nil {
		return
	}
	switch {
	case s.Image != "":
		c.add(at, "a function with code has files to show", "the function is an image, whose files dalamb does not serve")
	case r.Redirect != nil || r.Rewrite != nil:
		c.add(at, "make a second route", "a route with files of the code sends nobody elsewhere")
	case r.Method != "" && r.Method != "GET" && r.Method != "HEAD":
		c.add(at, "leave method out", "files are read, by GET and HEAD")
	case r.Rest() == "":
		c.add(at, `write the path as "/assets/{path...}": that is the path below dir`, "the route's path does not end with {NAME...}")
	}
	if f.Dir == "." || !fs.ValidPath(f.Dir) || dotted(f.Dir) {
		c.add(at+".dir", "such as public; the code's own directory would show the function too", "%q is no directory below the code", clip(f.Dir))
	}
	if f.Index != "" && (strings.Contains(f.Index, "/") || !fs.ValidPath(f.Index) || dotted(f.Index)) {
		c.add(at+".index", "such as index.html", "%q is no name for a file", clip(f.Index))
	}
	if len(f.CacheControl) > 256 || strings.ContainsFunc(f.CacheControl, func(r rune) bool { return r < ' ' || r > '~' }) {
		c.add(at+".cacheControl", `such as "public, max-age=3600"`, "%q cannot stand in a header", clip(f.CacheControl))
	}
}

// dotted says whether part of a path is hidden.
func dotted(path string) bool { return strings.HasPrefix(path, ".") || strings.Contains(path, "/.") }
