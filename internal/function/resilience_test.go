package function

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRoutesOfFunctionsThatMayFail(t *testing.T) {
	for text, want := range map[string]Route{
		"timeout: {connect: 500ms, firstByte: 2s, total: 10s}": {Timeout: &RouteTimeout{Connect: seconds(0.5), FirstByte: seconds(2), Total: seconds(10)}},
		"timeout: {total: 1d}":                                 {Timeout: &RouteTimeout{Total: seconds(86400)}},
		"retry: {}":                                            {Retry: &RouteRetry{Attempts: 3, Backoff: seconds(0.05), Budget: 10}},
		"retry: {attempts: 5, on: [connect, 502, '503', timeout], backoff: 1s, budget: 0.5%}": {Retry: &RouteRetry{
			Attempts: 5, On: []RetryIf{RetryConnect, Retry502, Retry503, RetryTimeout}, Backoff: seconds(1), Budget: 0.5}},
		"hedge: {after: p95}":                      {Hedge: &Hedge{After: HedgeAfter{Percentile: 95}, Budget: 10}},
		"hedge: {after: 200ms, budget: 5%}":        {Hedge: &Hedge{After: HedgeAfter{Time: seconds(0.2)}, Budget: 5}},
		"method: GET, hedge: {after: 200ms}":       {Method: "GET", Hedge: &Hedge{After: HedgeAfter{Time: seconds(0.2)}, Budget: 10}},
		"breaker: {}":                              {Breaker: &Breaker{Failures: 5, Window: seconds(10), Open: seconds(5), HalfOpen: 1}},
		"breaker: {failures: 2, open: 1m}":         {Breaker: &Breaker{Failures: 2, Window: seconds(10), Open: Duration(time.Minute), HalfOpen: 1}},
		"fallback: {function: other}":              {Fallback: &Fallback{Function: "other"}},
		"fallback: {status: 204}":                  {Fallback: &Fallback{Status: 204}},
		"fallback: {body: '[]', type: text/plain}": {Fallback: &Fallback{Body: "[]", Type: "text/plain"}},
	} {
		s, err := routeOf(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want.Path = "/x"
		got := s.Triggers[0].Route
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: the route is %+v, want %+v", text, *got, want)
		}
		var again Route
		if b, err := json.Marshal(got); err != nil || json.Unmarshal(b, &again) != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%s: kept as %s it reads %+v, %v", text, b, again, err)
		}
	}
	s, err := routeOf(t, "fallback: {function: other}")
	if err != nil {
		t.Fatal(err)
	}
	placed := s.Place("staging", func(string) bool { return false })
	if got := placed.Triggers[0].Route.Fallback.Function; got != "staging.other" || s.Triggers[0].Route.Fallback.Function != "other" {
		t.Errorf("in an environment the fallback is %q", got)
	}
	if _, plain := placed.Unplace(); plain.Triggers[0].Route.Fallback.Function != "other" {
		t.Errorf("back from there it is %q", plain.Triggers[0].Route.Fallback.Function)
	}
}

func TestSettingsForFailuresThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"priority: urgent":                                     `priority: "urgent" is not known`,
		"timeout: {}":                                          "timeout: names no time",
		"timeout: {total: 10us}":                               "timeout.total: 10µs is out of range",
		"timeout: {firstByte: 25h}":                            "timeout.firstByte: 25h is out of range",
		"timeout: {connect: 3s, firstByte: 2s}":                "timeout.firstByte: is over before the time ahead of it, 3s",
		"timeout: {connect: 3s, total: 2s}":                    "timeout.total: is over before",
		"timeout: 5s":                                          `timeout: is the text "5s", not a mapping of fields`,
		"retry: {attempts: 1}":                                 "retry.attempts: 1 is out of range",
		"retry: {attempts: 11}":                                "retry.attempts: 11 is out of range",
		"retry: {on: [504, oops]}":                             `retry.on[1]: "oops" is not known`,
		"retry: {on: [404]}":                                   `retry.on[0]: "404" is not known`,
		"retry: {on: [502, '502']}":                            `retry.on[1]: "502" is there twice`,
		"retry: {backoff: 1h}":                                 "retry.backoff: 1h is out of range",
		"retry: {budget: 0%}":                                  "retry.budget: 0 is out of range",
		"retry: {budget: 101%}":                                "is not a part of 100",
		"hedge: {}":                                            "hedge.after",
		"hedge: {after: p100}":                                 `"p100" is no percentile from p50 to p99`,
		"hedge: {after: p1}":                                   `"p1" is no percentile`,
		"hedge: {after: never}":                                `"never" is not a duration`,
		"hedge: {after: 0s}":                                   "hedge.after: 0s is out of range",
		"method: POST, hedge: {after: p95}":                    "hedge: a POST changes something",
		"method: DELETE, hedge: {after: 1s}":                   "hedge: a DELETE changes something",
		"breaker: {failures: 0}":                               "breaker.failures: 0 is out of range",
		"breaker: {window: 1ms}":                               "breaker.window: 1ms is out of range",
		"breaker: {open: 0s}":                                  "breaker.open: 0s is out of range",
		"breaker: {halfOpen: 0}":                               "breaker.halfOpen: 0 is out of range",
		"fallback: {}":                                         "fallback: names not exactly one of a function and an answer",
		"fallback: {function: other, status: 200}":             "fallback: names not exactly one",
		"fallback: {function: pay}":                            "fallback.function: the function would be asked again that has just failed",
		"fallback: {function: Pay}":                            `fallback.function: "Pay" is no name for a function`,
		"fallback: {status: 99}":                               "fallback.status: 99 is out of range",
		"fallback: {status: 204, body: x}":                     "fallback.body: an answer of status 204 has no body",
		"fallback: {body: x, type: \"a\\r\\nB: c\"}":           "fallback.type",
		"fallback: {body: " + strings.Repeat("x", 70000) + "}": "fallback.body: has 70000 bytes; it may have 65536",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error = %v, want %s", text, err, want)
		}
	}
}

func FuzzHedgeAfter(f *testing.F) {
	for _, s := range []string{"p95", "p50", "p99", "p100", "p", "p-1", "200ms", "1d", "", "p95ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var a, again HedgeAfter
		if a.UnmarshalText([]byte(s)) != nil {
			return
		}
		if p := a.Percentile; p != 0 && (p < 50 || p > 99 || a.Time != 0) {
			t.Errorf("%q is %+v", s, a)
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%q is %+v, and its own text is %+v, %v", s, a, again, err)
		}
	})
}
