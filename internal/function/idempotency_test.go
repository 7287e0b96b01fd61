package function

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRoutesWhoseRequestsAreRunOnce(t *testing.T) {
	day := Duration(24 * time.Hour)
	for text, want := range map[string]*Idempotency{
		"idempotency: true":                       {Keep: day},
		"idempotency: false":                      nil,
		"idempotency: {}":                         {Keep: day},
		"idempotency: {keep: 7d}":                 {Keep: 7 * day},
		"idempotency: {required: true, keep: 1m}": {Keep: seconds(60), Required: true},
		"compress: &on true, idempotency: *on":    {Keep: day},
	} {
		s, err := routeOf(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := s.Triggers[0].Route
		if !reflect.DeepEqual(got.Idempotency, want) {
			t.Errorf("%s: it is %+v, want %+v", text, got.Idempotency, want)
		}
		var again Route
		if b, err := json.Marshal(got); err != nil || json.Unmarshal(b, &again) != nil || !reflect.DeepEqual(again.Idempotency, want) {
			t.Errorf("%s: kept as %s it reads %+v, %v", text, b, again.Idempotency, err)
		}
	}
}

func TestRequestsThatCannotBeRunOnce(t *testing.T) {
	for text, want := range map[string]string{
		"idempotency: {keep: 59s}":                              "idempotency.keep: 59s is out of range",
		"idempotency: {keep: 8d}":                               "idempotency.keep: 8d is out of range",
		"idempotency: {required: maybe}":                        "idempotency.required: is",
		"idempotency: {window: 1h}":                             "idempotency.window: unknown field",
		"idempotency: 24h":                                      "not a mapping of fields",
		"method: GET, idempotency: true":                        "idempotency: a GET changes nothing",
		"idempotency: true, redirect: {to: /elsewhere}":         "idempotency: a route that asks no function",
		"idempotency: true, scatter: {functions: [a, b]}":       "idempotency: what several functions answer",
		"idempotency: true, method: QUERY, redirect: {to: '/'}": "idempotency: a QUERY changes nothing",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
