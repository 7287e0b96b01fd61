// Package freshness knows the rules by which an answer over HTTP may be kept and given again: RFC 9111 as a shared cache has to hold to it,
// the stale answers of RFC 5861, and the conditions of RFC 9110, section 13. It keeps nothing itself, and does no I/O: the gateway's route
// policy does both.
package freshness

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Rules are what whoever keeps answers says of those that do not say it themselves.
type Rules struct {
	TTL                  time.Duration // how long an answer is fresh
	StaleWhileRevalidate time.Duration // how long after that it may be given while a new one is fetched. RFC 5861, section 3
	StaleIfError         time.Duration // how long after that it is better than an error. RFC 5861, section 4
}

// Exchange is a request to the origin and the head of its answer.
type Exchange struct {
	// Credentials says that the origin has seen who asks, by fields of the request that do not tell kept answers apart.
	Credentials bool
	NoStore     bool // the request says that its answer is not to be kept
	Status      int
	Header      http.Header
	Asked, Came time.Time
}

// Kept is what has to be known of an answer that is kept. It never changes.
type Kept struct {
	Status int
	Header http.Header // shared; not to be changed
	Open   bool        // the answer itself says that everybody may have it

	born       time.Time     // when it was of age 0, by this clock
	life       time.Duration // for which it is fresh
	staleWhile time.Duration
	staleError time.Duration
}

// Keep judges whether an answer may be kept; nil says that it may not. RFC 9111, section 3.
func Keep(x Exchange, rules Rules) *Kept {
	d := parseDirectives(x.Header["Cache-Control"])
	if x.NoStore || !d.storable(x.Status) || x.Header["Set-Cookie"] != nil || x.Header["Trailer"] != nil || stream(x.Header) {
		return nil
	}
	for name := range fieldNames(x.Header["Vary"]) {
		if name == "*" { // no other request is ever like this one; section 4.1
			return nil
		}
	}
	x.Header = dated(&x)
	k := &Kept{Status: x.Status, Header: x.Header, Open: d.has("public") || d.has("s-maxage"), born: x.Came.Add(-initialAge(&x))}
	if x.Credentials && !k.Open { // section 3.5
		return nil
	}
	said := false
	if k.life, said = d.lifetime(&x); !said {
		if !heuristic(x.Status) {
			return nil
		}
		k.life = rules.TTL
	}
	k.staleWhile = d.stale("stale-while-revalidate", rules.StaleWhileRevalidate)
	k.staleError = d.stale("stale-if-error", rules.StaleIfError)
	if d.has("no-cache") { // section 5.2.2.4
		k.life = 0
	}
	if k.life <= 0 && !k.Validates() && k.staleWhile <= 0 && k.staleError <= 0 {
		return nil // it could never be given again
	}
	return k
}

// stream says whether the answer is one that has no end.
func stream(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/event-stream")
}

// understood says whether this cache knows what the caching of a status needs. It keeps no parts (206), and an interim answer or one to a condition
// is not a whole one.
func understood(status int) bool {
	return status >= 200 && status <= 599 && status != http.StatusPartialContent && status != http.StatusNotModified
}

// heuristic says whether an answer of this status may be kept that says nothing of its freshness. RFC 9110, section 15.1.
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// dated is the header with the time at which the answer was made; of one that does not say it that is when it came. RFC 9110, section 6.6.1.
func dated(x *Exchange) http.Header {
	if _, err := http.ParseTime(x.Header.Get("Date")); err == nil {
		return x.Header
	}
	h := maps.Clone(x.Header)
	if h == nil {
		h = http.Header{}
	}
	h["Date"] = []string{x.Came.UTC().Format(http.TimeFormat)}
	return h
}

// initialAge is how old the answer was when it came. RFC 9111, section 4.2.3.
func initialAge(x *Exchange) time.Duration {
	apparent := time.Duration(0)
	if date, err := http.ParseTime(x.Header.Get("Date")); err == nil {
		apparent = x.Came.Truncate(time.Second).Sub(date)
	}
	said := time.Duration(0)
	if v, ok := deltaSeconds(strings.TrimSpace(x.Header.Get("Age"))); ok {
		said = v
	}
	return max(apparent, said+x.Came.Sub(x.Asked), 0)
}

// Age is how old the answer is. RFC 9111, section 4.2.3.
func (k *Kept) Age(now time.Time) time.Duration { return max(0, now.Sub(k.born)) }

// Left is for how long the answer is fresh yet; less than 0 for how long it has been stale.
func (k *Kept) Left(now time.Time) time.Duration { return k.life - k.Age(now) }

// Fresh says whether the answer may be given without asking anybody. RFC 9111, section 4.2.
func (k *Kept) Fresh(now time.Time) bool { return k.Left(now) > 0 }

// WhileRevalidating says whether the answer may be given while a new one is fetched.
func (k *Kept) WhileRevalidating(now time.Time) bool { return -k.Left(now) < k.staleWhile }

// IfError says whether the answer is better than an error.
func (k *Kept) IfError(now time.Time) bool { return -k.Left(now) < k.staleError }

// AgeField is the value of the field Age. RFC 9111, section 5.1.
func (k *Kept) AgeField(now time.Time) string { return strconv.Itoa(int(k.Age(now) / time.Second)) }

// Fails says whether a status is an error in whose place a stale answer may be given. RFC 5861, section 4.
func Fails(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}

// Safe says whether a method only reads. RFC 9110, section 9.2.1.
func Safe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// Invalidates says whether an answer to such a request means that what is kept of its target is no longer right. RFC 9111, section 4.4.
func Invalidates(method string, status int) bool {
	return !Safe(method) && status >= 200 && status < 400
}
