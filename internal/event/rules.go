package event

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Error says which attribute of an event is wrong, and why. Attribute is "" when it is the event as a whole, and "data"
// when it is the payload.
type Error struct{ Attribute, Reason string }

func (e *Error) Error() string {
	if e.Attribute == "" {
		return e.Reason
	}
	return fmt.Sprintf("attribute %q: %s", e.Attribute, e.Reason)
}

// ErrNotEvent says that a request or record does not even claim to be a CloudEvent.
var ErrNotEvent = errors.New("not a CloudEvent: neither a cloudevents content type nor CloudEvents attributes")

const jsonMediaType = "application/json"

func wrong(attribute, format string, args ...any) *Error {
	return &Error{Attribute: attribute, Reason: fmt.Sprintf(format, args...)}
}

func twice(attribute string) *Error { return wrong(attribute, "is given more than once") }

// Validate checks every attribute against CloudEvents 1.0, section 3. The error is an *Error. Data is not looked at.
func (e *Event) Validate() error {
	if err := e.validateContext(); err != nil {
		return err
	}
	for name, v := range e.Extensions {
		if validateExtension(name, v) != nil {
			return e.firstBadExtension()
		}
	}
	return nil
}

func (e *Event) validateContext() error {
	for _, a := range [...]struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			return wrong(a.name, "is required and may not be empty")
		}
	}
	for _, a := range [...]struct{ name, value string }{{"id", e.ID}, {"type", e.Type}, {"subject", e.Subject}} {
		if reason := badString(a.value); reason != "" {
			return wrong(a.name, "%s", reason)
		}
	}
	if reason := badURIReference(e.Source); reason != "" {
		return wrong("source", "%s", reason)
	}
	if e.DataSchema != "" {
		if reason := badURI(e.DataSchema); reason != "" {
			return wrong("dataschema", "%s", reason)
		}
	}
	if e.DataContentType != "" && !validMediaType(e.DataContentType) {
		return wrong("datacontenttype", "%q is not a media type such as application/json", clip(e.DataContentType))
	}
	if !e.Time.IsZero() {
		if y := e.Time.UTC().Year(); y < 0 || y > 9999 {
			return wrong("time", "the year %d has no RFC 3339 form", y)
		}
	}
	return nil
}

// firstBadExtension reports in the order of names, so that the same event always gets the same answer.
func (e *Event) firstBadExtension() error {
	for _, name := range e.extensionNames() {
		if err := validateExtension(name, e.Extensions[name]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Event) extensionNames() []string {
	if len(e.Extensions) == 0 {
		return nil
	}
	names := make([]string, 0, len(e.Extensions))
	for name := range e.Extensions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// badName checks the name of an extension. CloudEvents 1.0, section 2.2.
func badName(name string) string {
	switch name {
	case "":
		return "a name may not be empty"
	case "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time":
		return "is defined by CloudEvents and cannot be an extension"
	case "data":
		return "the name is reserved by CloudEvents"
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "a name consists of the lower-case letters a-z and the digits 0-9 only"
		}
	}
	return ""
}

// badString checks a value of type String: valid Unicode without control characters and noncharacters. CloudEvents 1.0, section 2.3.
func badString(s string) string {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return fmt.Sprintf("holds the control character U+%04X", c)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii {
		return ""
	}
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if r >= 0x80 && r <= 0x9f {
			return fmt.Sprintf("holds the control character %U", r)
		}
		if r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
			return fmt.Sprintf("holds the Unicode noncharacter %U", r)
		}
	}
	return ""
}

// validMediaType checks RFC 2046's type "/" subtype *(";" attribute "=" value). mime.ParseMediaType is lenient where the
// subtype is missing, and allocates on the way of every event.
func validMediaType(s string) bool {
	if s == jsonMediaType {
		return true
	}
	typ, rest := token(s)
	if typ == "" || !strings.HasPrefix(rest, "/") {
		return false
	}
	sub, rest := token(rest[1:])
	if sub == "" {
		return false
	}
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return true
		}
		if rest[0] != ';' {
			return false
		}
		rest = strings.TrimLeft(rest[1:], " \t")
		if rest == "" || rest[0] == ';' {
			continue // an empty parameter, which senders do write
		}
		var ok bool
		if rest, ok = parameter(rest); !ok {
			return false
		}
	}
}

func parameter(s string) (rest string, ok bool) {
	name, rest := token(s)
	if name == "" || !strings.HasPrefix(rest, "=") {
		return "", false
	}
	rest = rest[1:]
	if !strings.HasPrefix(rest, `"`) {
		value, rest := token(rest)
		return rest, value != ""
	}
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\':
			i++
		case c == '"':
			return rest[i+1:], true
		case c < 0x20 || c == 0x7f:
			return "", false
		}
	}
	return "", false
}

func token(s string) (tok, rest string) {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// parseTime reads RFC 3339, any offset, and gives UTC.
func parseTime(s string) (time.Time, error) {
	upper := strings.ToUpper(s) // the RFC allows t and z, package time does not
	t, err := time.Parse(time.RFC3339Nano, upper)
	if err != nil || !looksLikeTime(upper) {
		return time.Time{}, fmt.Errorf("%q is not an RFC 3339 time such as 2026-01-31T17:00:00Z", clip(s))
	}
	return t.UTC(), nil
}

// looksLikeTime refuses what time.Parse lets through beyond the RFC: short hours, a comma, an offset of a day.
func looksLikeTime(s string) bool {
	const zone, length = len("+00:00"), len("2006-01-02T15:04:05Z")
	if len(s) < length || s[13] != ':' || s[19] == ',' {
		return false
	}
	return s[len(s)-1] == 'Z' || s[len(s)-zone+1:len(s)-3] < "24"
}

func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, time.RFC3339Nano)
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

// parseInt32 reads a CloudEvents Integer in its canonical form.
func parseInt32(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number between -2147483648 and 2147483647", clip(s))
	}
	return int32(n), nil
}
