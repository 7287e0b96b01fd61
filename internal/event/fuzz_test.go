package event

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// Whatever is accepted must be valid, and come back from each encoding as it was.
func checkAccepted(t *testing.T, e *Event) {
	t.Helper()
	if err := e.Validate(); err != nil {
		t.Fatalf("accepted %+v, which is not valid: %v", e, err)
	}
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatalf("accepted %+v, which has no JSON form: %v", e, err)
	}
	var again Event
	if err := again.UnmarshalJSON(text); err != nil || !reflect.DeepEqual(&again, e) {
		t.Fatalf("%+v comes back from %s as %+v, %v", e, text, again, err)
	}
	if r, err := FromRecord(e.ToRecord()); err != nil || !reflect.DeepEqual(r, explicit(e)) {
		t.Fatalf("%+v comes back from its record as %+v, %v", e, r, err)
	}
}

func FuzzUnmarshalJSON(f *testing.F) {
	for _, e := range exchanged() {
		text, err := e.MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, s := range []string{
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":[{"b":"]}"}]},"x":null,"y":-5,"z":false}`,
		`{"specversion":"1.0","id":"\ud83d\ude00","source":"urn:a","type":"t","time":"2018-04-05t17:31:00+23:59","data_base64":"AP8="}`,
		`{"specversion":"1.0","id":"1","source":"//[::1]:8","type":"t","datacontenttype":"text/plain","data":"\u00e9"}`,
		"[]", "null", `{"id":`, `{"id":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if e.UnmarshalJSON(b) == nil {
			checkAccepted(t, &e)
		}
		if events, err := DecodeBatch(b); err == nil {
			for _, e := range events {
				checkAccepted(t, e)
			}
		}
	})
}

// Headers are given to the HTTP and record targets as lines "name: value".
func lines(s string) [][2]string {
	var out [][2]string
	for line := range strings.SplitSeq(s, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			out = append(out, [2]string{name, value})
		}
	}
	return out
}

func FuzzFromHTTP(f *testing.F) {
	const binary = "ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\n"
	f.Add(binary, []byte{})
	f.Add(binary+"content-type: application/json\nce-time: 2018-04-05T17:31:00Z\nce-subject: Euro%20%E2%82%AC\nce-dalambhops: 3", []byte(`{"a":1}`))
	f.Add(binary+"content-type: text/plain\nce-name: \"a \\\" b\"\nce-other: 100%", []byte("\xff"))
	f.Add("content-type: application/cloudevents+json; charset=utf-8", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`))
	f.Add("content-type: application/cloudevents-batch+json", []byte(`[{"specversion":"1.0","id":"1","source":"/s","type":"t"}]`))
	f.Add("content-type: application/cloudevents+avro", []byte{1})
	f.Fuzz(func(t *testing.T, headers string, body []byte) {
		h := http.Header{}
		for _, l := range lines(headers) {
			h.Add(l[0], l[1])
		}
		events, _, err := FromHTTP(h, body)
		if err != nil {
			return
		}
		for _, e := range events {
			checkAccepted(t, e)
			out := http.Header{}
			if _, _, err := FromHTTP(out, e.ToHTTPBinary(out)); err != nil && (!e.IsJSON() || validJSON(e.Data)) {
				t.Fatalf("%+v does not come back from %v: %v", e, out, err)
			}
		}
	})
}

func FuzzFromRecord(f *testing.F) {
	const binary = "ce_specversion: 1.0\nce_id: 1\nce_source: /s\nce_type: t\n"
	f.Add([]byte(nil), []byte(nil), binary)
	f.Add([]byte("key"), []byte(`{"a":1}`), binary+"content-type: application/json\nce_time: 2018-04-05T17:31:00Z\nce_n: 5\nce_b: true\ndalamb-types: n:int,b:bool")
	f.Add([]byte{0xff}, []byte{0}, binary+"ce_subject: é\nce_dalambhops: 64\ndalamb-types: ,:,n:int")
	f.Add([]byte("k"), []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`), "Content-Type: application/cloudevents+json")
	f.Fuzz(func(t *testing.T, key, value []byte, headers string) {
		var hs []Header
		for _, l := range lines(headers) {
			hs = append(hs, Header{Name: l[0], Value: []byte(l[1])})
		}
		if e, err := FromRecord(key, value, hs); err == nil {
			checkAccepted(t, e)
		}
	})
}

// FuzzForeignOf reads what a person may have edited: what comes of it is a record that is described and read again as the same.
func FuzzForeignOf(f *testing.F) {
	for _, data := range []string{
		`{"topic":"t","partition":3,"offset":7,"key":"k","headers":{"a":["1"]},"value":{"a":[1, 2.50]}}`,
		`{"key64":"/w==","headers64":{"b":["/w=="]},"value64":"AA=="}`,
		`{"key":"k","key64":"?","value":null,"fault":"no id"}`,
		`{"size":5000000}`, `[]`, `{"value64":"?"}`, `{"headers":{"a":null}}`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, ok := ForeignOf(&Event{ID: "1", Source: "/s", Type: TypeRecord, Data: data})
		if !ok {
			return
		}
		again, ok := ForeignOf(first.Event())
		if !ok {
			return // bytes in base64 may have made it too large
		}
		if third, ok := ForeignOf(again.Event()); !ok || !reflect.DeepEqual(third, again) {
			t.Errorf("ForeignOf(%q) = %+v, and then %+v, %t", data, again, third, ok)
		}
	})
}
