package telemetry

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/tracing"
)

func TestAReceiverCannotSendTheHeadersElsewhere(t *testing.T) {
	var asked, followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer elsewhere.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") == "s3cr3t" {
			asked.Add(1)
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer receiver.Close()
	p, err := OpenOTLP(t.Context(), OTLPOptions{
		Endpoint: receiver.URL, HTTP: true, Headers: map[string]string{"x-token": "s3cr3t"}, Traces: true, Sample: 1, Metrics: true, Interval: time.Hour, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Tracer().Request(tracing.Request{Method: http.MethodGet}).End()
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	if asked.Load() != 2 || followed.Load() != 0 {
		t.Errorf("the receiver was asked %d times, another %d times, want 2 and 0", asked.Load(), followed.Load())
	}
}
