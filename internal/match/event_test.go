package match_test

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/match"
)

func TestMatchEvent(t *testing.T) {
	full := benchEvent()
	full.DataSchema = "https://example.com/order.json"
	full.Extensions = map[string]any{"text": "x", "flag": true, "off": false, "hops": int32(3)}
	full.Time = time.Date(2026, 11, 21, 10, 30, 0, 5e8, time.FixedZone("", 3600))
	bare := &event.Event{ID: "1", Source: "/s", Type: "t"}
	with := func(contentType, data string) *event.Event {
		e := bare.Clone()
		e.DataContentType, e.Data = contentType, []byte(data)
		return e
	}
	tests := []struct {
		name, pattern string
		e             *event.Event
		want          bool
	}{
		{"everything", `{}`, bare, true},
		{"specversion", `{"specversion":["1.0"]}`, bare, true},
		{"id", `{"id":[{"prefix":"0198"}]}`, full, true},
		{"source", `{"source":["/shop/checkout"]}`, full, true},
		{"type", `{"type":["order.created"]}`, full, true},
		{"type, other", `{"type":["order.paid"]}`, full, false},
		{"subject", `{"subject":[{"suffix":"4711"}]}`, full, true},
		{"subject, absent", `{"subject":[{"exists":false}]}`, bare, true},
		{"time", `{"time":["2026-11-21T09:30:00.5Z"]}`, full, true},
		{"time, absent", `{"time":[{"exists":true}]}`, bare, false},
		{"datacontenttype", `{"datacontenttype":["application/json"]}`, full, true},
		{"dataschema", `{"dataschema":[{"wildcard":"https://*.json"}]}`, full, true},
		{"extension, string", `{"text":["x"]}`, full, true},
		{"extension, boolean", `{"flag":[true],"off":[false]}`, full, true},
		{"extension, boolean is no string", `{"flag":["true"]}`, full, false},
		{"extension, integer", `{"hops":[{"numeric":[">",2]}]}`, full, true},
		{"extension, absent", `{"hops":[{"exists":false}]}`, bare, true},
		{"data", `{"data":{"address":{"city":["Berlin"]}}}`, full, true},
		{"data, array", `{"data":{"items":{"sku":["A-100"],"price":[40]}}}`, full, true},
		{"data, array, two elements", `{"data":{"items":{"sku":["A-100"],"price":[49.95]}}}`, full, false},
		{"data, absent", `{"data":{"a":[{"exists":false}]},"data_base64":[{"exists":false}]}`, bare, true},
		{"data, scalar", `{"data":["x"]}`, with("", `"x"`), true},
		{"data, +json", `{"data":[1]}`, with("application/vnd.x+JSON; charset=utf-8", `1`), true},
		{"data, text that looks like JSON", `{"data":[1]}`, with("text/plain", `1`), false},
		{"data_base64, text", `{"data_base64":["MQ=="]}`, with("text/plain", `1`), true},
		{"data_base64, not the JSON it says", `{"data":{"a":[1]}}`, with("application/json", `{"a":1`), false},
		{"data_base64, not the JSON it says, kept", `{"data_base64":["eyJhIjox"],"data.a":[{"exists":false}]}`, with("application/json", `{"a":1`), true},
		{"data_base64, not UTF-8", `{"data_base64":["Iv8i"],"data":[{"exists":false}]}`, with("application/json", "\"\xff\""), true},
		{"data_base64, empty", `{"data_base64":[""]}`, with("text/plain", ""), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustParse(t, tt.pattern)
			if got := p.MatchEvent(tt.e); got != tt.want {
				t.Errorf("%s MatchEvent(%+v) = %v, want %v", tt.pattern, tt.e, got, tt.want)
			}
			text, err := json.Marshal(tt.e)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.MatchJSON(text); err != nil || got != tt.want {
				t.Errorf("%s MatchJSON(%s) = %v, %v, want %v as for the event", tt.pattern, text, got, err, tt.want)
			}
		})
	}
}

// An event matches as its structured form does, whatever its parts.
func TestMatchEventAgreesWithStructuredForm(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := &event.Event{ID: "1", Source: rapid.SampledFrom([]string{"a", "ab"}).Draw(rt, "source"), Type: "a", Subject: texts.Filter(func(s string) bool {
			return s != "a\nb"
		}).Draw(rt, "subject"), DataContentType: rapid.SampledFrom([]string{"", "application/json", "text/plain", "a/b+json"}).Draw(rt, "media type")}
		if rapid.Bool().Draw(rt, "has data") {
			e.Data = []byte(drawValue(rt, 3))
			e.Data = e.Data[:len(e.Data)-rapid.IntRange(0, 1).Draw(rt, "cut")]
		}
		if rapid.Bool().Draw(rt, "has extensions") {
			e.Extensions = map[string]any{"a": "a", "b": int32(1), "c": true}
		}
		text, err := json.Marshal(e)
		if err != nil {
			rt.Fatalf("marshal: %v", err)
		}
		rules := make([]match.Rule[int], 6)
		for i := range rules {
			s := drawPattern(rt, 1)
			wrapped := [...]string{s, `{"data":` + s + `}`, `{"source":["a"],"data":` + s + `}`, `{"data_base64":[{"exists":true}],"subject":["a"]}`}
			s = wrapped[rapid.IntRange(0, 3).Draw(rt, "wrapped")]
			rules[i].Value = i
			rules[i].Pattern, _ = match.Parse([]byte(s)) // what does not parse matches nothing
			if rules[i].Pattern == nil {
				continue
			}
			if got, want := rules[i].Pattern.MatchEvent(e), referenceMatch(t, s, string(text)); got != want {
				rt.Fatalf("%s MatchEvent(%s) = %v, want %v", s, text, got, want)
			}
		}
		set := match.NewSet(rules)
		want, err := set.MatchJSON(text, nil)
		if got := set.MatchEvent(e, nil); err != nil || !slices.Equal(got, want) {
			rt.Fatalf("MatchEvent(%s) = %v, want %v, %v", text, got, want, err)
		}
	})
}

func TestSetKeepsRuleOrderAndAppends(t *testing.T) {
	set := match.NewSet([]match.Rule[string]{
		{Pattern: mustParse(t, `{"type":["x"]}`), Value: "other"},
		{Pattern: mustParse(t, `{"data":{"customer":["c-5000"]}}`), Value: "customer"},
		{Pattern: nil, Value: "nothing"},
		{Pattern: mustParse(t, `{"type":["order.created"]}`), Value: "type"},
		{Pattern: mustParse(t, `{"$or":[{"type":["order.created"]},{"source":["/shop/checkout"]}]}`), Value: "or"},
		{Pattern: mustParse(t, `{}`), Value: "every"},
		{Pattern: mustParse(t, `{"type":[{"prefix":"order."}]}`), Value: "prefix"},
	})
	want := []string{"before", "customer", "type", "or", "every", "prefix"}
	if got := set.MatchEvent(benchEvent(), []string{"before"}); !slices.Equal(got, want) {
		t.Errorf("MatchEvent = %q, want %q", got, want)
	}
	if got := match.NewSet[int](nil).MatchEvent(benchEvent(), nil); got != nil {
		t.Errorf("an empty set's MatchEvent = %v, want none", got)
	}
	if (*match.Pattern)(nil).MatchEvent(benchEvent()) {
		t.Error("a nil Pattern's MatchEvent = true, want false")
	}
}

// A large set costs about what a small one does. The bound is wide, because the machine may be busy; verifying every rule would
// cost some hundred times as much. The benchmarks are exact.
func TestCostDoesNotGrowWithRules(t *testing.T) {
	cost := func(patterns []string) time.Duration {
		set, e := newSet(t, patterns), benchEvent()
		var out []int
		best := time.Hour
		for range 20 {
			start := time.Now()
			for range 200 {
				out = set.MatchEvent(e, out[:0])
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	small := cost(mixedPatterns(10))
	large := hardSets(5000)
	large["mixed"] = mixedPatterns(5000)
	for name, patterns := range large {
		if got := cost(patterns); got > 15*small {
			t.Errorf("%s: 5000 rules cost %v for 200 events, 10 mixed rules %v", name, got, small)
		}
	}
}

func TestConcurrentReadersAcrossSwaps(t *testing.T) {
	var current atomic.Pointer[match.Set[int]]
	sizes := map[int]int{} // matches by set, as one reader finds them
	sets := make([]*match.Set[int], 4)
	for i := range sets {
		sets[i] = newSet(t, mixedPatterns(10+50*i))
		sizes[i] = len(sets[i].MatchEvent(benchEvent(), nil))
	}
	current.Store(sets[0])
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			e := benchEvent()
			object := []byte(`{"type":"order.created","data":{"items":[{"sku":"A-100","quantity":1}]}}`)
			var out []int
			for range 500 {
				set := current.Load()
				out = set.MatchEvent(e, out[:0])
				if want := sizes[slices.Index(sets, set)]; len(out) != want {
					t.Errorf("MatchEvent found %d, want %d", len(out), want)
					return
				}
				if _, err := set.MatchJSON(object, nil); err != nil {
					t.Errorf("MatchJSON: %v", err)
					return
				}
			}
		})
	}
	for i := range 200 {
		current.Store(sets[i%len(sets)])
	}
	readers.Wait()
}
