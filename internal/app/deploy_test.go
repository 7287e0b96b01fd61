package app_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/need"
)

// alertsDir is where the rules for Prometheus are.
var alertsDir = filepath.Join("..", "..", "deploy", "prometheus")

// TestAlertsFireWhenTheyShould asks Prometheus's own tool; each alert has a case there of what makes it fire and what does not.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "", "check", "rules", filepath.Join(alertsDir, "alerts.yaml"))
	promtool(t, "", "test", "rules", filepath.Join(alertsDir, "alerts_test.yaml"))
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	var cases struct{ Tests []struct{ Name string } }
	decode(t, "alerts.yaml", &rules)
	decode(t, "alerts_test.yaml", &cases)
	tested := map[string]bool{}
	for _, c := range cases.Tests {
		tested[c.Name] = true
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if !tested[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["runbook"] == "" {
				t.Errorf("alert %s: tested %v, severity %q, summary %q, runbook %q; want all of them", r.Alert, tested[r.Alert], r.Labels["severity"], r.Annotations["summary"], r.Annotations["runbook"])
			}
		}
	}
}

func decode(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(alertsDir, name))
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
}

// promtool runs it, and wants it to find nothing.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), need.Program(t, "promtool"), args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestPrometheusLikesTheMetrics of a node that has done something, and finds the trace that an exemplar names.
func TestPrometheusLikesTheMetrics(t *testing.T) {
	r, endpoint := grpcReceiver(t)
	n := start(t, t.TempDir(), "otlp.endpoint="+endpoint, "otlp.metrics=false")
	chain(t, n)
	if status := n.traced("POST", "/orders/1", ""); status != 200 {
		t.Fatalf("answer = %d, want 200", status)
	}
	until(t, "the order to be paid", func() bool {
		return strings.Contains(n.page("/metrics"), `dalamb_run_seconds_count{function="pay",trigger="placed"} 1`)
	})
	promtool(t, n.page("/metrics"), "check", "metrics")
	page := n.page("/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
	for _, name := range []string{"dalamb_gateway_request_seconds", "dalamb_route_request_seconds", "dalamb_invocation_seconds", "dalamb_version_invocation_seconds", "dalamb_run_seconds"} {
		m := regexp.MustCompile(name + `_bucket\{[^}]*\} \d+ # \{trace_id="([0-9a-f]{32})"\}`).FindStringSubmatch(page)
		if m == nil {
			t.Errorf("%s has no exemplar", name)
			continue
		}
		until(t, "the trace that an exemplar names", func() bool {
			for _, s := range r.spans("") {
				if id(s.TraceId) == m[1] {
					return true
				}
			}
			return false
		})
	}
	for _, series := range []string{
		`dalamb_route_requests_total{function="desk",status="2xx",trigger="orders"} 1`, `dalamb_version_invocations_total{function="pay",outcome="succeeded",version="1"} 1`,
		`dalamb_function_cpu_seconds_total{function="desk"}`, `dalamb_log_group_records_count`,
	} {
		if !strings.Contains(page, series) {
			t.Errorf("the page lacks %s", series)
		}
	}
}

// TestTheDashboardCanBeRead as Grafana reads it.
func TestTheDashboardCanBeRead(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grafana", "dalamb.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil || d.UID == "" || d.Title == "" {
		t.Fatalf("the dashboard is %+v, %v", d, err)
	}
	seen := map[int]bool{}
	for _, p := range d.Panels {
		if seen[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d is there twice, or asks for nothing", p.ID)
		}
		seen[p.ID] = true
	}
}
