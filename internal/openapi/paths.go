package openapi

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// index finds the path of a document that a request is for. What is written out comes before what is a parameter. OpenAPI 3.1.0, section 4.8.8.
type index struct {
	byLength map[int][]*template // by the number of segments; the most specific ones first
}

// template is a path of a document.
type template struct {
	path       string
	names      []string // of its parameters
	segments   []segment
	operations map[string]*Operation // by method
}

// segment is what stands between two slashes: text, or a pattern with groups for parameters.
type segment struct {
	text    string
	pattern *regexp.Regexp // nil = it is text
	names   []string
}

var placeholder = regexp.MustCompile(`\{([^{}/]+)\}`)

func newTemplate(path string) (*template, error) {
	t := &template{path: path, operations: map[string]*Operation{}}
	for part := range strings.SplitSeq(path[1:], "/") {
		s := segment{text: part}
		if strings.ContainsAny(part, "{}") {
			var pattern strings.Builder
			end := 0
			for _, m := range placeholder.FindAllStringSubmatchIndex(part, -1) {
				pattern.WriteString(regexp.QuoteMeta(part[end:m[0]]) + "(.+?)")
				s.names = append(s.names, part[m[2]:m[3]])
				end = m[1]
			}
			if rest := part[end:]; strings.ContainsAny(placeholder.ReplaceAllString(part, ""), "{}") {
				return nil, fmt.Errorf("has a brace without a name")
			} else {
				pattern.WriteString(regexp.QuoteMeta(rest))
			}
			compiled, err := regexp.Compile("^(?s:" + pattern.String() + ")$")
			if err != nil {
				return nil, err
			}
			s.pattern = compiled
			t.names = append(t.names, s.names...)
		}
		t.segments = append(t.segments, s)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(t.names)))) < len(t.names) {
		return nil, fmt.Errorf("has a parameter twice")
	}
	return t, nil
}

// compare orders by what is more specific.
func (t *template) compare(o *template) int {
	for i, s := range t.segments {
		switch other := o.segments[i]; {
		case (s.pattern == nil) != (other.pattern == nil):
			if s.pattern == nil {
				return -1
			}
			return 1
		case s.pattern != nil && len(s.pattern.String()) != len(other.pattern.String()):
			return len(other.pattern.String()) - len(s.pattern.String()) // more text around the parameter
		}
	}
	return cmp.Compare(t.path, o.path)
}

func (x *index) add(t *template) error {
	shape := placeholder.ReplaceAllString(t.path, "{}")
	of := x.byLength[len(t.segments)]
	for _, o := range of {
		if placeholder.ReplaceAllString(o.path, "{}") == shape {
			return errAmbiguous
		}
	}
	if x.byLength == nil {
		x.byLength = map[int][]*template{}
	}
	of = append(of, t)
	slices.SortFunc(of, (*template).compare)
	x.byLength[len(t.segments)] = of
	return nil
}

// find gives the template of a path, which is escaped, and the values of its parameters.
func (x *index) find(path string) (*template, map[string]string) {
	if !strings.HasPrefix(path, "/") {
		return nil, nil
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		text, err := url.PathUnescape(s)
		if err != nil {
			return nil, nil
		}
		segments[i] = text
	}
next:
	for _, t := range x.byLength[len(segments)] {
		values := map[string]string{}
		for i, s := range t.segments {
			if s.pattern == nil {
				if s.text != segments[i] {
					continue next
				}
				continue
			}
			found := s.pattern.FindStringSubmatch(segments[i])
			if found == nil {
				continue next
			}
			for j, name := range s.names {
				values[name] = found[j+1]
			}
		}
		return t, values
	}
	return nil, nil
}

// Match is an operation that a request is for.
type Match struct {
	*Operation
	doc    *Document
	values map[string]string
}

// Find gives the operation for a method and a path, which is escaped. nil = the document has none; allowed are the methods that it has for that path.
// A HEAD that it does not describe is the GET.
func (d *Document) Find(method, path string) (m *Match, allowed []string) {
	for _, base := range d.bases {
		rest, is := strings.CutPrefix(path, base)
		if !is {
			continue
		}
		t, values := d.paths.find(rest)
		if t == nil {
			continue
		}
		op := t.operations[method]
		if op == nil && method == "HEAD" {
			op = t.operations["GET"]
		}
		if op != nil {
			return &Match{Operation: op, doc: d, values: values}, nil
		}
		allowed = sortedKeys(t.operations)
	}
	return nil, allowed
}
