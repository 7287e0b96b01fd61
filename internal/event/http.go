package event

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Content types of the JSON event format. CloudEvents HTTP binding, section 3.
const (
	ContentTypeStructured = "application/cloudevents+json"
	ContentTypeBatch      = "application/cloudevents-batch+json"
)

const (
	mediaTypePrefix  = "application/cloudevents"
	headerPrefix     = "Ce-"
	contentTypeField = "Content-Type"
)

// FromHTTP reads the events of a request or response in binary, structured or batched mode; batch says which answer the sender
// expects. It is ErrNotEvent when the headers do not claim to carry an event; any other error is an *Error or a *BatchError. An
// event shares body in binary mode. Binary mode knows no types: extensions are strings (HTTP binding, section 3.1.3.2).
func FromHTTP(h http.Header, body []byte) (events []*Event, batch bool, err error) {
	contentType := h.Get(contentTypeField)
	format, structured, err := formatOf(contentType)
	switch {
	case err != nil:
		return nil, false, err
	case structured && format == ContentTypeBatch:
		events, err = DecodeBatch(body)
		return events, true, err
	case structured:
		e := new(Event)
		if err := e.UnmarshalJSON(body); err != nil {
			return nil, false, err
		}
		return []*Event{e}, false, nil
	case !claimsBinary(h):
		return nil, false, ErrNotEvent
	}
	e, err := fromBinary(h, contentType, body)
	if err != nil {
		return nil, false, err
	}
	return []*Event{e}, false, nil
}

// formatOf says whether a content type announces an event format, and which. One that is not known is an *Error.
func formatOf(contentType string) (format string, structured bool, err error) {
	if len(contentType) < len(mediaTypePrefix) || !strings.EqualFold(contentType[:len(mediaTypePrefix)], mediaTypePrefix) {
		return "", false, nil
	}
	essence, params, _ := strings.Cut(strings.ToLower(contentType), ";")
	essence = strings.TrimSpace(essence)
	if essence != ContentTypeStructured && essence != ContentTypeBatch {
		return "", false, wrong("", "the event format %q is not known; send %s or %s", clip(contentType), ContentTypeStructured, ContentTypeBatch)
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if name == "charset" && strings.Trim(value, `"`) != "utf-8" {
			return "", false, wrong("", "the character set of %q is not supported; send UTF-8", clip(contentType))
		}
	}
	return essence, true, nil
}

// claimsBinary is true when any required attribute is there, so that a sender who forgot one of them is told which.
func claimsBinary(h http.Header) bool {
	for _, name := range [...]string{"Ce-Specversion", "Ce-Id", "Ce-Source", "Ce-Type"} {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

func fromBinary(h http.Header, contentType string, body []byte) (*Event, error) {
	d := decoder{event: Event{DataContentType: contentType}}
	for _, field := range attributeFields(h) {
		name, values := strings.ToLower(field[len(headerPrefix):]), h[field]
		if len(values) != 1 {
			return nil, twice(name)
		}
		value, err := decodeHeader(values[0])
		if err != nil {
			return nil, wrong(name, "%v", err)
		}
		if raw := values[0]; (name == "source" || name == "dataschema") && badURIReference(value) != "" && badURIReference(raw) == "" {
			value = raw // its escapes are the URI's own: the sender, such as the Go SDK, does not encode headers
		}
		if err := d.header(name, value); err != nil {
			return nil, err
		}
	}
	if err := checkSpecVersion(d.specVersion); err != nil {
		return nil, err
	}
	if err := d.event.validateContext(); err != nil {
		return nil, err
	}
	if len(body) > 0 {
		d.event.Data = body
	}
	if d.event.IsJSON() && !validJSON(body) {
		if contentType == "" {
			return nil, wrong("data", "is not valid JSON, and no Content-Type says what else it is")
		}
		return nil, wrong("data", "is not valid JSON, as Content-Type %q says", clip(contentType))
	}
	return &d.event, nil
}

// attributeFields lists the fields that carry attributes, sorted, so that the same headers always get the same answer.
func attributeFields(h http.Header) []string {
	fields := make([]string, 0, len(h))
	for field := range h {
		if len(field) >= len(headerPrefix) && strings.EqualFold(field[:len(headerPrefix)], headerPrefix) {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}

// header takes one attribute whose value arrived as text, and checks it if it is an extension. Content type and data have
// places of their own.
func (d *decoder) header(name, value string) error {
	switch name {
	case "datacontenttype":
		return wrong(name, "is carried by the content type and by nothing else")
	case "time":
		if !d.event.Time.IsZero() {
			return twice(name)
		}
		t, err := timeAttribute(value)
		d.event.Time = t
		return err
	}
	if field := d.field(name); field != nil {
		if value == "" {
			return wrong(name, "may not be empty")
		}
		if *field != "" {
			return twice(name)
		}
		*field = value
		return nil
	}
	v, err := typed(name, value)
	if err != nil {
		return err
	}
	if err := validateExtension(name, v); err != nil {
		return err
	}
	if d.event.Extensions == nil {
		d.event.Extensions = make(map[string]any)
	}
	before := len(d.event.Extensions)
	if d.event.Extensions[name] = v; len(d.event.Extensions) == before {
		return twice(name)
	}
	return nil
}

// ToHTTPBinary sets the headers of binary mode and returns the body. Data without a media type is announced as JSON, which
// is what its absence means. The event must be valid.
func (e *Event) ToHTTPBinary(h http.Header) (body []byte) {
	set := func(name string, value []byte) { h.Set(headerPrefix+name, encodeHeader(value)) }
	set("specversion", []byte(SpecVersion))
	set("id", []byte(e.ID))
	set("source", []byte(e.Source))
	set("type", []byte(e.Type))
	if e.Subject != "" {
		set("subject", []byte(e.Subject))
	}
	if !e.Time.IsZero() {
		set("time", appendTime(nil, e.Time))
	}
	if e.DataSchema != "" {
		set("dataschema", []byte(e.DataSchema))
	}
	for name, v := range e.Extensions {
		set(name, appendText(nil, v))
	}
	if ct := e.contentType(); ct != "" {
		h.Set(contentTypeField, ct)
	}
	return e.Data
}

// contentType makes an implied media type explicit, as the JSON format asks in section 3.1.2.
func (e *Event) contentType() string {
	if e.DataContentType == "" && e.Data != nil {
		return jsonMediaType
	}
	return e.DataContentType
}

// encodeHeader percent-encodes space, double quote, percent and everything that is not printable ASCII. HTTP binding, section 3.1.3.2.
func encodeHeader(value []byte) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(value))
	for _, c := range value {
		if c <= ' ' || c == '"' || c == '%' || c >= 0x7f {
			b = append(b, '%', digits[c>>4], digits[c&0xf])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

var (
	errUnterminated = errors.New("has a double quote that is not closed")
	errHeaderUTF8   = errors.New("is not valid UTF-8 after percent-decoding")
)

// decodeHeader undoes quoted strings, then one round of percent-encoding. A percent sign that no two digits follow stands
// for itself: senders that never encode, such as the Go SDK, send it so.
func decodeHeader(s string) (string, error) {
	if !strings.ContainsAny(s, `"%`) {
		if !utf8.ValidString(s) {
			return "", errHeaderUTF8
		}
		return s, nil
	}
	plain := make([]byte, 0, len(s))
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
			continue
		case s[i] == '\\' && quoted && i+1 < len(s):
			i++
		}
		plain = append(plain, s[i])
	}
	if quoted {
		return "", errUnterminated
	}
	var b bytes.Buffer
	for i := 0; i < len(plain); i++ {
		if plain[i] == '%' && i+2 < len(plain) && isHex(plain[i+1]) && isHex(plain[i+2]) {
			b.WriteByte(unhex(plain[i+1])<<4 | unhex(plain[i+2]))
			i += 2
			continue
		}
		b.WriteByte(plain[i])
	}
	if !utf8.Valid(b.Bytes()) {
		return "", errHeaderUTF8
	}
	return b.String(), nil
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
