package replay

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

func says(body string, events ...*event.Event) Answer {
	return Answer{Result: &function.Result{Outcome: function.Succeeded, Status: 200, Events: events}, Body: []byte(body), Size: int64(len(body))}
}

func fails(message string) Answer {
	return Answer{Result: &function.Result{Outcome: function.Failed, Status: 502, Failure: &function.Failure{Type: "E", Message: message}}}
}

func asked(status int, body string) Answer {
	a := says(body)
	a.Asked, a.Result.Status = true, status
	if status >= 400 {
		a.Result.Outcome, a.Result.Failure = function.Failed, &function.Failure{Type: "Status", Message: fmt.Sprint(status)}
	}
	return a
}

func emits(typ, data string) *event.Event {
	return &event.Event{ID: event.NewID(), Type: typ, Source: "/s", DataContentType: "application/json", Data: []byte(data)}
}

func TestTwoAnswersAreCompared(t *testing.T) {
	cut := says("abc")
	cut.Size = 100_000
	longer := says("abcdef")
	longer.Size = 100_000
	for name, test := range map[string]struct {
		first, second Answer
		ignore        []string
		kind          string
		path          string // of the first change
	}{
		"the same":                     {first: says(`{"a": 1, "b": 2}`), second: says(`{"b":2,"a":1}`)},
		"nothing":                      {first: says(""), second: says("")},
		"another value":                {first: says(`{"a":{"b":[1,2]}}`), second: says(`{"a":{"b":[1,3]}}`), kind: "different", path: "result.a.b[1]"},
		"another text":                 {first: says("one"), second: says("two"), kind: "different", path: "result.text"},
		"no text any more":             {first: says("one"), second: says(""), kind: "different", path: "result"},
		"what may differ":              {first: says(`{"at":1,"b":[{"id":1}]}`), second: says(`{"at":2,"b":[{"id":2}]}`), ignore: []string{"result.at", "result.b[*].id"}},
		"what is below it":             {first: says(`{"at":{"x":1}}`), second: says(`{"at":{"x":2}}`), ignore: []string{"result.at"}},
		"what is beside it":            {first: says(`{"att":1}`), second: says(`{"att":2}`), ignore: []string{"result.at"}, kind: "different", path: "result.att"},
		"fails now":                    {first: says("1"), second: fails("no"), kind: "newlyFailing", path: "state"},
		"fails no more":                {first: fails("no"), second: says("1"), kind: "newlyPassing", path: "state"},
		"fails alike":                  {first: fails("no"), second: fails("no")},
		"fails otherwise":              {first: fails("no"), second: fails("never"), kind: "different", path: "error"},
		"the same events":              {first: says("x", emits("a", `{"n":1}`)), second: says("y", emits("a", `{"n": 1}`))},
		"another event":                {first: says("", emits("a", `{"n":1}`)), second: says("", emits("a", `{"n":2}`)), kind: "different", path: "emitted[0].data.n"},
		"an event's part that may":     {first: says("", emits("a", `{"n":1}`)), second: says("", emits("a", `{"n":2}`)), ignore: []string{"emitted[].data.n"}},
		"one event more":               {first: says("", emits("a", `1`)), second: says("", emits("a", `1`), emits("b", `1`)), kind: "different", path: "emitted[1]"},
		"a request's status":           {first: asked(200, "x"), second: asked(201, "x"), kind: "different", path: "status"},
		"not found, twice":             {first: asked(404, "x"), second: asked(404, "x")},
		"not found, in other words":    {first: asked(404, "x"), second: asked(404, "y"), kind: "different", path: "result.text"},
		"found no more":                {first: asked(200, "x"), second: asked(404, "x"), kind: "different", path: "status"},
		"a request fails now":          {first: asked(404, "x"), second: asked(500, "x"), kind: "newlyFailing", path: "status"},
		"a long one, of which a part":  {first: cut, second: longer},
		"a long one that is longer":    {first: cut, second: says("abc"), kind: "different", path: "result.size"},
		"a status that may be another": {first: asked(200, "x"), second: asked(201, "x"), ignore: []string{"status"}},
	} {
		kind, changes := Compare(test.first, test.second, test.ignore)
		path := ""
		if len(changes) > 0 {
			path = changes[0].Path
		}
		if kind != test.kind || path != test.path {
			text, _ := json.Marshal(changes)
			t.Errorf("%s: Compare = %q %s, want %q at %q", name, kind, text, test.kind, test.path)
		}
	}
}
