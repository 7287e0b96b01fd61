package freshness

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Validates says whether the origin can be asked whether the answer is still right. RFC 9111, section 4.3.
func (k *Kept) Validates() bool {
	return k.Header.Get("ETag") != "" || k.Header.Get("Last-Modified") != ""
}

// Ask makes a request one of whether the answer is still right. RFC 9111, section 4.3.1.
func (k *Kept) Ask(h http.Header) {
	if tag := k.Header.Get("ETag"); tag != "" {
		h["If-None-Match"] = []string{tag}
	}
	if at := k.Header.Get("Last-Modified"); at != "" {
		h["If-Modified-Since"] = []string{at}
	}
}

// Confirms says whether an answer of 304 is about the one that is kept. RFC 9111, section 4.3.4: a strong validator has to be the same; one without
// any is about the one that was asked for.
func (k *Kept) Confirms(said http.Header) bool {
	if tag := said.Get("ETag"); tag != "" {
		return weakly(tag) == weakly(k.Header.Get("ETag"))
	}
	at := said.Get("Last-Modified")
	return at == "" || at == k.Header.Get("Last-Modified")
}

// Renew makes of a kept answer and the head of a 304 that confirms it one that is fresh again. x's status and header are those of the 304. nil says that
// it may not be kept any longer, though it may be given this once. RFC 9111, section 3.2.
func (k *Kept) Renew(x Exchange, rules Rules) (given http.Header, kept *Kept) {
	h := maps.Clone(k.Header)
	delete(h, "Age")
	delete(h, "Date")
	for name, values := range x.Header {
		switch name {
		// What the body was does not change because it is confirmed.
		case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Etag", "Transfer-Encoding", "Connection", "Trailer", "Set-Cookie":
		default:
			h[name] = values
		}
	}
	said := x
	said.Status, said.Header = k.Status, h
	if x.Header["Set-Cookie"] != nil {
		return h, nil
	}
	return h, Keep(said, rules)
}

// NotModified says whether a client that sends these fields has the answer already, whose fields are said. RFC 9110, sections 13.1.2, 13.1.3 and 13.2.2.
func NotModified(asks, said http.Header) bool {
	if tags := asks["If-None-Match"]; tags != nil {
		tag := said.Get("ETag")
		for _, line := range tags {
			for item := range listItems(line) {
				if item == "*" || tag != "" && weakly(item) == weakly(tag) {
					return true
				}
			}
		}
		return false
	}
	if asks["If-Modified-Since"] == nil {
		return false
	}
	since, err := http.ParseTime(asks.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	changed, err := http.ParseTime(said.Get("Last-Modified"))
	return err == nil && !changed.Truncate(time.Second).After(since)
}

// weakly is an entity tag for the weak comparison. RFC 9110, section 8.8.3.2.
func weakly(tag string) string { return strings.TrimPrefix(strings.TrimSpace(tag), "W/") }

// SelectedBy is what a request has in the fields by which answers are told apart, in a form that is the same for requests that are alike: RFC 9111,
// section 4.1. names are as net/http spells them.
func SelectedBy(h http.Header, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	values := make([]string, len(names))
	for i, name := range names {
		lines := h[name]
		if lines == nil {
			continue // unlike one that is there and empty
		}
		trimmed := slices.Clone(lines)
		for j, line := range trimmed {
			trimmed[j] = strings.TrimSpace(line)
		}
		values[i] = ":" + strings.Join(trimmed, ",")
	}
	return values
}
