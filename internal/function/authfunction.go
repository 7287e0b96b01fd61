package function

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// FunctionAuth has a function say who may call.
type FunctionAuth struct {
	Name    string   `json:"name"`
	Headers []string `json:"headers,omitempty"` // that it is shown; none = all
	TTL     Duration `json:"ttl,omitempty"`     // how long what it said holds; 0 = for one request
	Timeout Duration `json:"timeout,omitempty"` // 0 = DefaultAuthTimeout
}

// Bounds of FunctionAuth.
const (
	DefaultAuthTimeout = 5 * time.Second
	maxAuthTimeout     = Duration(30 * time.Second)
	maxAuthTTL         = Duration(time.Hour)
)

// Patience is how long an answer is waited for.
func (f *FunctionAuth) Patience() time.Duration {
	if f.Timeout == 0 {
		return DefaultAuthTimeout
	}
	return f.Timeout.Std()
}

// functionAuthValue is a function's name, or a mapping that says more.
func functionAuthValue() value[FunctionAuth] {
	name := text[string]()
	whole := object([]string{"name"},
		field("name", "The function that is asked, with live.", name, func(f *FunctionAuth) *string { return &f.Name }),
		field("headers", "The header fields that it is shown; with ttl they have to be said, since what it answers holds for all requests that are alike in them. Default: all.", list(text[string](), none[string]), func(f *FunctionAuth) *[]string { return &f.Headers }),
		field("ttl", "How long what it said holds for requests of the same method, host, path, query and headers, at most 1h. Default: for one request.", duration(), func(f *FunctionAuth) *Duration { return &f.TTL }),
		field("timeout", "How long it may take, its start included, at most 30s; then the answer is 503. Default: 5s.", duration(), func(f *FunctionAuth) *Duration { return &f.Timeout }),
	)
	schema := maps.Clone(whole.schema)
	schema["type"] = []string{"string", "object"}
	return value[FunctionAuth]{schema, func(p *parser, n *yaml.Node, at string, into *FunctionAuth) {
		if n.Kind == yaml.ScalarNode {
			name.read(p, n, at, &into.Name)
			return
		}
		whole.read(p, n, at, into)
	}}
}

func (c *checker) functionAuth(at string, f *FunctionAuth) {
	c.name(at+".name", f.Name, "function")
	for i, h := range f.Headers {
		where := fmt.Sprintf("%s.headers[%d]", at, i)
		if !validToken.MatchString(h) {
			c.add(where, "such as Authorization", "%q is no name for a header", clip(h))
		}
		if slices.ContainsFunc(f.Headers[:i], func(o string) bool { return strings.EqualFold(o, h) }) {
			c.add(where, "", "%q stands there twice", clip(h))
		}
	}
	if f.TTL != 0 {
		between(c.at(at+".ttl"), f.TTL, Duration(time.Second), maxAuthTTL)
		if f.Headers == nil {
			c.add(at+".headers", "such as [Authorization]", "with ttl they have to be said: what the function answers holds for all requests that are alike in them")
		}
	}
	if f.Timeout != 0 {
		between(c.at(at+".timeout"), f.Timeout, Duration(100*time.Millisecond), maxAuthTimeout)
	}
}

// AuthFunction is the function that is asked who may call; "" = none.
func (a *Auth) AuthFunction() string {
	if a == nil || a.Function == nil {
		return ""
	}
	return a.Function.Name
}
