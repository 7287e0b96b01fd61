package tracing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/tracing"
)

// TestWhichSpansAreSent: what is sampled, where the trace begins or by its parent, and of all else what went wrong.
func TestWhichSpansAreSent(t *testing.T) {
	const no = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	const yes = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ends := map[string]func(*tracing.Span){
		"ended":     (*tracing.Span).End,
		"answered":  func(s *tracing.Span) { s.Answered("GET", "/a", 404) },
		"invoked":   func(s *tracing.Span) { s.Waited(time.Now(), time.Now()); s.Invoked("succeeded", "", "i", false) },
		"processed": func(s *tracing.Span) { s.Processed("succeeded", "") },
	}
	fails := map[string]func(*tracing.Span){
		"failed":    func(s *tracing.Span) { s.Failed("timeout") },
		"answered":  func(s *tracing.Span) { s.Answered("GET", "/a", 502) },
		"invoked":   func(s *tracing.Span) { s.Waited(time.Now(), time.Now()); s.Invoked("failed", "crash", "i", false) },
		"processed": func(s *tracing.Span) { s.Processed("retry", "crash") },
	}
	for _, c := range []struct {
		sample float64
		parent string
		sent   bool // what went well
	}{{1, "", true}, {1, yes, true}, {1, no, false}, {0, "", false}, {0, yes, true}, {0, no, false}, {0, "nonsense", false}} {
		for went, all := range map[bool]map[string]func(*tracing.Span){true: ends, false: fails} {
			for name, end := range all {
				var to list
				s := tracing.New(&to, c.sample).Request(tracing.Request{Method: "GET", Parent: c.parent})
				if flag := strings.HasSuffix(s.TraceParent(), "-01"); flag != c.sent {
					t.Errorf("sample %g, parent %q: traceparent %s", c.sample, c.parent, s.TraceParent())
				}
				end(s)
				s.Failed("late")
				want := 0
				if c.sent || !went {
					want = 1
				}
				if c.sent && name == "invoked" {
					want++
				}
				if len(to) != want {
					t.Errorf("sample %g, parent %q: %s, well = %v: %d spans are sent, want %d", c.sample, c.parent, name, went, len(to), want)
				}
			}
		}
	}
	var to list
	tr := tracing.New(&to, 0.25)
	for range 4000 {
		tr.Request(tracing.Request{Method: "GET"}).End()
	}
	if len(to) < 800 || len(to) > 1200 { // 1000 give or take 7 standard deviations
		t.Errorf("%d of 4000 traces are sampled, want about a quarter", len(to))
	}
}

// histogram counts what it is told.
type histogram struct{ all, shown int }

func (h *histogram) Observe(float64)                                { h.all++ }
func (h *histogram) ObserveWithExemplar(float64, prometheus.Labels) { h.all++; h.shown++ }

// TestExemplarsAreFewWhereMuchGoesByFast, and never too few of what is slow.
func TestExemplarsAreFewWhereMuchGoesByFast(t *testing.T) {
	var to list
	tr := tracing.New(&to, 1)
	observe := func(n int, took time.Duration) *histogram {
		h := new(histogram)
		for range n {
			tr.Request(tracing.Request{Method: "GET"}).Observe(h, took)
		}
		return h
	}
	if h := observe(20, time.Millisecond); h.all != 20 || h.shown != 20 {
		t.Errorf("%d of %d have an exemplar, want all 20", h.shown, h.all)
	}
	if h := observe(20_000, time.Millisecond); h.all != 20_000 || h.shown < 200 || h.shown > 2000 {
		t.Errorf("%d of %d have an exemplar, want about one in 64", h.shown, h.all)
	}
	if h := observe(1000, time.Second); h.shown != 1000 {
		t.Errorf("%d of 1000 slow ones have an exemplar, want all", h.shown)
	}
}
