package event

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyEvent draws valid events of every shape.
func anyEvent() *rapid.Generator[*Event] {
	text := rapid.Custom(func(t *rapid.T) string {
		s := rapid.StringN(1, 20, -1).Draw(t, "text")
		s = strings.Map(func(r rune) rune {
			if badString(string(r)) != "" {
				return '\u00e9'
			}
			return r
		}, s)
		return s
	})
	return rapid.Custom(func(t *rapid.T) *Event {
		e := &Event{ID: text.Draw(t, "id"), Type: text.Draw(t, "type")}
		e.Source = rapid.SampledFrom([]string{"/a", "urn:x:y", "https://h:8/p?q=%25#f", "a/b"}).Draw(t, "source")
		if rapid.Bool().Draw(t, "has subject") {
			e.Subject = text.Draw(t, "subject")
		}
		if rapid.Bool().Draw(t, "has time") {
			e.Time = time.Unix(rapid.Int64Range(-62135596799, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC()
		}
		e.DataSchema = rapid.SampledFrom([]string{"", "urn:x", "http://h/s.json#/a"}).Draw(t, "dataschema")
		e.DataContentType = rapid.SampledFrom([]string{"", "application/json", "a/b+json; c=d", "text/plain", `x/y; z=" ;"`}).Draw(t, "mediatype")
		if rapid.Bool().Draw(t, "has data") {
			e.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
			if e.IsJSON() {
				e.Data, _ = json.Marshal(rapid.MapOf(rapid.String(), rapid.Float64()).Draw(t, "json"))
			}
		}
		for range rapid.IntRange(0, 4).Draw(t, "extensions") {
			name := rapid.StringMatching(`x[a-z0-9]{0,20}`).Draw(t, "name")
			v := rapid.OneOf(rapid.Map(rapid.Bool(), toAny), rapid.Map(rapid.Int32(), toAny), rapid.Map(text, toAny)).Draw(t, "value")
			if err := e.SetExtension(name, v); err != nil {
				t.Fatal(err)
			}
		}
		if rapid.Bool().Draw(t, "in a chain") {
			if err := e.SetExtension(ExtHops, rapid.IntRange(0, 100).Draw(t, "hops")); err != nil {
				t.Fatal(err)
			}
		}
		return e
	})
}

func toAny[T any](v T) any { return v }

// explicit is e as a mode without implied media types carries it.
func explicit(e *Event) *Event {
	c := e.Clone()
	c.DataContentType = e.contentType()
	return c
}

func TestJSONKeepsTheEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent().Draw(t, "event")
		text, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(&got, e) {
			t.Fatalf("%s becomes %+v, %v, want %+v", text, got, err, e)
		}
	})
}

func TestBatchKeepsTheEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOf(anyEvent()).Draw(t, "events")
		text, err := EncodeBatch(events)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeBatch(text); err != nil || !reflect.DeepEqual(got, events) {
			t.Fatalf("%s becomes %+v, %v", text, got, err)
		}
	})
}

func TestHTTPKeepsTheEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent().Draw(t, "event")
		h := http.Header{}
		want := explicit(e)
		for name, v := range e.Extensions {
			if name != ExtHops {
				want.Extensions[name] = string(appendText(nil, v)) // headers know no types
			}
		}
		if len(want.Data) == 0 {
			want.Data = nil // and no difference between no body and an empty one
		}
		events, _, err := FromHTTP(h, e.ToHTTPBinary(h))
		if err != nil || len(events) != 1 || !reflect.DeepEqual(events[0], want) {
			t.Fatalf("%v becomes %+v, %v, want %+v", h, events, err, want)
		}
	})
}

func TestRecordKeepsTheEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent().Draw(t, "event")
		got, err := FromRecord(e.ToRecord())
		if err != nil || !reflect.DeepEqual(got, explicit(e)) {
			t.Fatalf("becomes %+v, %v, want %+v", got, err, explicit(e))
		}
	})
}
