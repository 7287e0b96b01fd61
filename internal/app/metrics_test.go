package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/telemetry"
)

// TestMetricsPageListsEveryMetric compares what a node registers with the table of docs/metrics.md, labels included, and holds
// what needs the token and what does not.
func TestMetricsPageListsEveryMetric(t *testing.T) {
	c := config.Default()
	c.Data, c.Runner, c.Gateway, c.Control = t.TempDir(), "process", "127.0.0.1:0", "127.0.0.1:0"
	c.Audit.Checkpoints = filepath.Join(t.TempDir(), "checkpoints")
	c.Logs.Ship = config.Sinks{{Kind: config.SinkStdout, Name: "stdout"}} // who ships no lines has no metrics of that
	logger, err := telemetry.Logger(telemetry.LogOptions{Writer: t.Output(), Format: "text", Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(t.Context(), Options{Config: c, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	// The page is of a node whose runner fences, which this machine may not let it do: but to have its metrics it need not.
	need.Linux(t)
	if _, err := native.New(native.Options{StateDir: filepath.Join(t.TempDir(), "state"), Metrics: n.metrics}); err != nil {
		t.Fatal(err)
	}
	if err := ensureTopics(t.Context(), n.log); err != nil { // as Run does first
		t.Fatal(err)
	}

	for path, want := range map[string]int{"/metrics": http.StatusUnauthorized, "/_/health": http.StatusOK, "/v1/node": http.StatusUnauthorized} {
		w := httptest.NewRecorder()
		n.controlServer.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("GET %s without a token = %d, want %d", path, w.Code, want)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(dalamb_[a-z_]+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		page[m[1]] = strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(m[2]), "`", ""), ", ", ",")
	}
	for name, labels := range registered(n.metrics) {
		have, ok := page[name]
		switch {
		case !ok:
			t.Errorf("docs/metrics.md lacks %s", name)
		case have != labels:
			t.Errorf("docs/metrics.md gives %s the labels %q, want %q", name, have, labels)
		}
		delete(page, name)
	}
	for name := range page {
		t.Errorf("docs/metrics.md lists %s, which no node has", name)
	}
	for _, file := range []string{"grafana/dalamb.json", "prometheus/alerts.yaml", "prometheus/alerts_test.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range unknown(string(text), registered(n.metrics)) {
			t.Errorf("deploy/%s names %s, which no node has", file, name)
		}
	}
	if got := unknown("rate(dalamb_runs_totl[5m]) / dalamb_run_seconds_bucket", registered(n.metrics)); !slices.Equal(got, []string{"dalamb_runs_totl"}) {
		t.Errorf("of a misspelt name and a right one unknown = %q, want the misspelt one", got)
	}
}

// unknown are the metrics of dalamb that a text names and nobody has.
func unknown(text string, there map[string]string) (list []string) {
	for _, name := range regexp.MustCompile(`dalamb_[a-z_]+`).FindAllString(text, -1) {
		plain := name
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			plain = strings.TrimSuffix(plain, part)
		}
		_, whole := there[name]
		if _, is := there[plain]; !is && !whole {
			list = append(list, name)
		}
	}
	return list
}

// registered lists dalamb's own metrics with their labels, also of those that have no value yet.
func registered(r *prometheus.Registry) map[string]string {
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); r.Describe(descs) }()
	form := regexp.MustCompile(`fqName: "(dalamb_[a-z_]+)".*variableLabels: \{([^}]*)\}`)
	all := map[string]string{}
	for d := range descs {
		if m := form.FindStringSubmatch(d.String()); m != nil {
			all[m[1]] = m[2]
		}
	}
	return all
}
