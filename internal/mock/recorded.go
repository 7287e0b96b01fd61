package mock

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Recorded answers with what a function has answered before: to the same request the newest answer, else the answer to the one that is nearest.
type Recorded struct {
	newest map[asked]recorded
	added  int
	cut    int // of which the record does not have all
}

// asked is what makes two requests the same one here.
type asked struct {
	method string
	path   string // without its query
	query  string // its parameters in order
}

type recorded struct {
	function.Request
	made int // how many were made before it
}

// Add takes a request of the record, in the order in which they were made. One without an answer, or with a part of one, is of no use.
func (c *Recorded) Add(r function.Request) {
	switch {
	case r.Status < 200 || r.Status > 599:
		return
	case r.AnswerSize > int64(len(r.Answer)):
		c.cut++
		return
	}
	path, query, _ := strings.Cut(r.Path, "?")
	r.Body, r.Header = nil, nil // no answer is made of these, and a record may be long
	if c.newest == nil {
		c.newest = map[asked]recorded{}
	}
	c.newest[asked{r.Method, path, ordered(query)}] = recorded{r, c.added}
	c.added++
}

// Len is how many requests were added, and how many were left out because the record does not have their answers whole.
func (c *Recorded) Len() (requests, cut int) { return c.added, c.cut }

// ordered writes a query's parameters in the order of their names.
func ordered(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		return query
	}
	return values.Encode()
}

// Handler serves what was added. Nothing may be added then.
func (c *Recorded) Handler() http.Handler {
	return open(func(w http.ResponseWriter, r *http.Request) error {
		found := c.nearest(r.Method, r.URL.EscapedPath(), ordered(r.URL.RawQuery))
		if found == nil {
			return fault.New(fault.NotFound, "nothing like %s %s was recorded", r.Method, fault.Clip(r.URL.Path)).WithHint("%s", c.known())
		}
		h := w.Header()
		if len(found.Answer) > 0 {
			h.Set("Content-Type", kindOf(found.Answer))
		}
		h.Set(FromHeader, found.Method+" "+found.Request.Path+" "+found.ID)
		w.WriteHeader(found.Status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(found.Answer) // a client that is gone cannot be told
		}
		return nil
	})
}

// nearest is the newest request of a method with that path and query, else with that path, else with one that differs in the least of its segments.
func (c *Recorded) nearest(method, path, query string) *recorded {
	var best *recorded
	most := 0
	for a, r := range c.newest {
		if a.method != method {
			continue
		}
		if score := alike(a, path, query); score > most || score > 0 && score == most && r.made > best.made {
			best, most = &r, score
		}
	}
	return best
}

// alike is how near a request is to a path and a query; 0 = not at all: it is of another form.
func alike(r asked, path, query string) int {
	if r.path == path {
		if r.query == query {
			return 1_000_000
		}
		return 100_000 + same(strings.Split(r.query, "&"), strings.Split(query, "&"))
	}
	a, b := strings.Split(r.path, "/"), strings.Split(path, "/")
	if len(a) != len(b) || len(a) < 3 || a[1] != b[1] { // what begins otherwise is another resource
		return 0
	}
	n := 0
	for i := range a {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}

// same is how many of two lists are in both.
func same(a, b []string) int {
	n := 0
	for _, v := range a {
		if slices.Contains(b, v) {
			n++
		}
	}
	return n
}

// kindOf is the media type of a body: the record has no header of answers.
func kindOf(body []byte) string {
	if json.Valid(body) {
		return "application/json"
	}
	return http.DetectContentType(body)
}

func (c *Recorded) known() string {
	const most = 5
	newest := slices.SortedFunc(maps.Keys(c.newest), func(a, b asked) int { return cmp.Compare(c.newest[b].made, c.newest[a].made) })
	var paths []string
	for _, a := range newest {
		if line := a.method + " " + a.path; !slices.Contains(paths, line) && len(paths) < most {
			paths = append(paths, line)
		}
	}
	if paths == nil {
		return "nothing was recorded at all"
	}
	return "recorded are " + strings.Join(paths, ", ")
}
