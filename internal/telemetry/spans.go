package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/dalamb/dalamb/internal/tracing"
)

// One sending has so many spans at most, and so many bytes: receivers of gRPC take messages of up to 4 MiB where nobody has told them otherwise.
const (
	spansAtOnce = 1024
	bytesAtOnce = 2 << 20
)

// spanQueue holds the spans that are to be sent, and so many at most. Who ends a span adds it to a list, and no more: one goroutine looks at that every second,
// or when enough is there for a sending, and is not woken for each span.
type spanQueue struct {
	to      otlptrace.Client
	from    *resourcepb.Resource
	schema  string
	most    int
	counts  *sendings
	trouble *trouble

	mu      sync.Mutex
	list    []*tracing.Span
	waiting int // those on their way included

	enough chan struct{} // has room for one
	end    chan struct{}
	ended  chan struct{}
	give   context.CancelFunc // gives up what is on its way
}

// start connects to nobody yet. The queue must be closed.
func (q *spanQueue) start(ctx context.Context) error {
	if err := q.to.Start(ctx); err != nil {
		return err
	}
	q.enough, q.end, q.ended = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	ctx, q.give = context.WithCancel(context.WithoutCancel(ctx))
	go q.run(ctx)
	return nil
}

// Take implements tracing.Sink.
func (q *spanQueue) Take(s *tracing.Span) {
	q.mu.Lock()
	full := q.waiting >= q.most
	if !full {
		q.waiting++
		q.list = append(q.list, s)
	}
	enough := len(q.list) >= spansAtOnce
	q.mu.Unlock()
	if full {
		q.counts.spansDropped.Inc()
		return
	}
	if enough {
		select {
		case q.enough <- struct{}{}:
		default: // it knows
		}
	}
}

func (q *spanQueue) run(ctx context.Context) {
	defer close(q.ended)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-q.enough:
		case <-q.end:
			last = true
		}
		q.mu.Lock()
		spans := q.list
		q.list = nil
		q.mu.Unlock()
		for len(spans) > 0 {
			spans = spans[q.send(ctx, spans[:min(len(spans), spansAtOnce)]):]
		}
	}
}

// send sends the first spans, as many as one sending may have, and says how many those were.
func (q *spanQueue) send(ctx context.Context, spans []*tracing.Span) (n int) {
	ctx, cancel := context.WithTimeout(ctx, 2*sendTimeout)
	defer cancel()
	form, n := tracing.Form(spans, bytesAtOnce)
	err := q.to.UploadTraces(ctx, []*tracepb.ResourceSpans{{Resource: q.from, SchemaUrl: q.schema, ScopeSpans: []*tracepb.ScopeSpans{form}}})
	q.mu.Lock()
	q.waiting -= n
	q.mu.Unlock()
	failed := untaken(err, n)
	if failed == 0 {
		err = nil // a warning at most
	}
	q.trouble.note(err)
	q.counts.spansFailed.Add(float64(failed))
	q.counts.spansSent.Add(float64(n - failed))
	return n
}

// close sends what waits, as long as ctx allows. What is taken later is lost.
func (q *spanQueue) close(ctx context.Context) error {
	defer q.give()
	defer context.AfterFunc(ctx, q.give)()
	close(q.end)
	<-q.ended
	if err := q.to.Stop(ctx); err != nil {
		return fmt.Errorf("end the way of spans: %w", err)
	}
	return nil
}
