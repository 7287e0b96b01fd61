package event

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestUnmarshalJSON(t *testing.T) {
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	at := func(change func(*Event)) *Event {
		e := &Event{ID: "1", Source: "/s", Type: "t"}
		change(e)
		return e
	}
	for _, c := range []struct {
		name, rest string
		want       *Event
	}{
		{"bare", `}`, at(func(*Event) {})},
		{"all attributes", `,"subject":"s","time":"2018-04-05T17:31:00.5+02:00","datacontenttype":"text/xml","dataschema":"urn:x","data":"<a/>"}`,
			at(func(e *Event) {
				e.Subject, e.DataContentType, e.DataSchema, e.Data = "s", "text/xml", "urn:x", []byte("<a/>")
				e.Time = time.Date(2018, 4, 5, 15, 31, 0, 5e8, time.UTC)
			})},
		{"lower-case time", `,"time":"2018-04-05t17:31:00z"}`, at(func(e *Event) { e.Time = time.Date(2018, 4, 5, 17, 31, 0, 0, time.UTC) })},
		{"null is unset", `,"subject":null,"time":null,"ext":null,"data_base64":null,"dataschema":null}`, at(func(*Event) {})},
		{"extensions", `,"b":true,"f":false,"n":-5,"z":-0,"s":"€","e":""}`, at(func(e *Event) {
			e.Extensions = map[string]any{"b": true, "f": false, "n": int32(-5), "z": int32(0), "s": "€", "e": ""}
		})},
		{"hops as text", `,"dalambhops":"5"}`, at(func(e *Event) { e.Extensions = map[string]any{ExtHops: int32(5)} })},
		{"data is kept byte for byte", ",\"data\":  { \"b\": 1.10,\n\"a\": [\"]}\\\"\"] } }", at(func(e *Event) { e.Data = []byte("{ \"b\": 1.10,\n\"a\": [\"]}\\\"\"] }") })},
		{"data null", `,"data":null}`, at(func(e *Event) { e.Data = []byte("null") })},
		{"data null and not JSON", `,"data":null,"datacontenttype":"text/plain"}`, at(func(e *Event) { e.DataContentType = "text/plain" })},
		{"JSON string stays quoted", `,"data":"I'm just a string"}`, at(func(e *Event) { e.Data = []byte(`"I'm just a string"`) })},
		{"text is unquoted", `,"data":"a\u00e9\n\ud83d\ude00\"\/","datacontenttype":"text/plain"}`,
			at(func(e *Event) { e.Data, e.DataContentType = []byte("aé\n😀\"/"), "text/plain" })},
		{"base64", `,"data_base64":"AP8=","datacontenttype":"image/png"}`, at(func(e *Event) { e.Data, e.DataContentType = []byte{0, 255}, "image/png" })},
		{"empty base64", `,"data_base64":""}`, at(func(e *Event) { e.Data = []byte{} })},
		{"base64 beside data null", `,"data_base64":"AA==","data":null,"datacontenttype":"a/b"}`, at(func(e *Event) { e.Data, e.DataContentType = []byte{0}, "a/b" })},
	} {
		var got Event
		if err := json.Unmarshal([]byte(head+c.rest), &got); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !reflect.DeepEqual(&got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, *c.want)
		}
	}
}

func TestUnmarshalJSONRefuses(t *testing.T) {
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t",`
	for _, c := range []struct{ text, attribute, reason string }{
		{``, "", "not valid JSON"},
		{`{`, "", "not valid JSON"},
		{`null`, "", "this is null"},
		{`[]`, "", "this is an array"},
		{`"a"`, "", "this is a string"},
		{`7`, "", "this is a number"},
		{"{\"id\":\"\xff\"}", "", "UTF-8"},
		{`{}`, "specversion", "required"},
		{`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, "specversion", `"0.3" is not supported`},
		{`{"specversion":1.0}`, "specversion", "a number, not a string"},
		{`{"specversion":"1.0","source":"/s","type":"t"}`, "id", "required"},
		{`{"specversion":"1.0","id":"","source":"/s","type":"t"}`, "id", "empty"},
		{`{"specversion":"1.0","id":"1","type":"t"}`, "source", "required"},
		{`{"specversion":"1.0","id":"1","source":"/s"}`, "type", "required"},
		{`{"specversion":"1.0","id":null,"source":"/s","type":"t"}`, "id", "required"},
		{head + `"id":"2"}`, "id", "more than once"},
		{head + `"\u0069d":"2"}`, "id", "more than once"},
		{head + `"x":null,"x":null}`, "x", "more than once"},
		{head + `"data":1,"data":2}`, "data", "more than once"},
		{head + `"subject":5}`, "subject", "a number, not a string"},
		{head + `"subject":""}`, "subject", "empty"},
		{head + `"subject":"\ud800"}`, "subject", "surrogate"},
		{head + `"subject":"\ud800\u0041"}`, "subject", "surrogate"},
		{head + `"subject":"\udc00\ud800"}`, "subject", "surrogate"},
		{head + `"subject":"\u0000"}`, "subject", "U+0000"},
		{head + `"\ud800":1}`, "", "surrogate"},
		{head + `"time":"yesterday"}`, "time", "RFC 3339"},
		{head + `"time":"2018-04-05T7:31:00Z"}`, "time", "RFC 3339"},
		{head + `"time":"2018-04-05T17:31:00,5Z"}`, "time", "RFC 3339"},
		{head + `"time":"2018-04-05T17:31:00+24:00"}`, "time", "RFC 3339"},
		{head + `"time":"2018-04-05T17:31:00"}`, "time", "RFC 3339"},
		{head + `"time":"2018-04-05 17:31:00Z"}`, "time", "RFC 3339"},
		{head + `"time":""}`, "time", "RFC 3339"},
		{head + `"time":1}`, "time", "a number, not a string"},
		{head + `"Ext":"x"}`, "Ext", "lower-case"},
		{head + `"a_b":"x"}`, "a_b", "lower-case"},
		{head + `"":"x"}`, "", "empty"},
		{head + `"x":{}}`, "x", "an object"},
		{head + `"x":[1]}`, "x", "an array"},
		{head + `"x":1.5}`, "x", "whole number"},
		{head + `"x":5.0}`, "x", "whole number"},
		{head + `"x":1e2}`, "x", "whole number"},
		{head + `"x":2147483648}`, "x", "whole number"},
		{head + `"x":-2147483649}`, "x", "whole number"},
		{head + `"dalambhops":-1}`, "dalambhops", "from 0"},
		{head + `"dalambhops":true}`, "dalambhops", "from 0"},
		{head + `"data":1,"data_base64":"AA=="}`, "data", "both"},
		{head + `"data_base64":"A"}`, "data_base64", "base64"},
		{head + `"data_base64":{}}`, "data_base64", "an object"},
		{head + `"datacontenttype":"text/plain","data":{}}`, "data", "an object"},
		{head + `"datacontenttype":"text/plain","data":"\ud800"}`, "data", "surrogate"},
		{head + `"datacontenttype":"json","data":1}`, "datacontenttype", "media type"},
	} {
		e := Event{ID: "before"}
		wantError(t, c.text, e.UnmarshalJSON([]byte(c.text)), c.attribute, c.reason)
		if !reflect.DeepEqual(e, Event{ID: "before"}) {
			t.Errorf("%s: a refused text changed the event to %+v", c.text, e)
		}
	}
}

func TestMarshalJSON(t *testing.T) {
	e := &Event{
		ID: `a"\b`, Source: "/s", Type: "t", Subject: "é", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", -3600)),
		DataContentType: "application/json", DataSchema: "urn:x", Extensions: map[string]any{"z": "1", "b": true, "n": int32(-3)}, Data: []byte(`{"a": "<&>"}`),
	}
	const want = `{"specversion":"1.0","id":"a\"\\b","source":"/s","type":"t","subject":"é","time":"2026-01-02T04:04:05Z",` +
		`"datacontenttype":"application/json","dataschema":"urn:x","b":true,"n":-3,"z":"1","data":{"a": "<&>"}}`
	if got, err := e.MarshalJSON(); err != nil || string(got) != want {
		t.Errorf("MarshalJSON = %s, %v, want %s", got, err, want)
	}
	for _, c := range []struct{ mediaType, data, want string }{
		{"text/plain", "a", `"data_base64":"YQ=="`},
		{"application/json", "{", `"data_base64":"ew=="`},
		{"", "\"\xff\"", `"data_base64":"Iv8i"`},
		{"", "", `"data_base64":""`},
		{"", "null", `"data":null`},
	} {
		e := valid()
		e.DataContentType, e.Data = c.mediaType, []byte(c.data)
		if got, err := e.MarshalJSON(); err != nil || !strings.Contains(string(got), c.want) || !json.Valid(got) {
			t.Errorf("MarshalJSON of %q data %q = %s, %v, want %s in it", c.mediaType, c.data, got, err, c.want)
		}
	}
	_, err := (&Event{}).MarshalJSON()
	wantError(t, "the zero event", err, "id", "required")
}

func TestBatch(t *testing.T) {
	one, two := valid(), valid()
	two.ID, two.Data = "B", []byte(`[1]`)
	text, err := EncodeBatch([]*Event{one, two})
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeBatch(append([]byte(" \n"), text...))
	if err != nil || !reflect.DeepEqual(got, []*Event{one, two}) {
		t.Errorf("DecodeBatch(%s) = %v, %v", text, got, err)
	}
	for _, empty := range []string{"[]", " [ \n] "} {
		if got, err := DecodeBatch([]byte(empty)); err != nil || len(got) != 0 {
			t.Errorf("DecodeBatch(%q) = %v, %v, want none", empty, got, err)
		}
	}
	if text, err := EncodeBatch(nil); err != nil || string(text) != "[]" {
		t.Errorf("EncodeBatch(nil) = %s, %v, want []", text, err)
	}
	_, err = DecodeBatch([]byte(`{}`))
	wantError(t, "an object as batch", err, "", "array of events")

	for _, c := range []struct {
		text  string
		index int
	}{
		{`[7]`, 0}, {`[null]`, 0},
		{`[{"specversion":"1.0","id":"1","source":"/","type":"t"} , {"specversion":"1.0","id":"1","source":"/"}]`, 1},
	} {
		got, err := DecodeBatch([]byte(c.text))
		var be *BatchError
		if !errors.As(err, &be) || be.Index != c.index || got != nil {
			t.Errorf("DecodeBatch(%s) = %v, %v, want a BatchError with index %d", c.text, got, err, c.index)
		}
	}
	_, err = EncodeBatch([]*Event{one, {}})
	var be *BatchError
	if !errors.As(err, &be) || be.Index != 1 {
		t.Errorf("EncodeBatch with a bad second event = %v, want a BatchError with index 1", err)
	}
}

// An event whose data nobody can read has none in JSON; an empty one is there.
func TestSealedDataIsLeftOut(t *testing.T) {
	e := &Event{ID: "1", Source: "/s", Type: "t", Data: []byte{}}
	if text := string(e.AppendJSON(nil)); !strings.Contains(text, `"data_base64":""`) {
		t.Errorf("AppendJSON = %s, want empty data", text)
	}
	e.Extensions = map[string]any{ExtSealed: SealedForgotten}
	if text := string(e.AppendJSON(nil)); strings.Contains(text, "data_base64") {
		t.Errorf("AppendJSON = %s, want no data", text)
	}
}
