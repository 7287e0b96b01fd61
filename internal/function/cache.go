package function

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Cache says which answers of a route are kept and given again. Each node keeps its own.
type Cache struct {
	TTL                  Duration `json:"ttl,omitzero"`                  // of answers that do not say for how long they are fresh; 0 = these are not kept
	Vary                 []string `json:"vary,omitempty"`                // the fields of a request that the function sees, and by which answers are told apart
	StaleWhileRevalidate Duration `json:"staleWhileRevalidate,omitzero"` // how long an answer is given after its time while a new one is fetched
	StaleIfError         Duration `json:"staleIfError,omitzero"`         // how long after its time an answer is better than an error
	MaxSize              Bytes    `json:"maxSize"`                       // of all that is kept of the route on one node

	Purge []CachePurge `json:"purge,omitempty"` // what empties it
}

// Bounds of a Cache.
const (
	minCache  Bytes = 64 << 10
	maxCache  Bytes = 16 << 30
	maxVary         = 16
	maxFresh        = Duration(365 * 24 * time.Hour)
	hourFresh       = Duration(time.Hour)
)

// defaultCache is a cache of which a manifest says nothing: what is stale is better than an error.
func defaultCache() Cache { return Cache{StaleIfError: hourFresh, MaxSize: 16 << 20} }

func cacheValue() value[Cache] {
	return object(nil,
		field("ttl", "How long an answer is fresh that does not say so itself, by Cache-Control or Expires. Default: 0, such answers are not kept.", duration(), func(c *Cache) *Duration { return &c.TTL }),
		field("vary", "The request header fields by which answers are told apart. The function sees no others of a request that may be answered from the cache.", list(text[string](), none[string]), func(c *Cache) *[]string { return &c.Vary }),
		field("staleWhileRevalidate", "How long after its time an answer is given while a new one is fetched. Default: 0.", duration(), func(c *Cache) *Duration { return &c.StaleWhileRevalidate }),
		field("staleIfError", "How long after its time an answer is given in place of an error. Default: 1h; 0 = never.", duration(), func(c *Cache) *Duration { return &c.StaleIfError }),
		field("purge", "Which events empty it, on every node.", list(cachePurgeValue(), defaultCachePurge), func(c *Cache) *[]CachePurge { return &c.Purge }),
		field("maxSize", "All that is kept of this route on one node, from 64Ki. Default: 16Mi.", size(), func(c *Cache) *Bytes { return &c.MaxSize }),
	)
}

// cache checks the cache of a route.
func (c *checker) cache(at string, t *Trigger) {
	r := t.Route.Cache
	if r == nil {
		return
	}
	switch {
	case t.Route.Durable:
		c.add(at, "leave out durable, or cache", "an answer that is kept leaves no request in the log, which durable promises")
	case t.Emit != nil:
		c.add(at, "leave out emit, or cache", "an answer that is kept emits nothing")
	case t.Route.Method != "" && t.Route.Method != http.MethodGet && t.Route.Method != http.MethodHead:
		c.add(at, "method: GET, or none", "answers to %s are not kept", t.Route.Method)
	}
	between(c.at(at+".ttl"), r.TTL, 0, maxFresh)
	between(c.at(at+".staleWhileRevalidate"), r.StaleWhileRevalidate, 0, maxFresh)
	between(c.at(at+".staleIfError"), r.StaleIfError, 0, maxFresh)
	between(c.at(at+".maxSize"), r.MaxSize, minCache, maxCache)
	c.cachePurges(at+".purge", r.Purge)
	if len(r.Vary) > maxVary {
		c.add(at+".vary", fmt.Sprintf("at most %d", maxVary), "names %d fields", len(r.Vary))
	}
	for i, name := range r.Vary {
		field := fmt.Sprintf("%s.vary[%d]", at, i)
		switch {
		case !validToken.MatchString(name):
			c.add(field, "letters, digits and dashes", "%q is no name for a header", clip(name))
		case slices.Contains(unkeyable(), strings.ToLower(name)):
			c.add(field, "leave it out", "%q is dalamb's own, or is about one connection", clip(name))
		}
	}
}

// unkeyable are fields that dalamb answers to itself where answers are kept, or that are no part of what is asked for.
func unkeyable() []string {
	return []string{
		"connection", "content-length", "expect", "host", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
		"keep-alive", "range", "te", "trailer", "transfer-encoding", "upgrade", "dalamb-auth-id", "dalamb-auth-type",
	}
}
