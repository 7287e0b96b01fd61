package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/function"
)

// words are what the pages write values with.
func words(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"now":     now,
		"ago":     func(t time.Time) string { return ago(now(), t) },
		"when":    when,
		"date":    func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"long":    long,
		"bytes":   size,
		"kib":     func(n int64) string { return size(n << 10) },
		"count":   count,
		"many":    many,
		"pretty":  pretty,
		"compact": compact,
		"rate":    func(r *float64) string { return strconv.FormatFloat(*r, 'f', 1, 64) },
		"cut":     cut,
		"percent": func(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + "%" },
		"join":    func(all []string) string { return strings.Join(all, ", ") },
		"href":    href,
		"deref":   func(n *int64) int64 { return *n },
		"last":    lastAttempt,
		"dict":    dict,
		"inc":     func(n int) int { return n + 1 },
		"plus":    func(a, b int) int { return a + b },
		"minus":   func(a, b int64) int64 { return a - b },
		"left":    func(all, shown int) int { return all - shown },
		"triggerOf": func(t string) string { // FUNCTION/TRIGGER
			fn, _, _ := strings.Cut(t, "/")
			return href("functions", fn) + "#triggers"
		},
		"seconds": func(s float64) string { return long(time.Duration(s * float64(time.Second))) },
	}
}

// ago is how long something is past, or ahead, in one unit; the page has the time itself beside it.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < time.Second {
		return "now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " d"
}

// when is a time as people read it, with its zone.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// long is a duration in three digits.
func long(d any) string {
	var t time.Duration
	switch d := d.(type) {
	case time.Duration:
		t = d
	case function.Duration:
		t = d.Std()
	}
	switch {
	case t == 0:
		return "0 s"
	case t < time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(t)/float64(time.Millisecond))
	case t < time.Second:
		return fmt.Sprintf("%.3g ms", math.Round(float64(t)/float64(time.Millisecond)*10)/10)
	case t < time.Minute:
		return fmt.Sprintf("%.3g s", t.Seconds())
	case t < time.Hour:
		return t.Round(time.Second).String()
	}
	return t.Round(time.Minute).String()
}

func size(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	return strconv.FormatFloat(f, 'f', min(1, len(unit)-1), 64) + " " + unit
}

// count is a whole number with its thousands apart.
func count(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// many is so many of what has a name, in the plural where it is not one.
func many(n any, name string) string {
	if text := count(n); text != "1" {
		return text + " " + name + "s"
	}
	return "1 " + name
}

// pretty is JSON with a line for each field; what is none stays as it is.
func pretty(doc json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, doc, "", "  ") != nil {
		return string(doc)
	}
	return unescaped(b.String())
}

// compact is JSON on one line.
func compact(doc json.RawMessage) string { return unescaped(string(doc)) }

// unescaped writes those characters as they are that can be read so: those that encoders escape for pages which do not do it themselves, and
// letters of other scripts. What has no shape, or another meaning without its escape, stays escaped.
func unescaped(doc string) string {
	if !strings.Contains(doc, `\u`) {
		return doc
	}
	var b strings.Builder
	for i := 0; i < len(doc); i++ {
		if doc[i] != '\\' || i+1 == len(doc) {
			b.WriteByte(doc[i])
			continue
		}
		if r, length := escape(doc[i:]); length > 0 {
			b.WriteRune(r)
			i += length - 1
			continue
		}
		b.WriteString(doc[i : i+2]) // an escaped backslash escapes nothing behind it
		i++
	}
	return b.String()
}

// escape is the character that an escape at the begin of a text stands for, and how long the escape is; 0 = it stays one.
func escape(text string) (rune, int) {
	r, ok := hex4(text)
	if !ok {
		return 0, 0
	}
	length := 6
	if utf16.IsSurrogate(r) {
		low, ok := hex4(text[6:])
		if !ok {
			return 0, 0
		}
		r, length = utf16.DecodeRune(r, low), 12
	}
	if r == '"' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) || unicode.Is(unicode.Mn, r) {
		return 0, 0
	}
	return r, length
}

// hex4 reads an escape of four hexadecimal digits.
func hex4(text string) (rune, bool) {
	if len(text) < 6 || text[:2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(text[2:6], 16, 32)
	return rune(n), err == nil
}

// cut is the first so many characters of a text.
func cut(most int, s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// href is a path of the console: each part is escaped, and what follows a "?" are pairs of the query, of which empty ones are left out.
func href(parts ...any) string {
	var path strings.Builder
	query := url.Values{}
	for i := 0; i < len(parts); i++ {
		part := fmt.Sprint(parts[i])
		if part == "?" {
			for i++; i+1 < len(parts); i += 2 {
				if value := fmt.Sprint(parts[i+1]); value != "" {
					query.Add(fmt.Sprint(parts[i]), value)
				}
			}
			break
		}
		path.WriteString("/" + url.PathEscape(part))
	}
	if len(query) == 0 {
		return path.String()
	}
	return path.String() + "?" + query.Encode()
}

// lastAttempt is the newest attempt of a run; nil = there is none.
func lastAttempt(r function.Run) *function.Attempt {
	if len(r.Attempts) == 0 {
		return nil
	}
	return &r.Attempts[len(r.Attempts)-1]
}

// dict is what a part of a page gets that takes more than one value: names and values in turn.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}
