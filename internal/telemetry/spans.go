package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// keepErrors has spans recorded that are not sampled, since it is known at their end only whether they went wrong.
type keepErrors struct{ sdktrace.Sampler }

func (s keepErrors) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	r := s.Sampler.ShouldSample(p)
	if r.Decision == sdktrace.Drop {
		r.Decision = sdktrace.RecordOnly
	}
	return r
}

// spanQueue holds the spans that are to be sent, and so many at most. The batches are OpenTelemetry's own processor's; it drops spans too, but tells
// nobody, so that here no more come to it than it has room for.
type spanQueue struct {
	next    sdktrace.SpanProcessor
	most    int64
	waiting *atomic.Int64
	counts  *sendings
}

func newSpanQueue(to sdktrace.SpanExporter, most int64, c *sendings, t *trouble) *spanQueue {
	q := &spanQueue{most: most, waiting: new(atomic.Int64), counts: c}
	q.next = sdktrace.NewBatchSpanProcessor(spanSender{to, q.waiting, c, t},
		sdktrace.WithMaxQueueSize(int(most)), sdktrace.WithMaxExportBatchSize(1024), sdktrace.WithBatchTimeout(time.Second), sdktrace.WithExportTimeout(2*sendTimeout))
	return q
}

// OnStart implements sdktrace.SpanProcessor.
func (q *spanQueue) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) { q.next.OnStart(ctx, s) }

// OnEnd implements sdktrace.SpanProcessor. Of what is not sampled, what went wrong is sent nevertheless.
func (q *spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		if s.Status().Code != codes.Error {
			return
		}
		s = kept{s}
	}
	if q.waiting.Add(1) > q.most {
		q.waiting.Add(-1)
		q.counts.spansDropped.Inc()
		return
	}
	q.next.OnEnd(s)
}

// Shutdown implements sdktrace.SpanProcessor.
func (q *spanQueue) Shutdown(ctx context.Context) error { return q.next.Shutdown(ctx) }

// ForceFlush implements sdktrace.SpanProcessor.
func (q *spanQueue) ForceFlush(ctx context.Context) error { return q.next.ForceFlush(ctx) }

// kept is a span that was not to be sampled. The processor sends no other than sampled ones.
type kept struct{ sdktrace.ReadOnlySpan }

func (k kept) SpanContext() trace.SpanContext {
	c := k.ReadOnlySpan.SpanContext()
	return c.WithTraceFlags(c.TraceFlags().WithSampled(true))
}

// spanSender counts what is sent, and tells of trouble in its own time: an error that it returned would be printed by OpenTelemetry's package, for
// each batch a line.
type spanSender struct {
	sdktrace.SpanExporter
	waiting *atomic.Int64
	counts  *sendings
	trouble *trouble
}

func (e spanSender) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.waiting.Add(-int64(len(spans)))
	e.trouble.note(err)
	if err != nil {
		e.counts.spansFailed.Add(float64(len(spans)))
	} else {
		e.counts.spansSent.Add(float64(len(spans)))
	}
	return nil
}
