package event

import (
	"errors"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
)

func valid() *Event {
	return &Event{ID: "A234", Source: "/shop", Type: "order.requested"}
}

func wantError(t *testing.T, what string, err error, attribute, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: error %v, want an *Error for %q", what, err, attribute)
	}
	if e.Attribute != attribute || !strings.Contains(e.Reason, reason) {
		t.Errorf("%s: %v, want attribute %q and a reason with %q", what, err, attribute, reason)
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, c := range []struct {
		name              string
		change            func(*Event)
		attribute, reason string
	}{
		{"no id", func(e *Event) { e.ID = "" }, "id", "required"},
		{"no source", func(e *Event) { e.Source = "" }, "source", "required"},
		{"no type", func(e *Event) { e.Type = "" }, "type", "required"},
		{"newline in id", func(e *Event) { e.ID = "a\nb" }, "id", "U+000A"},
		{"delete in type", func(e *Event) { e.Type = "a\x7f" }, "type", "U+007F"},
		{"C1 control in subject", func(e *Event) { e.Subject = "a\u0085" }, "subject", "U+0085"},
		{"noncharacter", func(e *Event) { e.Subject = "\ufdd0" }, "subject", "noncharacter U+FDD0"},
		{"noncharacter at a plane's end", func(e *Event) { e.Subject = "\U0001ffff" }, "subject", "noncharacter U+1FFFF"},
		{"broken UTF-8", func(e *Event) { e.Subject = "a\xff" }, "subject", "UTF-8"},
		{"space in source", func(e *Event) { e.Source = "/a b" }, "source", `" " must be percent-encoded`},
		{"umlaut in source", func(e *Event) { e.Source = "/ü" }, "source", `"ü" must be percent-encoded`},
		{"stray percent in source", func(e *Event) { e.Source = "/a%2" }, "source", "% must be followed by two"},
		{"two fragments", func(e *Event) { e.Source = "/a#b#c" }, "source", "two fragments"},
		{"bad scheme", func(e *Event) { e.Source = "1a:b" }, "source", "scheme"},
		{"empty scheme", func(e *Event) { e.Source = ":b" }, "source", "scheme"},
		{"brackets in a path", func(e *Event) { e.Source = "/a[1]" }, "source", "brackets"},
		{"open address", func(e *Event) { e.Source = "http://[::1/" }, "source", "does not end"},
		{"bad port", func(e *Event) { e.Source = "http://h:8a/" }, "source", "port"},
		{"relative schema", func(e *Event) { e.DataSchema = "schemas/a.json" }, "dataschema", "absolute"},
		{"media type without subtype", func(e *Event) { e.DataContentType = "json" }, "datacontenttype", "media type"},
		{"media type with bad parameter", func(e *Event) { e.DataContentType = "text/plain; charset" }, "datacontenttype", "media type"},
		{"media type with open quote", func(e *Event) { e.DataContentType = `text/plain; a="b` }, "datacontenttype", "media type"},
		{"year 10000", func(e *Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "time", "10000"},
		{"upper-case extension", func(e *Event) { e.Extensions = map[string]any{"Foo": "x"} }, "Foo", "lower-case"},
		{"extension with underscore", func(e *Event) { e.Extensions = map[string]any{"a_b": "x"} }, "a_b", "lower-case"},
		{"extension without name", func(e *Event) { e.Extensions = map[string]any{"": "x"} }, "", "empty"},
		{"extension data", func(e *Event) { e.Extensions = map[string]any{"data": "x"} }, "data", "reserved"},
		{"extension named as attribute", func(e *Event) { e.Extensions = map[string]any{"time": "x"} }, "time", "defined by CloudEvents"},
		{"extension of type int", func(e *Event) { e.Extensions = map[string]any{"a": 1} }, "a", "SetExtension"},
		{"extension with control", func(e *Event) { e.Extensions = map[string]any{"a": "\x00"} }, "a", "U+0000"},
		{"the first of two", func(e *Event) { e.Extensions = map[string]any{"b": 1, "a": 1} }, "a", "SetExtension"},
		{"negative hops", func(e *Event) { e.Extensions = map[string]any{ExtHops: int32(-1)} }, ExtHops, "from 0"},
		{"hops as text", func(e *Event) { e.Extensions = map[string]any{ExtHops: "1"} }, ExtHops, "from 0"},
	} {
		e := valid()
		c.change(e)
		wantError(t, c.name, e.Validate(), c.attribute, c.reason)
	}
}

func TestValidateAccepts(t *testing.T) {
	for _, source := range []string{
		"https://github.com/cloudevents", "mailto:cncf-wg-serverless@lists.cncf.io", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
		"cloudevents/spec/pull/123", "/sensors/tn-1234567/alerts", "1-555-123-4567", "http://[::1]:8080/a?b=[#c", "#f", "//user@host:80/%C3%BC", "?q",
	} {
		e := valid()
		e.Source = source
		err := e.Validate()
		if bad := strings.Contains(source, "?b=["); bad != (err != nil) {
			t.Errorf("Validate with source %q = %v", source, err)
		}
	}
	for _, mediaType := range []string{"text/plain", "application/json; charset=utf-8", `a/b;c="d;\"e";`, "application/vnd.x+json ; a=b", "multipart/form-data; boundary=x-y.z"} {
		e := valid()
		e.DataContentType = mediaType
		if err := e.Validate(); err != nil {
			t.Errorf("Validate with datacontenttype %q = %v", mediaType, err)
		}
	}
	e := valid()
	e.Subject, e.DataSchema, e.Time = "Größe €😀", "https://example.com/schema.json#/definitions/order", time.Now()
	e.Extensions = map[string]any{"flag": true, "n": int32(math.MinInt32), "s": "", ExtHops: int32(0)}
	if err := e.Validate(); err != nil {
		t.Errorf("Validate = %v", err)
	}
}

func TestSetExtension(t *testing.T) {
	link, err := url.Parse("https://example.com/a b")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want any }{
		{true, true},
		{7, int32(7)},
		{int8(-7), int32(-7)},
		{int16(7), int32(7)},
		{int32(math.MaxInt32), int32(math.MaxInt32)},
		{int64(math.MinInt32), int32(math.MinInt32)},
		{uint8(7), int32(7)},
		{uint16(7), int32(7)},
		{uint32(7), int32(7)},
		{uint(7), int32(7)},
		{uint64(7), int32(7)},
		{"text", "text"},
		{[]byte{0xfb, 0xff}, "+/8="},
		{time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600)), "2026-01-02T02:04:05.0000006Z"},
		{link, "https://example.com/a%20b"},
	} {
		e := valid()
		if err := e.SetExtension("x", c.in); err != nil {
			t.Errorf("SetExtension(%T %v): %v", c.in, c.in, err)
		}
		if got := e.Extensions["x"]; got != c.want {
			t.Errorf("SetExtension(%T %v) kept %T %v, want %T %v", c.in, c.in, got, got, c.want, c.want)
		}
	}
	for _, c := range []struct {
		name   string
		in     any
		reason string
	}{
		{"x", int64(math.MaxInt32) + 1, "outside"},
		{"x", uint64(math.MaxUint64), "outside"},
		{"x", uint(math.MaxUint), "outside"},
		{"x", uint32(math.MaxUint32), "outside"},
		{"x", 1.5, "float64"},
		{"x", nil, "nil"},
		{"x", (*url.URL)(nil), "nil"},
		{"x", "\n", "U+000A"},
		{"x", time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), "year"},
		{"X", "a", "lower-case"},
		{"id", "a", "defined"},
		{ExtHops, "many", "whole number"},
		{ExtHops, -1, "from 0"},
	} {
		e := valid()
		wantError(t, c.name, e.SetExtension(c.name, c.in), c.name, c.reason)
		if e.Extensions != nil {
			t.Errorf("SetExtension(%q, %v) changed the event", c.name, c.in)
		}
	}
	e := valid()
	if err := e.SetExtension(ExtHops, "3"); err != nil || e.Hops() != 3 {
		t.Errorf(`SetExtension(%q, "3") = %v, Hops = %d, want 3`, ExtHops, err, e.Hops())
	}
}

func TestIsJSON(t *testing.T) {
	for mediaType, want := range map[string]bool{
		"": true, "application/json": true, "Application/JSON": true, "text/json;charset=utf-8": true, "application/ld+json": true,
		"application/problem+JSON ; a=b": true, "text/plain": false, "application/jsonx": false, "application/xml; a=/json": false,
	} {
		e := &Event{DataContentType: mediaType, Data: []byte("1")}
		if got := e.IsJSON(); got != want {
			t.Errorf("IsJSON with %q = %v, want %v", mediaType, got, want)
		}
		if e.Data = nil; e.IsJSON() {
			t.Errorf("IsJSON with %q and no data = true", mediaType)
		}
	}
}

func TestCloneIsIndependent(t *testing.T) {
	e := valid()
	e.Extensions = map[string]any{"a": "1"}
	c := e.Clone()
	c.ID, c.Extensions["a"] = "other", "2"
	if e.ID != "A234" || e.Extensions["a"] != "1" {
		t.Errorf("changing a clone changed the event: %+v", e)
	}
}

func TestKey(t *testing.T) {
	e := valid()
	if got := e.Key(); got != "" {
		t.Errorf("Key without subject = %q", got)
	}
	if e.Subject = "s"; e.Key() != "s" {
		t.Errorf("Key = %q, want the subject", e.Key())
	}
	if e.Extensions = map[string]any{ExtPartitionKey: "p"}; e.Key() != "p" {
		t.Errorf("Key = %q, want the partitionkey", e.Key())
	}
}

func TestNewID(t *testing.T) {
	now := time.UnixMilli(0x0123456789ab)
	id := newID(now)
	if !strings.HasPrefix(id, "01234567-89ab-7") || len(id) != 36 || !strings.Contains("89ab", id[19:20]) {
		t.Errorf("newID = %q, want a UUID of version 7 for that time", id)
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[NewID()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 ids, only %d different", len(seen))
	}
}

func TestReserved(t *testing.T) {
	for typ, want := range map[string]bool{TypeRunFinished: true, "dalamb.x": true, "dalamb": false, "order.dalamb.": false} {
		if got := Reserved(typ); got != want {
			t.Errorf("Reserved(%q) = %v, want %v", typ, got, want)
		}
	}
}
