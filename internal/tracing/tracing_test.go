package tracing_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dalamb/dalamb/internal/tracing"
)

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
		got := 0
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			in := new(collectortrace.ExportTraceServiceRequest)
			if body, err := io.ReadAll(r.Body); err != nil || proto.Unmarshal(body, in) != nil {
				t.Errorf("%s: the receiver gets no message: %v", what, err)
			}
			for _, rs := range in.ResourceSpans {
				for _, ss := range rs.ScopeSpans {
					got += len(ss.Spans)
				}
			}
		}))
		to, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(receiver.URL))
		if err != nil {
			t.Fatal(err)
		}
		p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(to))
		tr := tracing.New(p)
		want := 2
		tr.Request(tracing.Request{Method: "GET", Path: "/neighbour"}).Answered("GET", "/neighbour", 200)
		if s := begin(tr); s != nil {
			s.Answered("GET", "/\xff", 200)
			want++
		}
		tr.Request(tracing.Request{Method: "GET", Path: "/neighbour"}).Failed("busy\xff")
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		receiver.Close()
		if got != want {
			t.Errorf("%s: %d spans came, want %d", what, got, want)
		}
	}
}
