package freshness

import (
	"iter"
	"math"
	"net/http"
	"strings"
	"time"
)

// directives are those of a Cache-Control field, by name in lower case. RFC 9111, section 5.2.
type directives map[string]directive

type directive struct {
	value string
	// torn says that it is given twice with different values. What is said of freshness then does not count: section 4.2.1.
	torn bool
}

// maxDirectives bounds what is read of a field that somebody has made to be long.
const maxDirectives = 64

// parseDirectives reads the lines of a Cache-Control field. What is malformed of a line is left out, up to the next comma.
func parseDirectives(lines []string) directives {
	d := directives{}
	for _, line := range lines {
		for item := range listItems(line) {
			name, value, _ := strings.Cut(item, "=")
			name, value = strings.ToLower(strings.TrimSpace(name)), unquote(strings.TrimSpace(value))
			if name == "" {
				continue
			}
			if was, twice := d[name]; twice {
				d[name] = directive{was.value, was.torn || was.value != value}
				continue
			}
			if len(d) == maxDirectives {
				// Which one is not read any more could be the one that forbids.
				d["no-store"] = directive{}
				return d
			}
			d[name] = directive{value: value}
		}
	}
	return d
}

// listItems are the items of a list, whose commas do not count within quotes. RFC 9110, section 5.6.1.
func listItems(line string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(line); i++ {
			switch {
			case quoted && line[i] == '\\':
				i++
			case line[i] == '"':
				quoted = !quoted
			case line[i] == ',' && !quoted:
				if !yield(strings.TrimSpace(line[start:i])) {
					return
				}
				start = i + 1
			}
		}
		yield(strings.TrimSpace(line[start:]))
	}
}

// unquote takes the quotes off a value, which numbers may have too: section 5.2.
func unquote(v string) string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return v
	}
	return strings.ReplaceAll(v[1:len(v)-1], `\`, "")
}

// fieldNames are the names in a field such as Vary, as net/http spells them.
func fieldNames(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for name := range strings.SplitSeq(line, ",") {
				if name = strings.TrimSpace(name); name != "" && !yield(http.CanonicalHeaderKey(name)) {
					return
				}
			}
		}
	}
}

func (d directives) has(name string) bool {
	_, ok := d[name]
	return ok
}

// storable says whether a shared cache may keep the answer at all. `private` with names of fields keeps the whole answer out, which section 5.2.2.7
// lets a cache do.
func (d directives) storable(status int) bool {
	if !understood(status) || d.has("private") {
		return false
	}
	if d.has("must-understand") { // then no-store is for those that do not: section 5.2.2.3
		return heuristic(status)
	}
	return !d.has("no-store")
}

// strict says that the answer is not to be given when it is stale, whatever the reason. RFC 9111, section 4.2.4.
func (d directives) strict() bool {
	return d.has("must-revalidate") || d.has("proxy-revalidate") || d.has("no-cache")
}

// stale is how long after its time an answer may be given, by its own directive or else the rule's. Of one with s-maxage the rule says nothing, which
// is proxy-revalidate too (section 5.2.2.10): only the answer itself can say otherwise.
func (d directives) stale(name string, rule time.Duration) time.Duration {
	switch {
	case d.strict():
		return 0
	case d.has("s-maxage"):
		rule = 0
	}
	return d.seconds(name, rule)
}

// lifetime is for how long the answer says that it is fresh. What it says badly makes it stale. RFC 9111, section 4.2.1.
func (d directives) lifetime(x *Exchange) (life time.Duration, said bool) {
	for _, name := range []string{"s-maxage", "max-age"} {
		if d.has(name) {
			return d.seconds(name, 0), true
		}
	}
	if x.Header["Expires"] == nil {
		return 0, d.has("no-cache")
	}
	expires, err := http.ParseTime(x.Header.Get("Expires"))
	if err != nil || len(x.Header["Expires"]) > 1 { // "0" is a way to say that it has expired: section 5.3
		return 0, true
	}
	date, err := http.ParseTime(x.Header.Get("Date"))
	if err != nil {
		date = x.Came
	}
	return max(0, expires.Sub(date)), true
}

// seconds is the value of a directive in seconds; other where it is not there, 0 where it is none or is torn.
func (d directives) seconds(name string, other time.Duration) time.Duration {
	one, ok := d[name]
	if !ok {
		return other
	}
	v, ok := deltaSeconds(one.value)
	if !ok || one.torn {
		return 0
	}
	return v
}

// deltaSeconds reads a number of seconds; one that is too large is 2^31. RFC 9111, section 1.2.2.
func deltaSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n := int64(0)
	for _, c := range []byte(s) {
		if n = n*10 + int64(c-'0'); n > math.MaxInt32 {
			n = math.MaxInt32 + 1
			break
		}
	}
	return time.Duration(n) * time.Second, true
}

// Wishes are what a client asks of a cache. Directives of requests are advice (RFC 9111, section 5.2.1); those that would let any client make the
// origin work are not taken: no-cache, max-age, min-fresh.
type Wishes struct {
	NoStore      bool
	OnlyIfCached bool // 504 rather than ask the origin: section 5.2.1.7
}

// WishesOf reads them.
func WishesOf(h http.Header) Wishes {
	lines := h["Cache-Control"]
	if lines == nil {
		return Wishes{}
	}
	d := parseDirectives(lines)
	return Wishes{NoStore: d.has("no-store"), OnlyIfCached: d.has("only-if-cached")}
}
