package telemetry

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry makes the registry of one node: what the process and the Go runtime tell, and which build it is. The rooms
// register their own metrics with it. Nothing is shared between two registries, so two nodes can run in one process.
func Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
		build(),
	)
	return r
}

// build is a gauge that is always 1; its labels tell which program this is.
func build() prometheus.Collector {
	labels := prometheus.Labels{"version": "unknown", "revision": "unknown", "go": "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["version"], labels["go"] = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dalamb_build_info", Help: "Which build this node runs; the value is always 1.", ConstLabels: labels,
	}, func() float64 { return 1 })
}

// Handler serves the metrics of g in the Prometheus text format or OpenMetrics, as the client asks. A collector that fails
// costs its own metrics only and is logged.
func Handler(g prometheus.Gatherer, logger *slog.Logger) http.Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            errorLog{logger},
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true,
	})
}

// errorLog is slog as promhttp wants it.
type errorLog struct{ logger *slog.Logger }

func (l errorLog) Println(v ...any) { l.logger.Warn("metrics are incomplete", "err", v) }
