package telemetry

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dalamb/dalamb/internal/tracing"
)

// stuck is a receiver that takes nothing until it is let go.
type stuck struct{ free chan struct{} }

func (s stuck) Start(context.Context) error { return nil }
func (s stuck) Stop(context.Context) error  { return nil }

func (s stuck) UploadTraces(ctx context.Context, _ []*tracepb.ResourceSpans) error {
	select {
	case <-s.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stuckQueue is the way of so many spans at most to a receiver that is stuck.
func stuckQueue(t *testing.T, most int) (*spanQueue, stuck) {
	t.Helper()
	counts, err := newSendings(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	to, o := stuck{make(chan struct{})}, OTLPOptions{}
	q := &spanQueue{to: to, most: most, counts: counts, trouble: o.trouble("traces")}
	if err := q.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return q, to
}

func TestSpansAreDroppedAndCountedRatherThanWaitedFor(t *testing.T) {
	for _, most := range []int{64, 3 * spansAtOnce} {
		q, to := stuckQueue(t, most)
		tr := tracing.New(q, 1)
		for range most + 936 {
			tr.Request(tracing.Request{Method: "GET"}).End()
		}
		if got := testutil.ToFloat64(q.counts.spansDropped); got != 936 {
			t.Errorf("%g spans were dropped, want 936", got)
		}
		close(to.free)
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(q.counts.spansSent); got != float64(most) {
			t.Errorf("%g spans were sent, want %d", got, most)
		}
	}
}

// weighing takes everything, and keeps how long each sending is.
type weighing struct{ sizes []int }

func (w *weighing) Start(context.Context) error { return nil }
func (w *weighing) Stop(context.Context) error  { return nil }

func (w *weighing) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	w.sizes = append(w.sizes, proto.Size(spans[0]))
	return nil
}

// TestASendingIsNoLongerThanReceiversTake: spans of batches have many links each.
func TestASendingIsNoLongerThanReceiversTake(t *testing.T) {
	q, to := stuckQueue(t, 4*spansAtOnce)
	close(to.free)
	all := &weighing{}
	q.to = all
	tr := tracing.New(q, 1)
	p := tracing.Processing{Topic: "events", Parents: slices.Repeat([]string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, 1000)}
	for range spansAtOnce {
		tr.Process(p).Processed("succeeded", "")
	}
	if err := q.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range all.sizes {
		if n > bytesAtOnce+1024 {
			t.Errorf("a sending has %d bytes, want about %d at most", n, bytesAtOnce)
		}
	}
	if got := testutil.ToFloat64(q.counts.spansSent); got != spansAtOnce || len(all.sizes) < 2 {
		t.Errorf("%g spans were sent in %d sendings, want all %d in several", got, len(all.sizes), spansAtOnce)
	}
}

// reading takes everything, slowly, and keeps what it was sent.
type reading struct {
	t     *testing.T
	paths []string
}

func (r *reading) Start(context.Context) error { return nil }
func (r *reading) Stop(context.Context) error  { return nil }

func (r *reading) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	time.Sleep(3 * time.Second)
	text, err := proto.Marshal(spans[0])
	if err != nil {
		r.t.Error(err)
	}
	got := new(tracepb.ResourceSpans)
	if err := proto.Unmarshal(text, got); err != nil {
		r.t.Error(err)
	}
	for _, s := range got.ScopeSpans[0].Spans {
		r.paths = append(r.paths, s.Attributes[0].Value.GetStringValue())
	}
	return nil
}

// TestSpansArriveAsTheyWereAndOnce, though the memory that one sending has taken is that of another one.
func TestSpansArriveAsTheyWereAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, to := stuckQueue(t, 8*spansAtOnce)
		close(to.free)
		r := &reading{t: t}
		q.to = r
		tr := tracing.New(q, 1)
		var want []string
		for n := range 9 * spansAtOnce {
			path := fmt.Sprintf("/%d", n)
			want = append(want, path)
			tr.Request(tracing.Request{Method: "GET", Path: path}).End()
			if n%700 == 0 {
				time.Sleep(time.Second)
			}
		}
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
		if !slices.Equal(r.paths, want) {
			t.Errorf("%d spans arrived of %d, or they are other ones", len(r.paths), len(want))
		}
	})
}

func TestACloseWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := stuckQueue(t, 64)
		tracing.New(q, 1).Request(tracing.Request{Method: "GET"}).End()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := q.close(ctx); err != nil {
			t.Error(err)
		}
		if got, took := testutil.ToFloat64(q.counts.spansFailed), time.Since(begun); got != 1 || took != time.Second {
			t.Errorf("%g spans count as failed after %v, want the one that was given up, after 1s", got, took)
		}
	})
}

func TestSpansAreSentWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, to := stuckQueue(t, 64)
		close(to.free)
		tracing.New(q, 1).Request(tracing.Request{Method: "GET"}).End()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := testutil.ToFloat64(q.counts.spansSent); got != 1 {
			t.Errorf("%g spans were sent after a second, want 1", got)
		}
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
