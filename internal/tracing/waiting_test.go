package tracing_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/tracing"
)

// TestASpanThatWaitsKeepsLittle, whatever it is told: neither a text that is long, nor what a short one is cut from.
func TestASpanThatWaitsKeepsLittle(t *testing.T) {
	const spans, long = 200, 64 << 10
	within := func(i int, short string) string { // short, as a part of something long
		text := short + strings.Repeat("x", long) + fmt.Sprint(i)
		return text[:len(short)]
	}
	for what, span := range map[string]func(*tracing.Tracer, int){
		"agent": func(tr *tracing.Tracer, i int) {
			tr.Request(tracing.Request{Method: "GET", Agent: strings.Repeat("a", long) + fmt.Sprint(i)}).End()
		},
		"request line": func(tr *tracing.Tracer, i int) {
			tr.Request(tracing.Request{Parent: within(i, given), Method: within(i, "GET"), Path: within(i, "/a"), Host: within(i, "h")}).Answered(within(i, "GET"), within(i, "/a"), 200)
		},
		"event": func(tr *tracing.Tracer, i int) {
			tr.Send(tracing.Sending{Parent: within(i, given), Topic: "events", ID: within(i, "id")}).Failed(within(i, "no"))
		},
		"batch": func(tr *tracing.Tracer, i int) {
			p := tracing.Processing{Topic: "events", Run: within(i, "run"), Redrive: within(i, given)}
			for n := range 1000 {
				p.Parents = append(p.Parents, fmt.Sprintf("00-%032x-%016x-01", n+1, i+1))
			}
			tr.Process(p).Processed("succeeded", "")
		},
		"one event": func(tr *tracing.Tracer, i int) {
			tr.Process(tracing.Processing{Parents: []string{within(i, given)}, ID: within(i, "id")}).Processed("succeeded", "")
		},
		"invocation": func(tr *tracing.Tracer, i int) {
			tr.Invocation(tracing.Invocation{Parent: within(i, given), ID: within(i, "id"), Run: within(i, "run")}).Invoked("failed", within(i, "Error"), "i", false)
		},
		"upstream": func(tr *tracing.Tracer, i int) {
			tr.Upstream(within(i, given), within(i, "GET"), "f", "t").Answered(within(i, "GET"), "", 200)
		},
	} {
		var to list
		tr := tracing.New(&to, 1)
		before := heap()
		for i := range spans {
			span(tr, i)
		}
		if each := (heap() - before) / spans; each > 6<<10 {
			t.Errorf("%s: a span that waits keeps %d bytes", what, each)
		}
		if len(to) != spans {
			t.Errorf("%s: %d spans wait, want %d", what, len(to), spans)
		}
	}
}

// heap is how much memory is in use, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestABatchHasNoMoreLinksThanReceiversTake, and says all the same how many events it has.
func TestABatchHasNoMoreLinksThanReceiversTake(t *testing.T) {
	var to list
	p := tracing.Processing{Topic: "events", Redrive: other}
	for n := range 1000 {
		p.Parents = append(p.Parents, fmt.Sprintf("00-%032x-%016x-01", n+1, n+1))
	}
	tracing.New(&to, 1).Process(p).Processed("succeeded", "")
	s := received(t, to)[0]
	if got := len(s.Links); got != 128 || !strings.Contains(line(s), "messaging.batch.message_count=1000") {
		t.Errorf("a batch of 1000 events has %d links, and says %s", got, line(s)[:300])
	}
	if got := fmt.Sprintf("%x", s.Links[127].TraceId); got != other[3:35] {
		t.Errorf("the last link is to %s, want that of the redrive", got)
	}
}
