package telemetry

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// stuck is a receiver that takes nothing until it is let go.
type stuck struct{ free chan struct{} }

func (s stuck) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { <-s.free; return nil }
func (s stuck) Shutdown(context.Context) error                             { return nil }

func TestSpansAreDroppedAndCountedRatherThanWaitedFor(t *testing.T) {
	counts, err := newSendings(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	to := stuck{make(chan struct{})}
	o := OTLPOptions{}
	spans := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(newSpanQueue(to, 64, counts, o.trouble("traces"))))
	for range 1000 {
		_, s := spans.Tracer("test").Start(t.Context(), "a")
		s.End()
	}
	if got := testutil.ToFloat64(counts.spansDropped); got != 1000-64 {
		t.Errorf("%g spans were dropped, want %d", got, 1000-64)
	}
	close(to.free)
	if err := spans.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(counts.spansSent); got != 64 {
		t.Errorf("%g spans were sent, want 64", got)
	}
}
