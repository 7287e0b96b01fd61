package function

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestScatterIsRead(t *testing.T) {
	for text, want := range map[string]Scatter{
		"scatter: {functions: [a, pay]}":                                          {Functions: []string{"a", "pay"}},
		"scatter: {shards: 8, merge: object}":                                     {Shards: 8, Merge: ScatterMerge{Form: MergeObject}},
		"scatter: {shards: 2, function: a, by: {query: id}, deadline: 1s}":        {Shards: 2, Function: "a", By: &ScatterKey{Query: "id"}, Deadline: Duration(time.Second)},
		"scatter: {functions: [a, b], quorum: 2, merge: {function: pay}}":         {Functions: []string{"a", "b"}, Quorum: 2, Merge: ScatterMerge{Function: "pay"}},
		"scatter: {functions: [a, b], hedge: {after: p95}}, timeout: {total: 6s}": {Functions: []string{"a", "b"}, Hedge: &Hedge{After: HedgeAfter{Percentile: 95}, Budget: 10}},
		"scatter: {shards: 2, by: {body: ids, split: true}, merge: concat}":       {Shards: 2, By: &ScatterKey{Body: "ids", Split: true}, Merge: ScatterMerge{Form: MergeConcat}},
		"scatter: {shards: 2, by: {header: X-Id}}, cache: {vary: [x-id]}":         {Shards: 2, By: &ScatterKey{Header: "X-Id"}},
	} {
		s, err := routeOf(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := *s.Triggers[0].Route.Scatter; !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %+v, want %+v", text, got, want)
		}
		b, err := json.Marshal(s)
		var again Spec
		if err == nil {
			err = json.Unmarshal(b, &again)
		}
		if err != nil || !reflect.DeepEqual(again.Triggers[0].Route.Scatter, s.Triggers[0].Route.Scatter) {
			t.Errorf("%s comes back as %+v, %v", text, again.Triggers[0].Route.Scatter, err)
		}
	}
}

func TestScatterThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"scatter: {}": "scatter: names not exactly one",
		"scatter: {functions: [a, b], shards: 2}":                      "scatter: names not exactly one",
		"scatter: {functions: [a]}":                                    "scatter.functions: names 1",
		"scatter: {functions: [a, B]}":                                 `scatter.functions[1]: "B" is no name`,
		"scatter: {functions: [a, b, a]}":                              `scatter.functions[2]: "a" stands there twice`,
		"scatter: {functions: [a, b], by: {query: id}}":                "scatter: function and by are for shards",
		"scatter: {functions: [a, b], function: c}":                    "scatter: function and by are for shards",
		"scatter: {shards: 1}":                                         "scatter.shards: 1 is out of range",
		"scatter: {shards: 33}":                                        "scatter.shards: 33 is out of range",
		"scatter: {shards: 2, function: A}":                            `scatter.function: "A" is no name`,
		"scatter: {shards: 2, by: {}}":                                 "scatter.by: names not exactly one",
		"scatter: {shards: 2, by: {query: a, header: b}}":              "scatter.by: names not exactly one",
		"scatter: {shards: 2, by: {header: 'a b'}}":                    `scatter.by.header: "a b" is no name`,
		"scatter: {shards: 2, by: {header: X-Id}}, cache: {}":          "scatter.by.header: answers that are kept are not told apart by it",
		"scatter: {shards: 2, by: {path: id}}":                         `scatter.by.path: there is no parameter "id"`,
		"scatter: {shards: 2, by: {path: id, split: true}}":            "scatter.by.split: a parameter of the path is one key",
		"scatter: {shards: 2, by: {query: a, body: b}}":                "scatter.by: names not exactly one",
		"scatter: {shards: 2, quorum: 3}":                              "scatter.quorum: 3 is out of range",
		"scatter: {shards: 2, quorum: 0}":                              "scatter.quorum: 0 is out of range",
		"scatter: {shards: 2, deadline: -1s}":                          "scatter.deadline",
		"scatter: {shards: 2, deadline: 1s}, timeout: {total: 1s}":     "scatter.deadline: the route's timeout.total, 1s, is over before 1s",
		"scatter: {shards: 2}, timeout: {firstByte: 2s}":               "scatter.deadline: the route's timeout.firstByte, 2s, is over before 5s",
		"scatter: {shards: 2, hedge: {after: 5s}}":                     "scatter.hedge.after: the deadline is over before",
		"method: POST, scatter: {shards: 2, hedge: {after: p95}}":      "scatter.hedge: a POST changes something",
		"scatter: {shards: 2}, hedge: {after: p95}":                    "scatter.hedge: the route's hedge",
		"scatter: {shards: 2, merge: list}":                            `scatter.merge: "list" is not known`,
		"scatter: {shards: 2, merge: {form: array, function: a}}":      "scatter.merge: names a form and a function",
		"scatter: {shards: 2, merge: {function: A}}":                   `scatter.merge.function: "A" is no name`,
		"scatter: {shards: 2}, redirect: {to: /a}":                     "scatter: a route that asks no function",
		"scatter: {shards: 2}, async: true":                            "scatter: what is answered later",
		"scatter: {shards: 2}, durable: true":                          "scatter: parts are recorded behind the answer",
		"scatter: {shards: 2}}, emit: {topic: a}, retry: {attempts: 1": "scatter: what several functions answer together emits nothing",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}

func TestScatterInAnotherEnvironment(t *testing.T) {
	s, err := routeOf(t, "scatter: {functions: [a, pay], merge: {function: m}}")
	if err != nil {
		t.Fatal(err)
	}
	placed := s.Place("staging", func(string) bool { return true })
	fields := func(s *Spec) (all []string) {
		for _, n := range s.Named() {
			all = append(all, n.Field+"="+n.Function)
		}
		return all
	}
	if got, want := fields(placed), []string{"route r, scatter.functions[0]=staging.a", "route r, scatter.functions[1]=staging.pay", "route r, scatter.merge.function=staging.m"}; !reflect.DeepEqual(got, want) {
		t.Errorf("in staging it names %q, want %q", got, want)
	}
	if _, plain := placed.Unplace(); !reflect.DeepEqual(fields(plain), fields(s)) {
		t.Errorf("back from there it names %q, want %q", fields(plain), fields(s))
	}
	s, err = routeOf(t, "scatter: {shards: 2, function: a}")
	if err != nil {
		t.Fatal(err)
	}
	if got := fields(s.Place("staging", func(string) bool { return true })); !reflect.DeepEqual(got, []string{"route r, scatter.function=staging.a"}) {
		t.Errorf("in staging it names %q", got)
	}
}
