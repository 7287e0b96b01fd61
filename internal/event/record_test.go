package event

import (
	"errors"
	"reflect"
	"testing"
)

func headersOf(pairs ...string) []Header {
	hs := []Header{{"ce_specversion", []byte("1.0")}, {"ce_id", []byte("1")}, {"ce_source", []byte("/s")}, {"ce_type", []byte("t")}}
	for i := 0; i < len(pairs); i += 2 {
		hs = append(hs, Header{pairs[i], []byte(pairs[i+1])})
	}
	return hs
}

func TestRecordKeepsEverything(t *testing.T) {
	e := sample()
	e.DataSchema = "urn:x"
	e.Extensions["final"], e.Extensions["count"], e.Extensions["text"] = true, int32(-9), "5"
	key, value, headers := e.ToRecord()
	if string(key) != "customer-42" || &value[0] != &e.Data[0] {
		t.Errorf("ToRecord: key %q; value shares data: %v", key, &value[0] == &e.Data[0])
	}
	got, err := FromRecord(key, value, headers)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("FromRecord(ToRecord) = %+v, %v, want %+v", got, err, e)
	}
	if key, value, _ := valid().ToRecord(); key != nil || value != nil {
		t.Errorf("ToRecord without key and data = %q, %q, want nil and nil", key, value)
	}
}

func TestFromRecord(t *testing.T) {
	at := func(change func(*Event)) *Event {
		e := &Event{ID: "1", Source: "/s", Type: "t"}
		change(e)
		return e
	}
	const structured = `{"specversion":"1.0","id":"1","source":"/s","type":"t","x":5}`
	for _, c := range []struct {
		name       string
		key, value []byte
		headers    []Header
		want       *Event
	}{
		{"no data", nil, nil, headersOf(), at(func(*Event) {})},
		{"empty data", nil, []byte{}, headersOf(), at(func(e *Event) { e.Data = []byte{} })},
		{"broken JSON is kept", nil, []byte("{"), headersOf("content-type", "application/json"), at(func(e *Event) { e.Data, e.DataContentType = []byte("{"), "application/json" })},
		{"other headers", nil, nil, headersOf("trace", "\xff", "Content-Type", "text/plain"), at(func(e *Event) { e.DataContentType = "text/plain" })},
		{"no percent-decoding", nil, nil, headersOf("ce_subject", "100%25 €"), at(func(e *Event) { e.Subject = "100%25 €" })},
		{"a key of its own", []byte("k"), nil, headersOf("ce_subject", "s"), at(func(e *Event) { e.Subject, e.Extensions = "s", map[string]any{ExtPartitionKey: "k"} })},
		{"partitionkey wins over the record's key", []byte("k"), nil, headersOf("ce_partitionkey", "p"), at(func(e *Event) { e.Extensions = map[string]any{ExtPartitionKey: "p"} })},
		{"a binary key", []byte{0xff}, nil, headersOf("ce_subject", "s"), at(func(e *Event) { e.Subject = "s" })},
		{"types that do not fit", nil, nil, headersOf("dalamb-types", "a:int,b:bool,c:what,d,e:int,,:", "ce_a", "x", "ce_b", "yes", "ce_c", "1", "ce_d", "2"),
			at(func(e *Event) { e.Extensions = map[string]any{"a": "x", "b": "yes", "c": "1", "d": "2"} })},
		{"structured", []byte("k"), []byte(structured), []Header{{"content-type", []byte("application/cloudevents+json; charset=UTF-8")}},
			at(func(e *Event) { e.Extensions = map[string]any{"x": int32(5), ExtPartitionKey: "k"} })},
	} {
		got, err := FromRecord(c.key, c.value, c.headers)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: FromRecord = %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func TestFromRecordRefuses(t *testing.T) {
	for _, c := range []struct {
		name              string
		headers           []Header
		attribute, reason string
	}{
		{"no specversion", headersOf()[1:], "specversion", "required"},
		{"no type", headersOf()[:3], "type", "required"},
		{"twice", headersOf("ce_id", "2"), "id", "more than once"},
		{"extension twice", headersOf("ce_x", "", "ce_x", ""), "x", "more than once"},
		{"control", headersOf("ce_subject", "\n"), "subject", "U+000A"},
		{"bytes", headersOf("ce_x", "\xff"), "x", "UTF-8"},
		{"name", headersOf("ce_X", "1"), "X", "lower-case"},
		{"time", headersOf("ce_time", "1"), "time", "RFC 3339"},
		{"hops", headersOf("ce_dalambhops", "99999999999"), "dalambhops", "whole number"},
		{"format", headersOf("content-type", "application/cloudevents+protobuf"), "", "not known"},
		{"structured", headersOf("content-type", "application/cloudevents+json"), "", "not valid JSON"},
	} {
		_, err := FromRecord(nil, nil, c.headers)
		wantError(t, c.name, err, c.attribute, c.reason)
	}
	for _, hs := range [][]Header{nil, {{"content-type", []byte("application/json")}}, {{"id", []byte("1")}}} {
		if _, err := FromRecord(nil, []byte("{}"), hs); !errors.Is(err, ErrNotEvent) {
			t.Errorf("FromRecord(%v) = %v, want ErrNotEvent", hs, err)
		}
	}
}
