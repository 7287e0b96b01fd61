package app_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// receiver takes OTLP by gRPC or HTTP, and keeps what comes.
type receiver struct {
	collectortrace.UnimplementedTraceServiceServer
	collectormetrics.UnimplementedMetricsServiceServer

	mu       sync.Mutex
	received []*tracepb.Span
	metrics  map[string]int // by name, how often
	tokens   map[string]int // authorization, how often
}

func newReceiver() *receiver { return &receiver{metrics: map[string]int{}, tokens: map[string]int{}} }

// grpcReceiver listens, and returns its address.
func grpcReceiver(t testing.TB) (*receiver, string) {
	t.Helper()
	r := newReceiver()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collectortrace.RegisterTraceServiceServer(s, r)
	collectormetrics.RegisterMetricsServiceServer(s, metricService{r: r})
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return r, "http://" + l.Addr().String()
}

// httpReceiver is the same by HTTP, below a path.
func httpReceiver(t testing.TB) (*receiver, string) {
	t.Helper()
	r := newReceiver()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err == nil {
			r.token(q.Header.Get("Authorization"))
			switch q.URL.Path {
			case "/otlp/v1/traces":
				in := new(collectortrace.ExportTraceServiceRequest)
				if err = proto.Unmarshal(body, in); err == nil {
					r.take(in)
				}
			case "/otlp/v1/metrics":
				in := new(collectormetrics.ExportMetricsServiceRequest)
				if err = proto.Unmarshal(body, in); err == nil {
					r.takeMetrics(in)
				}
			default:
				err = fmt.Errorf("path %s", q.URL.Path)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(s.Close)
	return r, s.URL + "/otlp"
}

func (r *receiver) Export(ctx context.Context, in *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		r.token(strings.Join(md.Get("authorization"), ","))
	}
	r.take(in)
	return &collectortrace.ExportTraceServiceResponse{}, nil
}

// metricService is the receiver's other service, whose method has the same name.
type metricService struct {
	collectormetrics.UnimplementedMetricsServiceServer
	r *receiver
}

func (m metricService) Export(_ context.Context, in *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	m.r.takeMetrics(in)
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

func (r *receiver) token(v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[v]++
}

func (r *receiver) take(in *collectortrace.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range in.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			r.received = append(r.received, ss.Spans...)
		}
	}
}

func (r *receiver) takeMetrics(in *collectormetrics.ExportMetricsServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rm := range in.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				r.metrics[m.Name]++
			}
		}
	}
}

// spans are those of a name, as they came.
func (r *receiver) spans(name string) []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*tracepb.Span
	for _, s := range r.received {
		if s.Name == name || name == "" {
			list = append(list, s)
		}
	}
	return list
}

// text is all that the receiver was told in spans.
func (r *receiver) text() string {
	var b strings.Builder
	for _, s := range r.spans("") {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

// says is an attribute of a span, as text.
func says(s *tracepb.Span, key string) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			switch v := kv.Value.Value.(type) {
			case *common.AnyValue_StringValue:
				return v.StringValue
			default:
				return strings.TrimSpace(fmt.Sprint(kv.Value))
			}
		}
	}
	return ""
}

func id(b []byte) string { return hex.EncodeToString(b) }
