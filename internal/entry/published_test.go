package entry

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/client"
)

// withExtension is the code of a function in one file, beside a published extension.
func withExtension(t *testing.T, e client.Client, file string) string {
	t.Helper()
	need.Program(t, e.Command[0])
	dir := codeDir(t)
	if err := os.CopyFS(dir, os.DirFS(need.Extension(t, e))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTheWebAdapterOfAWS: it is an extension that asks for the invocations itself and makes requests of them to a server that knows
// nothing of Lambda.
func TestTheWebAdapterOfAWS(t *testing.T) {
	adapter := client.WebAdapter()
	s := newMatrixStage(t, withExtension(t, adapter, "testdata/languages/http/function.py"))
	start := func(mode string) Conn {
		return s.start(version("lambda:adapted", func(spec *function.Spec) {
			spec.Entry.Command = adapter.Command
			spec.Resources.CPU = 2
			spec.Env["PORT"] = "8080"
			spec.Env["AWS_LWA_READINESS_CHECK_PROTOCOL"] = "tcp"
			spec.Env["AWS_LWA_INVOKE_MODE"] = mode
		}))
	}
	ask := func(c Conn, do string) *function.Result {
		r := httptest.NewRequest("POST", "/cards", strings.NewReader(do))
		r.Header.Set("Content-Type", "application/json")
		return s.invoke(c, &function.Invocation{ID: event.NewID(), Request: r})
	}
	c := start("buffered")
	for range 3 {
		r := ask(c, `{"do":"echo","text":"żółć 猫"}`)
		if wantOutcome(t, r, function.Succeeded); r.Status != 200 || string(r.Body) != `{"text": "żółć 猫"}` || r.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("answer = %d %v %s", r.Status, r.Header, r.Body)
		}
	}
	if r := ask(c, `{"do":"fail"}`); r.Status != 500 || !strings.Contains(string(r.Body), "no such card") {
		t.Errorf("answer = %d %s, want the server's own 500", r.Status, r.Body)
	}
	k := newSink()
	r := s.invoke(start("response_stream"), &function.Invocation{ID: event.NewID(), Request: httptest.NewRequest("GET", "/", nil), Responder: k})
	wantOutcome(t, r, function.Succeeded)
	if k.head.Status != 207 || k.head.Header.Get("X-Streamed") != "yes" || k.body.String() != "first second" || k.writes < 2 {
		t.Errorf("streamed answer = %+v, %q in %d parts, want two", k.head, k.body.String(), k.writes)
	}
}

// TestAPublishedTelemetryExtension: it registers for INVOKE and SHUTDOWN, subscribes to the Logs API, and sends what it hears to a
// collector.
func TestAPublishedTelemetryExtension(t *testing.T) {
	otel := client.OTelExtension()
	s := newMatrixStage(t, withExtension(t, otel, "testdata/extensions/observed.mjs"))
	c := s.start(version("lambda:observed", func(spec *function.Spec) {
		spec.Entry.Command = otel.Command
		spec.Resources.CPU = 2
		spec.Env["DO_NOT_WAIT"] = "1"
		spec.Env["DEBUG_SLS_OTEL_LAYER"] = "1"
		spec.Env["SLS_OTEL_REPORT_METRICS_URL"] = "http://localhost:4318/v1/metrics"
		spec.Env["SLS_OTEL_REPORT_TRACES_URL"] = "http://localhost:4318/v1/traces"
	}))
	type batch struct {
		Path, Type     string
		Invoke, Report bool
	}
	var got struct {
		ID   string
		Sent []batch
	}
	inv := payload(`{"do":"work"}`)
	r := s.invoke(c, inv)
	wantOutcome(t, r, function.Succeeded)
	r = s.invoke(c, payload(`{"do":"tell"}`)) // waits until the collector has what came of the first
	wantOutcome(t, r, function.Succeeded)
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	for what, is := range map[string]func(b batch) bool{
		"the invocation":     func(b batch) bool { return b.Path == "/v1/metrics" && b.Invoke },
		"the platform's own": func(b batch) bool { return b.Path == "/v1/metrics" && b.Report },
		"a trace":            func(b batch) bool { return b.Path == "/v1/traces" && b.Type == "application/x-protobuf" },
	} {
		if !slices.ContainsFunc(got.Sent, is) {
			t.Errorf("the collector got %+v, want %s among it", got.Sent, what)
		}
	}
	c.Stop(5 * time.Second)
	s.line("Processing event:  SHUTDOWN")
}

// TestAWSsClientOfTheTelemetryAPI: an extension that is made with it says what it understands of each record, by AWS's own types.
func TestAWSsClientOfTheTelemetryAPI(t *testing.T) {
	extension := client.TelemetryExtension()
	s := newMatrixStage(t, withExtension(t, extension, "testdata/extensions/told.py"))
	c := s.start(version("lambda:told", func(spec *function.Spec) { spec.Entry.Command = extension.Command }))
	first, second := payload(`{"n":1}`), payload(`{"n":0}`)
	first.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	wantOutcome(t, s.invoke(c, first), function.Succeeded)
	conn := c.(*lambdaConn)
	conn.mu.Lock()
	rest := conn.ext.rest
	conn.mu.Unlock()
	if rest != nil {
		<-rest // that it has finished before it is asked whether it has costs no report
	}
	c.(Rester).Rest()
	wantFailure(t, s.invoke(c, second), function.Failed, "CardError", "no such card")
	c.(Rester).Rest()
	for _, want := range []string{
		`heard PlatformInitStart { initialization_type: OnDemand, phase: Init`,
		`heard PlatformTelemetrySubscription { name: "telemetry", state: "Subscribed", types: ["platform", "function"] }`,
		`heard PlatformExtension { name: "telemetry", state: "Ready", events: ["INVOKE", "SHUTDOWN"] }`,
		`heard PlatformInitRuntimeDone { initialization_type: OnDemand, phase: Some(Init), status: Success`,
		`heard PlatformInitReport { initialization_type: OnDemand, phase: Init, metrics: InitReportMetrics { duration_ms: `,
		`told of ` + first.ID + ` until `,
		`heard PlatformStart { request_id: "` + first.ID + `", version: Some("3"), tracing: Some(TraceContext { `,
		`heard Function("asked for 1`,
		`heard PlatformRuntimeDone { request_id: "` + first.ID + `", status: Success, error_type: None, metrics: Some(RuntimeDoneMetrics { duration_ms: `,
		`heard PlatformReport { request_id: "` + first.ID + `", status: Success, error_type: None, metrics: ReportMetrics { duration_ms: `,
		`told of ` + second.ID + ` until `,
		`heard Function("asked for 0`,
		`heard PlatformRuntimeDone { request_id: "` + second.ID + `", status: Error, error_type: Some("CardError")`,
		`heard PlatformReport { request_id: "` + second.ID + `", status: Error, error_type: Some("CardError")`,
	} {
		s.line(want)
	}
	c.Stop(5 * time.Second)
	s.line("told to end: ")
}
