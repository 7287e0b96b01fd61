package function

import (
	"strings"
	"testing"
	"time"
)

func TestARoutesCache(t *testing.T) {
	s, err := routeOf(t, "cache: {}")
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Triggers[0].Route.Cache; c.TTL != 0 || c.StaleIfError != Duration(time.Hour) || c.MaxSize != 16<<20 {
		t.Errorf("cache: {} = %+v, want stale answers for an hour in place of errors, in 16Mi", c)
	}
	if s, err = routeOf(t, "method: GET, cache: {ttl: 1m, vary: [Accept-Language], staleWhileRevalidate: 10s, staleIfError: 0, maxSize: 1Mi}"); err != nil {
		t.Fatal(err)
	}
	if c := s.Triggers[0].Route.Cache; c.TTL != Duration(time.Minute) || c.StaleIfError != 0 || c.MaxSize != 1<<20 || len(c.Vary) != 1 {
		t.Errorf("cache = %+v, want what it says", c)
	}
	for text, want := range map[string]string{
		"method: POST, cache: {}":                 "route.cache: answers to POST are not kept",
		"durable: true, cache: {}":                "route.cache: an answer that is kept leaves no request in the log",
		"cache: {ttl: -1s}":                       "cache.ttl",
		"cache: {ttl: 400d}":                      "cache.ttl: 400d is out of range",
		"cache: {staleIfError: 400d}":             "cache.staleIfError: 400d is out of range",
		"cache: {staleWhileRevalidate: 400d}":     "cache.staleWhileRevalidate: 400d is out of range",
		"cache: {maxSize: 1Ki}":                   "cache.maxSize: 1Ki is out of range",
		"cache: {maxSize: 0}":                     "cache.maxSize: 0 is out of range",
		"cache: {vary: ['a b']}":                  `cache.vary[0]: "a b" is no name for a header`,
		"cache: {vary: [Host]}":                   `cache.vary[0]: "Host" is dalamb's own`,
		"cache: {vary: [A, if-None-match]}":       `cache.vary[1]`,
		"cache: {vary: [" + commas(17) + "]}":     "cache.vary: names 17 fields",
		"cache: {purge: [{topic: a/b}]}":          `cache.purge[0].topic: "a/b" is no name for a topic`,
		"cache: {purge: [{topic: _dalamb.logs}]}": "cache.purge[0].topic: nothing is emptied by the system topic",
		"cache: {purge: [{filter: {type: x}}]}":   "cache.purge[0].filter",
		"cache: {purge: [{path: products}]}":      `cache.purge[0].path: "products" does not begin with a slash`,
		"cache: {purge: [{path: '/{id'}]}":        `cache.purge[0].path: "/{id" has a brace without its other`,
		"cache: {stale: 1m}":                      "cache.stale: unknown field",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
	const emits = "name: pay\nentry: {type: lambda, command: [./a]}\ntriggers:\n- {name: r, emit: {topic: a}, route: {path: /x, cache: {}}}\n"
	if _, err := ParseManifest("dalamb.yaml", []byte(emits)); err == nil || !strings.Contains(err.Error(), "route.cache: an answer that is kept emits nothing") {
		t.Errorf("a cache of a route that emits: error = %v", err)
	}
}

func commas(n int) string { return "a" + strings.Repeat(", a", n-1) }
