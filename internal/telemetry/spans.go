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

// spanQueue holds the spans that are to be sent, and so many at most, as the bytes that are sent. Who ends a span adds it, and no more: one goroutine looks at that
// every second, or when enough is there for a sending, and is not woken for each span.
type spanQueue struct {
	to      otlptrace.Client
	from    *resourcepb.Resource
	schema  string
	most    int
	counts  *sendings
	trouble *trouble

	mu      sync.Mutex
	full    []sending
	last    sending  // is filled
	spare   [][]byte // of what was sent: memory for what comes next
	usual   int      // how long the longest sending was
	waiting int      // those on their way included

	enough chan struct{} // has room for one
	end    chan struct{}
	ended  chan struct{}
	give   context.CancelFunc // gives up what is on its way
}

// sending is what goes out together.
type sending struct {
	spans int
	bytes []byte
}

// spares is how many sendings' memory is kept while there is something to send: one is on its way while another is filled, and it may have fallen behind.
const spares = 4

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
func (q *spanQueue) Take(span []byte) {
	q.mu.Lock()
	drop := q.waiting >= q.most
	if !drop {
		q.waiting++
		q.add(span)
	}
	enough := len(q.full) > 0 || q.last.spans >= spansAtOnce
	q.mu.Unlock()
	if drop {
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

// add puts a span into the sending that is filled, or into the next one where that has as much as one may have.
func (q *spanQueue) add(span []byte) {
	if l := &q.last; l.spans == spansAtOnce || l.spans > 0 && len(l.bytes)+len(span) > bytesAtOnce {
		q.full = append(q.full, q.last)
		q.last = sending{}
	}
	if q.last.spans == 0 {
		q.last.bytes = q.room()
	}
	q.last.spans++
	q.last.bytes = append(q.last.bytes, span...)
}

// room is memory for a sending.
func (q *spanQueue) room() []byte {
	if n := len(q.spare); n > 0 {
		b := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return b
	}
	return make([]byte, 0, q.usual)
}

// taken are the sendings that wait.
func (q *spanQueue) taken() []sending {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.full
	if q.last.spans > 0 {
		all = append(all, q.last)
	}
	if len(all) == 0 {
		q.spare, q.usual = nil, 0 // a node with nothing to send keeps no memory for that
	}
	q.full, q.last = nil, sending{}
	return all
}

// sent makes room for what a sending has taken.
func (q *spanQueue) sent(s sending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting -= s.spans
	q.usual = max(q.usual, len(s.bytes))
	if len(q.spare) < spares {
		q.spare = append(q.spare, s.bytes[:0])
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
		for _, s := range q.taken() {
			q.send(ctx, s)
		}
	}
}

func (q *spanQueue) send(ctx context.Context, s sending) {
	defer q.sent(s)
	ctx, cancel := context.WithTimeout(ctx, 2*sendTimeout)
	defer cancel()
	err := q.to.UploadTraces(ctx, []*tracepb.ResourceSpans{{Resource: q.from, SchemaUrl: q.schema, ScopeSpans: []*tracepb.ScopeSpans{tracing.Scope(s.bytes)}}})
	failed := untaken(err, s.spans)
	if failed == 0 {
		err = nil // a warning at most
	}
	q.trouble.note(err)
	q.counts.spansFailed.Add(float64(failed))
	q.counts.spansSent.Add(float64(s.spans - failed))
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
