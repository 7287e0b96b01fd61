package tracing_test

import (
	"slices"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dalamb/dalamb/internal/tracing"
)

// list keeps the spans that it is given.
type list [][]byte

func (l *list) Take(span []byte) { *l = append(*l, slices.Clone(span)) }

// TestWhatAClientSaysCostsNoOthersSpan: OTLP's strings are UTF-8, and a message with another one cannot be written.
func TestWhatAClientSaysCostsNoOthersSpan(t *testing.T) {
	hostile := map[string]func(*tracing.Tracer) *tracing.Span{
		"nothing": func(tr *tracing.Tracer) *tracing.Span { return nil },
		"agent": func(tr *tracing.Tracer) *tracing.Span {
			return tr.Request(tracing.Request{Method: "GET", Agent: "bad\xff"})
		},
		"query": func(tr *tracing.Tracer) *tracing.Span {
			return tr.Request(tracing.Request{Method: "GET", Path: "/a?b=\xff"})
		},
		"cut": func(tr *tracing.Tracer) *tracing.Span {
			return tr.Request(tracing.Request{Method: "GET", Path: strings.Repeat("a", 255) + "ä"})
		},
		"remote": func(tr *tracing.Tracer) *tracing.Span {
			return tr.Request(tracing.Request{Method: "GET", Remote: "\xff"})
		},
		"name":    func(tr *tracing.Tracer) *tracing.Span { return tr.Send(tracing.Sending{Topic: "\xff"}) },
		"trigger": func(tr *tracing.Tracer) *tracing.Span { return tr.Invocation(tracing.Invocation{Trigger: "\xff"}) },
	}
	for what, begin := range hostile {
		var to list
		tr := tracing.New(&to, 1)
		want := 2
		tr.Request(tracing.Request{Method: "GET", Path: "/neighbour"}).Answered("GET", "/neighbour", 200)
		if s := begin(tr); s != nil {
			s.Answered("GET", "/\xff", 200)
			want++
		}
		tr.Request(tracing.Request{Method: "GET", Path: "/neighbour"}).Failed("busy\xff")
		form := tracing.Scope(slices.Concat(to...))
		read := new(tracepb.ScopeSpans)
		text, err := proto.Marshal(form)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err := proto.Unmarshal(text, read); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := len(read.Spans); got != want {
			t.Errorf("%s: %d spans came, want %d", what, got, want)
		}
	}
}
