package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promsource "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc/credentials"

	"github.com/dalamb/dalamb/internal/tracing"
)

// OTLPOptions of OpenOTLP. Endpoint "" sends nothing.
type OTLPOptions struct {
	Endpoint string            // http or https, a host, a port, and for http/protobuf a path before /v1/traces
	HTTP     bool              // http/protobuf; else gRPC
	Headers  map[string]string // of each request; their values are secrets
	TLS      *tls.Config       // of an https endpoint; nil = the machine's authorities

	Traces   bool
	Sample   float64 // the part of the traces that begin here which is sent, from 0 to 1
	Metrics  bool
	Interval time.Duration // between two sendings of the metrics

	Version  string
	Instance string // which node this is
	Registry *prometheus.Registry
	Logger   *slog.Logger
}

// waitingSpans is how many spans wait to be sent, those on their way included. More are dropped, and counted.
const waitingSpans = 8192

// sendTimeout is how long one sending may take, repetitions included.
const sendTimeout = 10 * time.Second

// OTLP sends spans and metrics to a receiver of OpenTelemetry's protocol. What it is given never waits for that.
type OTLP struct {
	spans   *spanQueue            // nil = none
	tracer  *tracing.Tracer       // nil = none
	metrics *metric.MeterProvider // nil = none
}

// OpenOTLP connects to nobody: the receiver need not be there. It must be closed.
func OpenOTLP(ctx context.Context, o OTLPOptions) (*OTLP, error) {
	counts, err := newSendings(o.Registry)
	if err != nil {
		return nil, err
	}
	p := &OTLP{}
	if o.Endpoint == "" {
		return p, nil
	}
	what := resource.NewSchemaless(semconv.ServiceName("dalamb"), semconv.ServiceVersion(o.Version), semconv.ServiceInstanceID(o.Instance), attribute.String("telemetry.sdk.language", "go"))
	if o.Traces {
		from, err := resource.Merge(resource.Environment(), what) // as the SDK does with metrics
		if err != nil {
			return nil, fmt.Errorf("say which node sends spans: %w", err)
		}
		q := &spanQueue{to: o.spanClient(), from: resourceOf(from), schema: from.SchemaURL(), most: waitingSpans, counts: counts, trouble: o.trouble("traces")}
		if err := q.start(ctx); err != nil {
			return nil, fmt.Errorf("open the way of spans to %s: %w", o.Endpoint, err)
		}
		p.spans, p.tracer = q, tracing.New(q, o.Sample)
	}
	if o.Metrics {
		e, err := o.metricExporter(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the way of metrics to %s: %w", o.Endpoint, err), p.Close(ctx))
		}
		e = metricSender{e, counts, o.trouble("metrics")}
		reader := metric.NewPeriodicReader(e, metric.WithInterval(o.Interval), metric.WithTimeout(sendTimeout),
			metric.WithProducer(promsource.NewMetricProducer(promsource.WithGatherer(o.Registry))))
		p.metrics = metric.NewMeterProvider(metric.WithResource(what), metric.WithReader(reader))
	}
	return p, nil
}

// Tracer begins the spans that are sent; nil = nobody wants any.
func (p *OTLP) Tracer() *tracing.Tracer { return p.tracer }

// Close sends what waits, as long as ctx allows, and ends. Spans that end later are lost.
func (p *OTLP) Close(ctx context.Context) error {
	var errs []error
	if p.spans != nil {
		errs = append(errs, p.spans.close(ctx))
	}
	if p.metrics != nil {
		errs = append(errs, p.metrics.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("send the last spans and metrics: %w", err)
	}
	return nil
}

func resourceOf(r *resource.Resource) *resourcepb.Resource {
	out := &resourcepb.Resource{}
	for _, kv := range r.Attributes() {
		out.Attributes = append(out.Attributes, &common.KeyValue{Key: string(kv.Key), Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: kv.Value.String()}}})
	}
	return out
}

func (o *OTLPOptions) spanClient() otlptrace.Client {
	if o.HTTP {
		options := []otlptracehttp.Option{
			otlptracehttp.WithEndpointURL(strings.TrimSuffix(o.Endpoint, "/") + "/v1/traces"), otlptracehttp.WithHeaders(o.Headers), otlptracehttp.WithTimeout(sendTimeout),
			otlptracehttp.WithHTTPClient(o.httpClient()),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: sendTimeout}),
		}
		return otlptracehttp.NewClient(options...)
	}
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpointURL(o.Endpoint), otlptracegrpc.WithHeaders(o.Headers), otlptracegrpc.WithTimeout(sendTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: sendTimeout}),
	}
	if o.TLS != nil {
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(o.TLS)))
	}
	return otlptracegrpc.NewClient(options...)
}

// httpClient follows no redirect: the headers are for nobody else, and Go's client leaves only some of them out on the way to another host.
func (o *OTLPOptions) httpClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = o.TLS
	return &http.Client{Transport: t, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (o *OTLPOptions) metricExporter(ctx context.Context) (metric.Exporter, error) {
	if o.HTTP {
		options := []otlpmetrichttp.Option{
			otlpmetrichttp.WithEndpointURL(strings.TrimSuffix(o.Endpoint, "/") + "/v1/metrics"), otlpmetrichttp.WithHeaders(o.Headers), otlpmetrichttp.WithTimeout(sendTimeout),
			otlpmetrichttp.WithHTTPClient(o.httpClient()),
			otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: sendTimeout}),
		}
		return otlpmetrichttp.New(ctx, options...)
	}
	options := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpointURL(o.Endpoint), otlpmetricgrpc.WithHeaders(o.Headers), otlpmetricgrpc.WithTimeout(sendTimeout),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: sendTimeout}),
	}
	if o.TLS != nil {
		options = append(options, otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(o.TLS)))
	}
	return otlpmetricgrpc.New(ctx, options...)
}
