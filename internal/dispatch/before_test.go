package dispatch

import (
	"reflect"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

func TestWhatLedToAnInvocation(t *testing.T) {
	of := func(id string, hops int32, correlation string) *event.Event {
		e := &event.Event{ID: id, Extensions: map[string]any{event.ExtHops: hops}}
		if correlation != "" {
			e.Extensions[event.ExtCorrelationID] = correlation
		}
		return e
	}
	for name, c := range map[string]struct {
		ws   []*work
		want function.Chain
	}{
		"the first event of a chain": {[]*work{{cause: of("a", 0, ""), input: of("a", 0, "")}}, function.Chain{Correlation: "a"}},
		"one further on":             {[]*work{{cause: of("b", 3, "a"), input: of("b", 3, "a")}}, function.Chain{Correlation: "a", Hops: 3}},
		"an asynchronous call":       {[]*work{{cause: of("request", 0, ""), input: of("b", 2, "a")}}, function.Chain{Correlation: "a", Hops: 2}},
		"a request":                  {[]*work{{cause: of("request", 5, "a")}}, function.Chain{Correlation: "a", Hops: 5}},
		"the longest of a batch":     {[]*work{{cause: of("a", 1, "x")}, {cause: of("b", 4, "y")}, {cause: of("c", 2, "z")}}, function.Chain{Correlation: "y", Hops: 4}},
	} {
		if got := before(c.ws); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: before() = %+v, want %+v", name, got, c.want)
		}
	}
}
