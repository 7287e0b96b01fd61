package function

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Conditions say what a request has to carry, by the name of a header field or of a query parameter. All of them have to fit.
type Conditions map[string]Condition

// Condition is what one value may be: of a field or a parameter that stands there several times the first one counts. One alternative has to fit.
type Condition []Alternative

// Alternative is one of the forms of a pattern; exactly one member is set. docs/patterns.md.
type Alternative struct {
	Is     *string `json:"is,omitempty"`
	Prefix *string `json:"prefix,omitempty"`
	Exists *bool   `json:"exists,omitempty"`
}

// fits says whether a value is one that is asked for; here = it is there.
func (a Alternative) fits(v string, here bool) bool {
	switch {
	case a.Exists != nil:
		return *a.Exists == here
	case a.Prefix != nil:
		return here && strings.HasPrefix(v, *a.Prefix)
	}
	return here && v == *a.Is
}

// covers says whether all values that fit b fit a.
func (a Alternative) covers(b Alternative) bool {
	switch {
	case b.Exists != nil:
		return a.Exists != nil && *a.Exists == *b.Exists
	case b.Prefix != nil:
		return a.Exists != nil && *a.Exists || a.Prefix != nil && strings.HasPrefix(*b.Prefix, *a.Prefix)
	}
	return a.fits(*b.Is, true)
}

func (c Condition) fits(v string, here bool) bool {
	return slices.ContainsFunc(c, func(a Alternative) bool { return a.fits(v, here) })
}

func (c Condition) covers(d Condition) bool {
	return !slices.ContainsFunc(d, func(b Alternative) bool {
		return !slices.ContainsFunc(c, func(a Alternative) bool { return a.covers(b) })
	})
}

// meets says whether some value fits both. Of two alternatives that share a value one covers the other.
func (c Condition) meets(d Condition) bool {
	return slices.ContainsFunc(c, func(a Alternative) bool {
		return slices.ContainsFunc(d, func(b Alternative) bool { return a.covers(b) || b.covers(a) })
	})
}

// within says whether whatever fits cs fits ds.
func (cs Conditions) within(ds Conditions) bool {
	for name, d := range ds {
		if c, ok := cs[name]; !ok || !d.covers(c) {
			return false
		}
	}
	return true
}

// apart says whether nothing fits both.
func (cs Conditions) apart(ds Conditions) bool {
	for name, d := range ds {
		if c, ok := cs[name]; ok && !c.meets(d) {
			return true
		}
	}
	return false
}

// Conditional says whether a route takes only some of the requests to its path.
func (r *Route) Conditional() bool { return len(r.Headers)+len(r.Query) > 0 }

// Fits says whether a request, whose query is q, carries what the route asks for.
func (r *Route) Fits(h http.Header, q url.Values) bool {
	for name, c := range r.Headers {
		values := h[http.CanonicalHeaderKey(name)]
		if !c.fits(first(values), len(values) > 0) {
			return false
		}
	}
	for name, c := range r.Query {
		if !c.fits(first(q[name]), len(q[name]) > 0) {
			return false
		}
	}
	return true
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Narrower says whether all requests that fit the conditions of r fit those of other, and not the other way round.
func (r *Route) Narrower(other *Route) bool { return r.narrow(other) && !other.narrow(r) }

func (r *Route) narrow(other *Route) bool {
	return r.headers().within(other.headers()) && r.Query.within(other.Query)
}

// Contends says whether some request fits the conditions of both routes, and neither is the narrower one.
func (r *Route) Contends(other *Route) bool {
	apart := r.headers().apart(other.headers()) || r.Query.apart(other.Query)
	return !apart && !r.Narrower(other) && !other.Narrower(r)
}

// headers are the conditions on header fields by one spelling of their names.
func (r *Route) headers() Conditions {
	same := Conditions{}
	for name, c := range r.Headers {
		same[http.CanonicalHeaderKey(name)] = c
	}
	return same
}

// Text tells which requests a route takes, for a person.
func (r *Route) Text() string {
	var asked []string
	for _, of := range []struct {
		what string
		all  Conditions
	}{{"", r.Headers}, {"?", r.Query}} {
		for _, name := range slices.Sorted(maps.Keys(of.all)) {
			asked = append(asked, of.what+name+" "+of.all[name].text())
		}
	}
	if asked == nil {
		return r.Pattern()
	}
	return r.Pattern() + " where " + strings.Join(asked, ", ")
}

func (c Condition) text() string {
	forms := make([]string, len(c))
	for i, a := range c {
		switch {
		case a.Exists != nil && *a.Exists:
			forms[i] = "is there"
		case a.Exists != nil:
			forms[i] = "is not there"
		case a.Prefix != nil:
			forms[i] = fmt.Sprintf("begins with %q", *a.Prefix)
		case a.Is != nil:
			forms[i] = fmt.Sprintf("is %q", *a.Is)
		}
	}
	return strings.Join(forms, " or ")
}

// conditionValue reads "2", or a list of texts, {prefix: "3."} and {exists: true}.
func conditionValue() value[Condition] {
	given := object(nil,
		field("prefix", "What the value begins with.", pointer(word(), none[string]), func(a *Alternative) **string { return &a.Prefix }),
		field("exists", "true: it is there, whatever it is; false: it is not.", pointer(truth(), none[bool]), func(a *Alternative) **bool { return &a.Exists }),
	)
	plain := pointer(word(), none[string])
	one := value[Alternative]{map[string]any{"anyOf": []any{plain.schema, given.schema}}, func(p *parser, n *yaml.Node, at string, into *Alternative) {
		if n.Kind == yaml.ScalarNode {
			plain.read(p, n, at, &into.Is)
			return
		}
		given.read(p, n, at, into)
	}}
	all := list(one, none[Alternative])
	return value[Condition]{map[string]any{"anyOf": []any{one.schema, all.schema}}, func(p *parser, n *yaml.Node, at string, into *Condition) {
		var as []Alternative
		if n.Kind == yaml.SequenceNode {
			all.read(p, n, at, &as)
		} else {
			as = make([]Alternative, 1)
			one.read(p, n, at, &as[0])
		}
		*into = as
	}}
}

func conditionMembers() []member[Route] {
	return []member[Route]{
		field("headers", "Header fields that a request has to carry, with the value, a list of values, {prefix: TEXT} or {exists: true}; see docs/routes.md. Default: any.", conditionsValue(), func(r *Route) *Conditions { return &r.Headers }),
		field("query", "Parameters that its query has to carry, written in the same way. Default: any.", conditionsValue(), func(r *Route) *Conditions { return &r.Query }),
	}
}

func conditionsValue() value[Conditions] {
	of := mapOf(conditionValue())
	return value[Conditions]{of.schema, func(p *parser, n *yaml.Node, at string, into *Conditions) {
		of.read(p, n, at, (*map[string]Condition)(into))
	}}
}

// Bounds of the conditions of one route: each request to its path is held against them.
const (
	maxConditions   = 16
	maxAlternatives = 64
)

func (c *checker) conditions(at string, r *Route) {
	if len(r.Headers)+len(r.Query) > maxConditions {
		c.add(at+".headers", fmt.Sprintf("at most %d", maxConditions), "%d conditions are too many for one route", len(r.Headers)+len(r.Query))
		return
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		field, key := join(at+".headers", name), http.CanonicalHeaderKey(name)
		switch {
		case !validToken.MatchString(name):
			c.add(field, "letters, digits and dashes", "%q is no name for a header", clip(name))
		case key == "Host":
			c.add(field, "write it as host: of the route", "the host of a request is no header field to dalamb")
		case seen[key] != "":
			c.add(field, "", "%q is the same header as %q", clip(name), clip(seen[key]))
		}
		seen[key] = name
		c.condition(field, r.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		if name == "" || len(name) > 256 {
			c.add(at+".query", "the name of a parameter, at most 256 bytes", "%q is no name for a parameter", clip(name))
		}
		c.condition(join(at+".query", name), r.Query[name])
	}
}

func (c *checker) condition(field string, alternatives Condition) {
	if n := len(alternatives); n == 0 || n > maxAlternatives {
		c.add(field, fmt.Sprintf("a value, or a list of up to %d", maxAlternatives), "has %d values to choose from", n)
	}
	for _, a := range alternatives {
		said := 0
		for _, is := range []bool{a.Is != nil, a.Prefix != nil, a.Exists != nil} {
			if is {
				said++
			}
		}
		if said != 1 {
			c.add(field, "a text, {prefix: TEXT}, {exists: true} or {exists: false}", "has a value that says %d things, not one", said)
		}
	}
}
