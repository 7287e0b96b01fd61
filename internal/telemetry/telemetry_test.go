package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestLoggerFormatAndLevel(t *testing.T) {
	tests := []struct {
		format, level string
		want          []string
		not           string
	}{
		{"", "", []string{"level=INFO", "msg=started", "trigger=on-paid"}, "level=DEBUG"},
		{"text", "debug", []string{"level=DEBUG", "level=INFO"}, "{"},
		{"text", "WARN", []string{"level=WARN"}, "level=INFO"},
		{"json", "error", []string{`"level":"ERROR"`}, "WARN"},
	}
	for _, tt := range tests {
		t.Run(tt.format+"/"+tt.level, func(t *testing.T) {
			var out bytes.Buffer
			l, err := Logger(LogOptions{Writer: &out, Format: tt.format, Level: tt.level})
			if err != nil {
				t.Fatal(err)
			}
			l.Debug("looked")
			l.Info("started", "trigger", "on-paid")
			l.Warn("slow")
			l.Error("broken")
			for _, w := range tt.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("log = %q, want %q in it", out.String(), w)
				}
			}
			if strings.Contains(out.String(), tt.not) {
				t.Errorf("log = %q, want no %q in it", out.String(), tt.not)
			}
			if first, _, _ := strings.Cut(out.String(), "\n"); tt.format == "json" && !json.Valid([]byte(first)) {
				t.Errorf("line %q is not JSON", first)
			}
		})
	}
}

// stacked is an error as some libraries make them.
type stacked struct{ error }

func (s stacked) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, s.error)
	if verb == 'v' && f.Flag('+') {
		fmt.Fprint(f, "\nruntime.main\n\t/go/proc.go:1")
	}
}

func TestAnErrorIsLoggedWithoutItsStack(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l, err := Logger(LogOptions{Writer: &out, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		l.Error("broken", "err", stacked{errors.New("no bread")}, "cause", error(nil), "n", 3)
		if got := out.String(); strings.Contains(got, "proc.go") || !strings.Contains(got, "no bread") {
			t.Errorf("%s: %s, want what it says alone", format, got)
		}
	}
}

// sour is an error with something in it.
type sour struct{ text string }

func (s *sour) Error() string { return s.text }

func TestAnErrorThatIsANilPointerIsLogged(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l, err := Logger(LogOptions{Writer: &out, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		l.Error("broken", "err", (*sour)(nil), "n", 3)
		if got := out.String(); !strings.Contains(got, "<nil>") || !strings.Contains(got, "broken") {
			t.Errorf("%s: %s, want that the error is <nil>", format, got)
		}
	}
}

func TestLoggerRefuses(t *testing.T) {
	for _, o := range []LogOptions{{Format: "xml"}, {Level: "loud"}} {
		_, err := Logger(o)
		if fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("Logger(%+v) = %v, want Invalid with a hint", o, err)
		}
	}
}

func TestTwoNodesInOneProcess(t *testing.T) {
	a, b := Registry(), Registry()
	for _, r := range []prometheus.Registerer{a, b} {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_test_total", Help: "A test's."})
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
		if r == prometheus.Registerer(a) {
			c.Inc()
		}
	}
	if got := scrape(t, a, nil); !strings.Contains(got, "dalamb_test_total 1") {
		t.Errorf("first node's page has not its own count:\n%s", got)
	}
	if got := scrape(t, b, nil); !strings.Contains(got, "dalamb_test_total 0") {
		t.Errorf("second node's page has the first one's count:\n%s", got)
	}
}

func TestPageHasBasics(t *testing.T) {
	got := scrape(t, Registry(), nil)
	for _, want := range []string{"dalamb_build_info{", "go_goroutines", "process_start_time_seconds"} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics page lacks %s", want)
		}
	}
}

type broken struct{ d *prometheus.Desc }

func (b broken) Describe(ch chan<- *prometheus.Desc) { ch <- b.d }
func (b broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(b.d, errors.New("the probe is gone"))
}

func TestFailingCollectorCostsItsOwnMetricsOnly(t *testing.T) {
	r := Registry()
	r.MustRegister(broken{prometheus.NewDesc("dalamb_broken", "A test's.", nil, nil)})
	var out bytes.Buffer
	got := scrape(t, r, slog.New(slog.NewTextHandler(&out, nil)))
	if !strings.Contains(got, "go_goroutines") {
		t.Error("metrics page lacks the healthy collectors")
	}
	if !strings.Contains(out.String(), "the probe is gone") {
		t.Errorf("log = %q, want the collector's error", out.String())
	}
}

func scrape(t *testing.T, g prometheus.Gatherer, logger *slog.Logger) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(g, logger).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET /metrics = %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}
