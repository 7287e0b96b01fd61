package function

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// awaitOf is the route of a function whose trigger is this.
func awaitOf(t *testing.T, trigger string) (*Spec, error) {
	t.Helper()
	m, err := ParseManifest("dalamb.yaml", []byte("name: pay\nentry: {type: lambda, command: [./a]}\ntriggers:\n- {name: r, "+trigger+"}\n"))
	if err != nil {
		return nil, err
	}
	return &m.Functions[0].Spec, nil
}

func TestRoutesThatAnEventAnswers(t *testing.T) {
	s, err := awaitOf(t, "emit: {topic: events}, route: {path: /x, await: {pattern: {type: [order.confirmed]}}}")
	if err != nil {
		t.Fatal(err)
	}
	want := &Await{Topic: "events", Pattern: json.RawMessage(`{"type":["order.confirmed"]}`), Timeout: Duration(30 * time.Second)}
	if got := s.Triggers[0].Route.Await; !reflect.DeepEqual(got, want) {
		t.Errorf("await = %+v, want %+v", got, want)
	}
	if s, err = awaitOf(t, "emit: {topic: orders}, route: {path: /x, await: {topic: orders, pattern: {}, timeout: 2s}}"); err != nil {
		t.Fatal(err)
	}
	placed := s.Place("staging", func(topic string) bool { return topic == "staging.orders" })
	if got := placed.Triggers[0].Route.Await.Topic; got != "staging.orders" || s.Triggers[0].Route.Await.Topic != "orders" {
		t.Errorf("in an environment it waits in %q", got)
	}
	if _, plain := placed.Unplace(); plain.Triggers[0].Route.Await.Topic != "orders" {
		t.Errorf("back from there it waits in %q", plain.Triggers[0].Route.Await.Topic)
	}
}

func TestAwaitsThatCannotBe(t *testing.T) {
	const good = "await: {pattern: {type: [x]}}"
	for more, want := range map[string]string{
		"await: {}":                                          "await.pattern: is required",
		"await: {pattern: {type: x}}":                        "await.pattern.type: ",
		"await: {pattern: {}, topic: a/b}":                   `await.topic: "a/b" is no name`,
		"await: {pattern: {}, topic: _dalamb.runs}":          "await.topic: no event of the system topic",
		"await: {pattern: {}, timeout: 1h}":                  "await.timeout: 1h is out of range",
		"await: {pattern: {}, timeout: 0s}":                  "await.timeout: 0s is out of range",
		good + ", async: true":                               "await: an event answers, and async is for",
		good + ", durable: true":                             "and durable is for",
		good + ", retry: {}":                                 "and retry is for",
		good + ", hedge: {after: p95}, method: GET":          "and hedge is for",
		good + ", breaker: {}":                               "and breaker is for",
		good + ", timeout: {total: 1s}":                      "and timeout is for",
		good + ", fallback: {status: 204}":                   "and fallback is for",
		good + ", cache: {ttl: 1m}":                          "and cache is for",
		good + ", redirect: {to: /y}":                        "and redirect is for",
		good + ", scatter: {functions: [a, b]}":              "and scatter is for",
		good + ", callback: {url: https://x.y, secret: key}": "callback: belongs to a route that answers later",
	} {
		_, err := awaitOf(t, "emit: {topic: events}, route: {path: /x, "+more+"}")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", more, err, want)
		}
	}
	if _, err := awaitOf(t, "route: {path: /x, "+good+"}"); err == nil || !strings.Contains(err.Error(), "does not say where they are emitted") {
		t.Errorf("without emit: %v", err)
	}
}
