package telemetry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/tracing"
)

// nowhere takes spans and does nothing with them.
type nowhere struct{}

func (nowhere) Take([]byte) {}

// BenchmarkCall is what a call of a function costs its node for traces: two spans and four measurements, with their sending to a receiver that takes
// all, whose own time is in it.
func BenchmarkCall(b *testing.B) {
	never := func() bool { return false }
	b.Run("untraced", func(b *testing.B) { benchmarkCall(b, nil, never) })
	b.Run("not sampled", func(b *testing.B) { benchmarkCall(b, tracing.New(nowhere{}, 0), never) })
	b.Run("not sent", func(b *testing.B) { benchmarkCall(b, tracing.New(nowhere{}, 1), never) })
	b.Run("sent", func(b *testing.B) {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		defer receiver.Close()
		o, err := OpenOTLP(b.Context(), OTLPOptions{Endpoint: receiver.URL, HTTP: true, Traces: true, Sample: 1, Registry: prometheus.NewRegistry()})
		if err != nil {
			b.Fatal(err)
		}
		benchmarkCall(b, o.Tracer(), func() bool {
			o.spans.mu.Lock()
			defer o.spans.mu.Unlock()
			return o.spans.waiting > waitingSpans/2
		})
		if err := o.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

func benchmarkCall(b *testing.B, t *tracing.Tracer, crowded func() bool) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "seconds", Help: "Seconds.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, []string{"kind"})
	b.ReportAllocs()
	before := cpuTime(b)
	for i := range b.N {
		s := t.Request(tracing.Request{Method: "POST", Host: "127.0.0.1:40123", Path: "/bench/call", Remote: "127.0.0.1", Agent: "Go-http-client/1.1"})
		c := t.Invocation(tracing.Invocation{Parent: s.TraceParent(), Function: "web", Version: 1, ID: "0198a3c1-7d52-7c1e-b0aa-0f4f2a1d9c11", Run: "0198a3c1-7d52-7c1e-b0aa-0f4f2a1d9c11", Attempt: 1, Trigger: "call"})
		for range 2 {
			c.Observe(seconds.WithLabelValues("http"), time.Duration(i%100)*10*time.Microsecond)
		}
		c.Invoked("succeeded", "", "web-1-0198a3c1", false)
		for range 2 {
			s.Observe(seconds.WithLabelValues("route"), time.Duration(i%100)*10*time.Microsecond)
		}
		s.Answered("POST", "/bench/call", 200)
		for i%512 == 511 && crowded() { // none is to be dropped
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/call")
}

// cpuTime is that of the process, which other work on the machine makes no longer.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
