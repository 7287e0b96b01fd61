package freshness

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// noon is when every answer of these tests came.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fields makes a header of lines "Name: value".
func fields(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func answered(status int, lines ...string) Exchange {
	return Exchange{Status: status, Header: fields(lines...), Asked: noon, Came: noon}
}

func TestWhatMayBeKept(t *testing.T) {
	hour := Rules{TTL: time.Hour}
	private := answered(200, "Cache-Control: max-age=60")
	private.Credentials = true
	shared := answered(200, "Cache-Control: s-maxage=60")
	shared.Credentials = true
	open := answered(200, "Cache-Control: public, max-age=60")
	open.Credentials = true
	unwanted := answered(200, "Cache-Control: max-age=60")
	unwanted.NoStore = true
	for _, c := range []struct {
		name  string // with the section of RFC 9111, where no other is said
		x     Exchange
		rules Rules
		kept  bool
	}{
		{"3: a status whose answers may be kept, by the rule", answered(200), hour, true},
		{"3: without a rule and a word of the answer", answered(200), Rules{}, false},
		{"3: max-age", answered(200, "Cache-Control: max-age=60"), Rules{}, true},
		{"3: Expires", answered(200, "Expires: Sun, 22 Nov 2026 13:00:00 GMT"), Rules{}, true},
		{"3: a status of which nothing is known needs a word", answered(201), hour, false},
		{"3: and is kept with one", answered(201, "Cache-Control: max-age=60"), hour, true},
		{"3: an error needs a word", answered(500), hour, false},
		{"3: gone", answered(410), hour, true},
		{"3: an interim answer", answered(103, "Cache-Control: max-age=60"), hour, false},
		{"3.3: a part", answered(206, "Cache-Control: max-age=60"), hour, false},
		{"3: an answer to a condition", answered(304, "Cache-Control: max-age=60"), hour, false},
		{"3.5: credentials", private, hour, false},
		{"3.5: credentials, s-maxage", shared, hour, true},
		{"3.5: credentials, public", open, hour, true},
		{"5.2.1.5: the request's no-store", unwanted, hour, false},
		{"5.2.2.5: no-store", answered(200, "Cache-Control: no-store, max-age=60"), hour, false},
		{"5.2.2.5: in capitals and a second line", answered(200, "Cache-Control: max-age=60", "Cache-Control: No-Store"), hour, false},
		{"5.2.2.7: private", answered(200, "Cache-Control: private"), hour, false},
		{"5.2.2.7: private fields", answered(200, `Cache-Control: private="Set-Cookie, X-A", max-age=60`), hour, false},
		{"5.2.2.3: must-understand", answered(200, "Cache-Control: must-understand, no-store, max-age=60"), hour, true},
		{"5.2.2.3: a status that is not", answered(299, "Cache-Control: must-understand, max-age=60"), hour, false},
		{"5.2.2.4: no-cache with a way to ask", answered(200, "Cache-Control: no-cache", `ETag: "1"`), hour, true},
		{"5.2.2.4: no-cache without", answered(200, "Cache-Control: no-cache"), hour, false},
		{"5.2.2.4: no-cache within a value is none", answered(200, `Cache-Control: max-age=60, x="no-cache, no-store"`), hour, true},
		{"4.1: Vary: *", answered(200, "Vary: Accept, *", "Cache-Control: max-age=60"), hour, false},
		{"4.1: Vary", answered(200, "Vary: Accept"), hour, true},
		{"a cookie, RFC 6265", answered(200, "Set-Cookie: a=b", "Cache-Control: public, max-age=60"), hour, false},
		{"a stream without end", answered(200, "Content-Type: text/event-stream; charset=utf-8"), hour, false},
		{"a trailer", answered(200, "Trailer: X-Sum"), hour, false},
		{"more names than are read", answered(200, "Cache-Control: "+manyNames(maxDirectives)+", no-store"), hour, false},
	} {
		if got := Keep(c.x, c.rules) != nil; got != c.kept {
			t.Errorf("%s: kept = %v, want %v", c.name, got, c.kept)
		}
	}
}

func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "x" + strings.Repeat("y", i)
	}
	return strings.Join(names, ",")
}

func TestForHowLongAnAnswerIsFresh(t *testing.T) {
	for _, c := range []struct {
		name string
		x    Exchange
		ttl  time.Duration
		left time.Duration
	}{
		{"4.2.1: s-maxage comes first", answered(200, "Cache-Control: max-age=60, s-maxage=30"), time.Hour, 30 * time.Second},
		{"4.2.1: then max-age", answered(200, "Cache-Control: max-age=60", "Expires: Sun, 22 Nov 2026 13:00:00 GMT"), time.Hour, time.Minute},
		{"4.2.1: then Expires, by the answer's Date", answered(200, "Expires: Sun, 22 Nov 2026 13:00:00 GMT", "Date: Sun, 22 Nov 2026 12:00:00 GMT"), time.Minute, time.Hour},
		{"4.2.2: then the rule", answered(200), time.Minute, time.Minute},
		{"1.2.2: more than there can be", answered(200, "Cache-Control: max-age=99999999999999999999"), 0, (1 << 31) * time.Second},
		{"5.2: a number in quotes", answered(200, `Cache-Control: max-age="60"`), 0, time.Minute},
		{"4.2.1: two that say the same", answered(200, "Cache-Control: max-age=60, max-age=60"), 0, time.Minute},
		{"4.2.3: Age", answered(200, "Cache-Control: max-age=60", "Age: 20"), 0, 40 * time.Second},
		{"4.2.3: a Date in the past", answered(200, "Cache-Control: max-age=60", "Date: Sun, 22 Nov 2026 11:59:45 GMT"), 0, 45 * time.Second},
		{"4.2.3: a Date in the future", answered(200, "Cache-Control: max-age=60", "Date: Sun, 22 Nov 2026 12:10:00 GMT"), 0, time.Minute},
		{"4.2.3: the way here", Exchange{Status: 200, Header: fields("Cache-Control: max-age=60"), Asked: noon.Add(-10 * time.Second), Came: noon}, 0, 50 * time.Second},
	} {
		k := Keep(c.x, Rules{TTL: c.ttl})
		if k == nil {
			t.Errorf("%s: not kept", c.name)
			continue
		}
		if got := k.Left(noon); got != c.left {
			t.Errorf("%s: fresh for %v, want %v", c.name, got, c.left)
		}
		if k.Fresh(noon.Add(c.left)) || !k.Fresh(noon.Add(c.left-time.Second)) {
			t.Errorf("%s: fresh at its end %v, a second before %v", c.name, k.Fresh(noon.Add(c.left)), k.Fresh(noon.Add(c.left-time.Second)))
		}
	}
}

func TestWhatIsSaidBadlyIsStale(t *testing.T) {
	for _, line := range []string{
		"Cache-Control: max-age=abc", "Cache-Control: max-age=-1", "Cache-Control: max-age", "Cache-Control: max-age=60, max-age=61", "Cache-Control: s-maxage=1.5, max-age=60",
		"Expires: 0", "Expires: tomorrow", "Expires: Sun, 22 Nov 2026 11:00:00 GMT",
	} {
		if k := Keep(answered(200, line, `ETag: "1"`), Rules{TTL: time.Hour}); k == nil || k.Fresh(noon) {
			t.Errorf("%s: kept as %+v, want it stale (RFC 9111, 4.2.1 and 5.3)", line, k)
		}
	}
}

func TestWhenAStaleAnswerMayBeGiven(t *testing.T) {
	rules := Rules{TTL: time.Minute, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour}
	for _, c := range []struct {
		name           string
		line           string
		while, instead time.Duration // after its time
	}{
		{"RFC 5861: by the rules", "X: y", time.Minute, time.Hour},
		{"RFC 5861: the answer's own word", "Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=7", 5 * time.Second, 7 * time.Second},
		{"RFC 5861: not at all", "Cache-Control: max-age=60, stale-while-revalidate=0, stale-if-error=0", 0, 0},
		{"RFC 9111, 5.2.2.2: must-revalidate", "Cache-Control: max-age=60, must-revalidate, stale-if-error=60", 0, 0},
		{"RFC 9111, 5.2.2.8: proxy-revalidate", "Cache-Control: max-age=60, proxy-revalidate", 0, 0},
		{"RFC 9111, 5.2.2.10: s-maxage", "Cache-Control: s-maxage=60", 0, 0},
		{"RFC 9111, 5.2.2.10: s-maxage with its own word", "Cache-Control: s-maxage=60, stale-if-error=60", 0, time.Minute},
	} {
		k := Keep(answered(200, c.line, `ETag: "1"`), rules)
		end := noon.Add(time.Minute)
		for what, w := range map[string]struct {
			may  func(time.Time) bool
			long time.Duration
		}{"while revalidating": {k.WhileRevalidating, c.while}, "if error": {k.IfError, c.instead}} {
			if before := w.may(end.Add(w.long - time.Second)); !before || w.may(end.Add(w.long)) {
				t.Errorf("%s, %s: for %v may be given until then %v, then %v", c.name, what, w.long, before, w.may(end.Add(w.long)))
			}
		}
	}
}

func TestAgeOfWhatIsGiven(t *testing.T) {
	k := Keep(answered(200, "Cache-Control: max-age=60", "Age: 5"), Rules{})
	if got := k.AgeField(noon.Add(3500 * time.Millisecond)); got != "8" {
		t.Errorf("Age = %s, want 8 (RFC 9111, 5.1)", got)
	}
	if got := k.Header.Get("Date"); got != "Sun, 22 Nov 2026 12:00:00 GMT" {
		t.Errorf("Date of an answer without = %q, want when it came (RFC 9110, 6.6.1)", got)
	}
}

func TestAskingWhetherItIsRight(t *testing.T) {
	k := Keep(answered(200, `ETag: W/"1"`, "Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT", "Cache-Control: max-age=1"), Rules{})
	h := http.Header{}
	k.Ask(h)
	if h.Get("If-None-Match") != `W/"1"` || h.Get("If-Modified-Since") != "Sun, 22 Nov 2026 10:00:00 GMT" {
		t.Errorf("the question = %v (RFC 9111, 4.3.1)", h)
	}
	for lines, want := range map[string]bool{
		`ETag: "1"`: true, `ETag: W/"1"`: true, `ETag: "2"`: false, "X: y": true,
		"Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT": true, "Last-Modified: Sun, 22 Nov 2026 11:00:00 GMT": false,
	} {
		if got := k.Confirms(fields(lines)); got != want {
			t.Errorf("a 304 with %s confirms it: %v, want %v (RFC 9111, 4.3.4)", lines, got, want)
		}
	}
}

func TestWhatIsConfirmedIsFreshAgain(t *testing.T) {
	k := Keep(answered(200, `ETag: "1"`, "Cache-Control: max-age=60", "Content-Type: text/plain", "X-Old: 1", "Age: 30"), Rules{})
	later := noon.Add(time.Hour)
	said := Exchange{Status: 304, Header: fields("Cache-Control: max-age=90", "X-New: 1", "Content-Type: text/html", "Content-Length: 7"), Asked: later, Came: later}
	h, again := k.Renew(said, Rules{})
	if again == nil || again.Left(later) != 90*time.Second || again.Status != 200 {
		t.Fatalf("renewed = %+v, want it fresh for 90s (RFC 9111, 3.2)", again)
	}
	if h.Get("X-Old") != "1" || h.Get("X-New") != "1" || h.Get("Content-Type") != "text/plain" || h.Get("Content-Length") != "" {
		t.Errorf("its fields = %v, want the old ones with what the 304 says anew, but of the body", h)
	}
	if k.Header.Get("X-New") != "" {
		t.Error("what was kept has changed")
	}
	said.Header = fields("Cache-Control: no-store")
	if _, again := k.Renew(said, Rules{}); again != nil {
		t.Error("it is kept although it is not to be any longer")
	}
	said.Header = fields("Set-Cookie: a=b", "Cache-Control: max-age=60")
	if h, again := k.Renew(said, Rules{}); again != nil || h["Set-Cookie"] != nil {
		t.Errorf("a cookie of a 304 is kept, or given: %v", h)
	}
}

func TestWhoHasItAlready(t *testing.T) {
	said := fields(`ETag: W/"a,b"`, "Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT")
	for _, c := range []struct {
		line string
		want bool
	}{
		{`If-None-Match: "a,b"`, true}, {`If-None-Match: W/"a,b"`, true}, {`If-None-Match: "x", "a,b"`, true}, {"If-None-Match: *", true},
		{`If-None-Match: "a"`, false}, {`If-None-Match: a`, false}, {"If-None-Match: ", false}, {"X: y", false},
		{"If-Modified-Since: Sun, 22 Nov 2026 10:00:00 GMT", true}, {"If-Modified-Since: Sun, 22 Nov 2026 11:00:00 GMT", true},
		{"If-Modified-Since: Sun, 22 Nov 2026 09:00:00 GMT", false}, {"If-Modified-Since: yesterday", false},
	} {
		if got := NotModified(fields(c.line), said); got != c.want {
			t.Errorf("%s: has it = %v, want %v (RFC 9110, 13.1)", c.line, got, c.want)
		}
	}
	if NotModified(fields(`If-None-Match: "x"`, "If-Modified-Since: Sun, 22 Nov 2026 11:00:00 GMT"), said) {
		t.Error("If-Modified-Since counts beside If-None-Match (RFC 9110, 13.2.2)")
	}
}

func TestRequestsThatAreAlike(t *testing.T) {
	names := []string{"Accept-Language", "X-A"}
	same := func(a, b http.Header) bool {
		return strings.Join(SelectedBy(a, names), "\x00") == strings.Join(SelectedBy(b, names), "\x00")
	}
	for _, c := range []struct {
		name string
		a, b http.Header
		want bool
	}{
		{"other fields", fields("Accept: x"), fields("Accept: y"), true},
		{"spaces", fields("X-A:  b "), fields("X-A: b"), true},
		{"lines", fields("X-A: b", "X-A: c"), fields("X-A: b,c"), true},
		{"values", fields("X-A: b"), fields("X-A: c"), false},
		{"absent is not empty", fields(), fields("X-A: "), false},
		{"one field's value in another", fields("X-A: b"), fields("Accept-Language: b"), false},
	} {
		if got := same(c.a, c.b); got != c.want {
			t.Errorf("%s: alike = %v, want %v (RFC 9111, 4.1)", c.name, got, c.want)
		}
	}
}

func TestWhatChangesItsTarget(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		want   bool
	}{{"POST", 201, true}, {"PUT", 204, true}, {"DELETE", 303, true}, {"PURGE", 200, true}, {"POST", 400, false}, {"POST", 500, false}, {"GET", 200, false}, {"OPTIONS", 200, false}, {"PROPFIND", 207, false}} {
		if got := Invalidates(c.method, c.status); got != c.want {
			t.Errorf("%s answered %d invalidates: %v, want %v (RFC 9111, 4.4)", c.method, c.status, got, c.want)
		}
	}
}

func TestWhatAClientMayAskOfACache(t *testing.T) {
	w := WishesOf(fields("Cache-Control: no-cache, max-age=0", "Cache-Control: Only-If-Cached, no-store"))
	if !w.NoStore || !w.OnlyIfCached || (WishesOf(http.Header{}) != Wishes{}) {
		t.Errorf("wishes = %+v", w)
	}
}

func FuzzKeep(f *testing.F) {
	for _, s := range []string{"max-age=60", `private="a,b", no-cache`, `"unended`, `a="\"`, ",,=,", "s-maxage=99999999999999999999"} {
		f.Add(s, "Accept, *", "Sun, 22 Nov 2026 12:00:00 GMT", `W/"1", "2`)
	}
	f.Fuzz(func(t *testing.T, control, vary, at, tags string) {
		h := http.Header{"Cache-Control": {control}, "Vary": {vary}, "Date": {at}, "Expires": {at}, "Last-Modified": {at}, "Etag": {tags}, "Age": {control}}
		k := Keep(Exchange{Status: 200, Header: h, Asked: noon, Came: noon}, Rules{TTL: time.Hour, StaleIfError: time.Hour})
		NotModified(http.Header{"If-None-Match": {tags}, "If-Modified-Since": {at}}, h)
		lower := strings.ToLower(control)
		if k != nil && !strings.ContainsAny(control, "\"=\\") && !strings.Contains(lower, "must-understand") {
			for name := range strings.SplitSeq(lower, ",") {
				if name = strings.TrimSpace(name); name == "no-store" || name == "private" {
					t.Errorf("kept with Cache-Control: %q", control)
				}
			}
		}
		if k != nil && (k.Age(noon) < 0 || k.Left(noon) > (1<<31)*time.Second && !strings.Contains(at, " ")) {
			t.Errorf("age %v, left %v", k.Age(noon), k.Left(noon))
		}
	})
}
