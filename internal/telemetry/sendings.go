package telemetry

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sendings count what goes to an OTLP receiver, and what does not arrive there.
type sendings struct {
	spansSent, spansDropped, spansFailed prometheus.Counter
	metricsSent, metricsFailed           prometheus.Counter
}

func newSendings(r prometheus.Registerer) (*sendings, error) {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_otlp_spans_total", Help: "Spans by what became of them: sent, dropped (too many were waiting), failed (the receiver did not take them).",
	}, []string{"result"})
	metrics := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_otlp_metrics_total", Help: "Sendings of all metrics to the OTLP receiver: sent, failed.",
	}, []string{"result"})
	if err := errors.Join(r.Register(spans), r.Register(metrics)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &sendings{
		spansSent: spans.WithLabelValues("sent"), spansDropped: spans.WithLabelValues("dropped"), spansFailed: spans.WithLabelValues("failed"),
		metricsSent: metrics.WithLabelValues("sent"), metricsFailed: metrics.WithLabelValues("failed"),
	}, nil
}

// metricSender counts what is sent, and tells of trouble in its own time: an error that it returned would be printed by OpenTelemetry's package, for each
// sending a line.
type metricSender struct {
	metric.Exporter
	counts  *sendings
	trouble *trouble
}

func (e metricSender) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	err := e.Exporter.Export(ctx, m)
	e.trouble.note(err)
	if err != nil {
		e.counts.metricsFailed.Inc()
	} else {
		e.counts.metricsSent.Inc()
	}
	return nil
}
