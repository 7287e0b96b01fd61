package event

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDigestIsOfWhatAnEventSays(t *testing.T) {
	base := Event{ID: "1", Source: "/s", Type: "t", Subject: "k", DataContentType: "application/json", Data: []byte(`{"a":1,"b":[2]}`)}
	for _, c := range []struct {
		name   string
		change func(e *Event)
		same   bool
	}{
		{"another id and time", func(e *Event) { e.ID, e.Time = "2", time.Now() }, true},
		{"another chain", func(e *Event) {
			e.Extensions = map[string]any{ExtCausationID: "c", ExtCorrelationID: "d", ExtHops: int32(3), ExtOriginID: "o", ExtReplay: "r"}
		}, true},
		{"members in another order", func(e *Event) { e.Data = []byte(` {"b":[2], "a":1}`) }, true},
		{"no content type, which is JSON", func(e *Event) { e.DataContentType = "" }, true},
		{"another value", func(e *Event) { e.Data = []byte(`{"a":1,"b":[3]}`) }, false},
		{"digits matter", func(e *Event) { e.Data = []byte(`{"a":1.0,"b":[2]}`) }, false},
		{"no data", func(e *Event) { e.Data = nil }, false},
		{"another type", func(e *Event) { e.Type = "u" }, false},
		{"another subject", func(e *Event) { e.Subject = "" }, false},
		{"another extension", func(e *Event) { e.Extensions = map[string]any{"x": "y"} }, false},
		{"text", func(e *Event) { e.DataContentType = "text/plain" }, false},
	} {
		e := base.Clone()
		c.change(e)
		if got := e.Digest() == base.Digest(); got != c.same {
			t.Errorf("%s: the digest is the same: %t, want %t", c.name, got, c.same)
		}
	}
}

// FuzzDigest holds the digest of an event against that of its other encodings.
func FuzzDigest(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}]}`), "application/json")
	f.Add([]byte(`1e400`), "")
	f.Add([]byte("\xff\x00"), "application/octet-stream")
	f.Fuzz(func(t *testing.T, data []byte, mediaType string) {
		e := &Event{ID: "1", Source: "/s", Type: "t", DataContentType: mediaType, Data: data}
		if e.Validate() != nil {
			return
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Event
		if json.Unmarshal(text, &back) != nil {
			return // declared JSON that is none
		}
		if e.Digest() == "" || back.Digest() != e.Digest() {
			t.Errorf("%q as %q: %s, and read back %s", data, mediaType, e.Digest(), back.Digest())
		}
	})
}
