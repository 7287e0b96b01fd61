package event

import (
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"
)

func binaryHeader(pairs ...string) http.Header {
	h := http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}, "Accept": {"*/*"}}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestFromHTTPBinary(t *testing.T) {
	h := binaryHeader("ce-subject", "Euro%20%E2%82%AC%20%f0%9f%98%80", "ce-time", "2018-04-05T03:56:24Z", "ce-dataschema", "urn:x",
		"Content-Type", "text/plain; charset=latin-1", "ce-n", "5", "ce-dalambhops", "7", "ce-empty", "")
	events, batch, err := FromHTTP(h, []byte("hi\xff"))
	if err != nil || batch || len(events) != 1 {
		t.Fatalf("FromHTTP = %v, %v, %v", events, batch, err)
	}
	want := &Event{
		ID: "1", Source: "/s", Type: "t", Subject: "Euro € 😀", Time: time.Date(2018, 4, 5, 3, 56, 24, 0, time.UTC), DataSchema: "urn:x",
		DataContentType: "text/plain; charset=latin-1", Data: []byte("hi\xff"), Extensions: map[string]any{"n": "5", ExtHops: int32(7), "empty": ""},
	}
	if !reflect.DeepEqual(events[0], want) {
		t.Errorf("FromHTTP = %+v, want %+v", events[0], want)
	}
	if events, _, err := FromHTTP(binaryHeader("Content-Type", "application/json"), nil); err != nil || events[0].Data != nil {
		t.Errorf("FromHTTP without a body = %v, %v, want an event without data", events, err)
	}
}

func TestFromHTTPRefuses(t *testing.T) {
	without := func(name string) http.Header {
		h := binaryHeader()
		h.Del(name)
		return h
	}
	twice := binaryHeader()
	twice["ce-id"] = []string{"2"}
	for _, c := range []struct {
		name              string
		h                 http.Header
		body              string
		attribute, reason string
	}{
		{"no specversion", without("Ce-Specversion"), "", "specversion", "required"},
		{"no id", without("Ce-Id"), "", "id", "required"},
		{"no source", without("Ce-Source"), "", "source", "required"},
		{"no type", without("Ce-Type"), "", "type", "required"},
		{"id twice", binaryHeader("ce-id", "2"), "", "id", "more than once"},
		{"id twice in two spellings", twice, "", "id", "more than once"},
		{"empty subject", binaryHeader("ce-subject", ""), "", "subject", "empty"},
		{"bad time", binaryHeader("ce-time", "now"), "", "time", "RFC 3339"},
		{"datacontenttype as ce- header", binaryHeader("ce-datacontenttype", "a/b"), "", "datacontenttype", "content type"},
		{"data as header", binaryHeader("ce-data", "x"), "", "data", "reserved"},
		{"bad name", binaryHeader("ce-a-b", "x"), "", "a-b", "lower-case"},
		{"overlong encoding", binaryHeader("ce-subject", "%C0%A0"), "", "subject", "UTF-8"},
		{"raw bytes", binaryHeader("ce-subject", "\xff"), "", "subject", "UTF-8"},
		{"encoded control", binaryHeader("ce-subject", "a%0Ab"), "", "subject", "U+000A"},
		{"open quote", binaryHeader("ce-subject", `"a`), "", "subject", "double quote"},
		{"hops", binaryHeader("ce-dalambhops", "x"), "", "dalambhops", "whole number"},
		{"broken JSON", binaryHeader("content-type", "application/json"), "{", "data", "not valid JSON"},
		{"undeclared data", binaryHeader(), "hello", "data", "no Content-Type"},
		{"bad media type", binaryHeader("content-type", "hello"), "hello", "datacontenttype", "media type"},
		{"unknown format", http.Header{"Content-Type": {"application/cloudevents+avro"}}, "", "", "not known"},
		{"other character set", http.Header{"Content-Type": {"application/cloudevents+json; charset=utf-16"}}, "{}", "", "UTF-8"},
		{"structured", http.Header{"Content-Type": {"application/cloudevents+json"}}, "{}", "specversion", "required"},
	} {
		events, _, err := FromHTTP(c.h, []byte(c.body))
		wantError(t, c.name, err, c.attribute, c.reason)
		if events != nil {
			t.Errorf("%s: events %v beside the error", c.name, events)
		}
	}
	for _, h := range []http.Header{{}, {"Content-Type": {"application/json"}}, {"Ce-Foo": {"x"}}} {
		if _, _, err := FromHTTP(h, []byte("{}")); !errors.Is(err, ErrNotEvent) {
			t.Errorf("FromHTTP(%v) = %v, want ErrNotEvent", h, err)
		}
	}
	_, batch, err := FromHTTP(http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, []byte(`[{}]`))
	var be *BatchError
	if !batch || !errors.As(err, &be) {
		t.Errorf("FromHTTP of a bad batch = %v, %v, want a BatchError", batch, err)
	}
}

func TestFromHTTPStructuredAndBatch(t *testing.T) {
	e := valid()
	e.Data = []byte(`{"a":1}`)
	single, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		contentType, body string
		batch             bool
		want              []*Event
	}{
		{"application/cloudevents+json", string(single), false, []*Event{e}},
		{`Application/CloudEvents+JSON; charset="UTF-8"`, string(single), false, []*Event{e}},
		{"application/cloudevents-batch+json; charset=utf-8", "[" + string(single) + "]", true, []*Event{e}},
		{"application/cloudevents-batch+json", "[]", true, []*Event{}},
	} {
		h := binaryHeader("Content-Type", c.contentType) // the attributes of the body win over those of the headers
		got, batch, err := FromHTTP(h, []byte(c.body))
		if err != nil || batch != c.batch || !reflect.DeepEqual(got, c.want) {
			t.Errorf("FromHTTP(%s, %s) = %v, %v, %v", c.contentType, c.body, got, batch, err)
		}
	}
}

func TestHeaderEncoding(t *testing.T) {
	for plain, encoded := range map[string]string{
		"Euro € 😀": "Euro%20%E2%82%AC%20%F0%9F%98%80", `say "100%"`: "say%20%22100%25%22", "a\nb\x7f": "a%0Ab%7F", "!~": "!~", "": "",
	} {
		if got := encodeHeader([]byte(plain)); got != encoded {
			t.Errorf("encodeHeader(%q) = %q, want %q", plain, got, encoded)
		}
		if got, err := decodeHeader(encoded); err != nil || got != plain {
			t.Errorf("decodeHeader(%q) = %q, %v, want %q", encoded, got, err, plain)
		}
	}
	for encoded, plain := range map[string]string{
		`"a \"b\" \\ c"`: `a "b" \ c`, `"%41"`: "A", "%2541": "%41", "100%": "100%", "%zz%4": "%zz%4", "raw €": "raw €", `a"b c"d`: "ab cd", `a\b`: `a\b`,
	} {
		if got, err := decodeHeader(encoded); err != nil || got != plain {
			t.Errorf("decodeHeader(%q) = %q, %v, want %q", encoded, got, err, plain)
		}
	}
}

func TestToHTTPBinary(t *testing.T) {
	e := valid()
	h := http.Header{}
	if body := e.ToHTTPBinary(h); body != nil || h.Get("Content-Type") != "" || len(h) != 4 {
		t.Errorf("ToHTTPBinary without data = %q, headers %v", body, h)
	}
	e.Data = []byte("1")
	if body := e.ToHTTPBinary(h); string(body) != "1" || h.Get("Content-Type") != "application/json" {
		t.Errorf("ToHTTPBinary = %q, headers %v, want the implied content type", body, h)
	}
}
