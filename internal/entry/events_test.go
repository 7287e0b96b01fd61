package entry

import (
	"net/http"
	"strings"
	"testing"
)

func TestWhichAnswersAreEvents(t *testing.T) {
	const full = `{"specversion":"1.0","id":"7","source":"/till","type":"order.paid","data":{"n":1}}`
	tests := []struct {
		name, body string
		want       string // "type|source|id" of each, joined by a space; "" = none
		wrong      string // part of the error
	}{
		{"nothing", ``, "", ""},
		{"text", `paid`, "", ""},
		{"object", `{"type":"order.paid"}`, "", ""},
		{"an object that mentions specversion in its data", `{"type":"x","data":{"specversion":"1.0"}}`, "", ""},
		{"an object with specversion and no type", `{"specversion":"1.0","openapi":"3"}`, "", ""},
		{"not JSON", `{"specversion":"1.0","type":"x"`, "", ""},
		{"empty array", `[]`, "", ""},
		{"array of other things", `[{"specversion":1},2]`, "", ""},
		{"array whose first element is no event", `[1,` + full + `]`, "", ""},
		{"event", " \n" + full, "order.paid|/till|7", ""},
		{"event without id and source", `{"specversion":"1.0","type":"order.paid"}`, "order.paid|/functions/shop|", ""},
		{"event without id", `{"specversion":"1.0","type":"a.b","source":"/x","extra":"1"}`, "a.b|/x|", ""},
		{"array", `[` + full + `,{"specversion":"1.0","type":"b"}]`, "order.paid|/till|7 b|/functions/shop|", ""},
		{"another version", `{"specversion":"0.3","type":"x"}`, "", "specversion"},
		{"empty type", `{"specversion":"1.0","type":""}`, "", "type"},
		{"bad attribute", `{"specversion":"1.0","type":"x","time":"yesterday"}`, "", "time"},
		{"empty id", `{"specversion":"1.0","type":"x","id":""}`, "", "id"},
		{"reserved type", `{"specversion":"1.0","type":"dalamb.alias.shifted.v1"}`, "", "only dalamb itself"},
		{"array with a slip", `[` + full + `,{"type":"b"}]`, "", "element 1: is no CloudEvent"},
		{"array with a bad event", `[` + full + `,{"specversion":"1.0","type":"x","time":"no"}]`, "", "element 1: attribute \"time\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, err := eventsIn([]byte(tt.body), "shop")
			var got []string
			for _, e := range events {
				got = append(got, e.Type+"|"+e.Source+"|"+e.ID)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("eventsIn = %q, want %q", s, tt.want)
			}
			if (err != nil) != (tt.wrong != "") || (err != nil && !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("error = %v, want one with %q", err, tt.wrong)
			}
		})
	}
}

func TestEventsInHTTPAnswers(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	tests := []struct {
		name  string
		h     http.Header
		body  string
		want  string
		wrong string
	}{
		{"plain", header("Content-Type", "text/html"), "<p>", "", ""},
		{"binary", header("Ce-Specversion", "1.0", "Ce-Type", "a", "Ce-Id", "1", "Ce-Source", "/s", "Content-Type", "text/plain"), "hi", "a|/s|1", ""},
		{"binary without id and source", header("Ce-Specversion", "1.0", "Ce-Type", "a"), "", "a|/functions/shop|", ""},
		{"binary without type", header("Ce-Specversion", "1.0"), "", "", "type"},
		{"binary, reserved", header("Ce-Specversion", "1.0", "Ce-Type", "dalamb.x"), "", "", "only dalamb itself"},
		{"structured", header("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","type":"b"}`, "b|/functions/shop|", ""},
		{"batch", header("Content-Type", "application/cloudevents-batch+json"), `[{"specversion":"1.0","type":"b"}]`, "b|/functions/shop|", ""},
		{"JSON", header("Content-Type", "application/json"), `{"specversion":"1.0","type":"c"}`, "c|/functions/shop|", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, err := eventsInHTTP(tt.h, []byte(tt.body), "shop")
			var got []string
			for _, e := range events {
				got = append(got, e.Type+"|"+e.Source+"|"+e.ID)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("eventsInHTTP = %q, want %q", s, tt.want)
			}
			if (err != nil) != (tt.wrong != "") || (err != nil && !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("error = %v, want one with %q", err, tt.wrong)
			}
		})
	}
}

func FuzzEventsIn(f *testing.F) {
	for _, seed := range []string{`{"specversion":"1.0","type":"a"}`, `[{"specversion":"1.0","type":"a"},{}]`, `{}`, `[`, `{"specversion":"1.0","type":"a","id":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := eventsIn(body, "shop")
		if err != nil && events != nil {
			t.Error("events and an error")
		}
		for _, e := range events {
			c := e.Clone()
			if c.ID == "" {
				c.ID = "1"
			}
			if err := c.Validate(); err != nil {
				t.Errorf("%s gave an event that is not valid: %v", body, err)
			}
		}
	})
}
