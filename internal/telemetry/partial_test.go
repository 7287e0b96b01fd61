package telemetry

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/dalamb/dalamb/internal/tracing"
)

// picky takes all spans of a sending but some.
type picky struct {
	coltracepb.UnimplementedTraceServiceServer
	answer *coltracepb.ExportTraceServiceResponse
}

func (p picky) Export(context.Context, *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	return p.answer, nil
}

// TestOnlyTheSpansThatAReceiverRefusesCountAsFailed, by either protocol; a warning costs none.
func TestOnlyTheSpansThatAReceiverRefusesCountAsFailed(t *testing.T) {
	for _, refused := range []int64{0, 2, 99, -1} {
		answer := &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: refused, ErrorMessage: "too old"}}
		text, err := proto.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		byHTTP := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write(text)
		}))
		t.Cleanup(byHTTP.Close)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		byGRPC := grpc.NewServer()
		coltracepb.RegisterTraceServiceServer(byGRPC, picky{answer: answer})
		served := make(chan error, 1)
		go func() { served <- byGRPC.Serve(l) }()
		for endpoint, isHTTP := range map[string]bool{byHTTP.URL: true, "http://" + l.Addr().String(): false} {
			p, err := OpenOTLP(t.Context(), OTLPOptions{Endpoint: endpoint, HTTP: isHTTP, Traces: true, Sample: 1, Registry: prometheus.NewRegistry()})
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				p.Tracer().Request(tracing.Request{Method: http.MethodGet}).End()
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			want := float64(min(max(refused, 0), 5))
			if failed, sent := testutil.ToFloat64(p.spans.counts.spansFailed), testutil.ToFloat64(p.spans.counts.spansSent); failed != want || sent != 5-want {
				t.Errorf("HTTP %v: of 5 spans %d are refused: %g count as failed and %g as sent", isHTTP, refused, failed, sent)
			}
		}
		byGRPC.Stop()
		<-served
	}
}
