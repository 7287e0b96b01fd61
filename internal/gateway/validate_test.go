package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const orders = `openapi: 3.1.0
paths:
  /orders:
    get:
      parameters: [{in: query, name: limit, schema: {type: integer}}]
      responses: {"200": {content: {application/json: {schema: {type: array}}}}}
    post:
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [sku], properties: {sku: {type: string}, qty: {type: integer}}}}}}
      responses: {default: {}}
  /files:
    put: {requestBody: {content: {application/octet-stream: {}}}, responses: {default: {}}}
`

// documented is a route whose requests are held against a document.
func documented(rule function.RouteValidate) function.Trigger {
	t := route("orders", "", "/{rest...}")
	if rule.File == "" {
		rule.File = "openapi.yaml"
	}
	t.Route.Validate = &rule
	return t
}

// echo answers with the body that it got.
func echo(_ context.Context, c fleet.Call) (*function.Result, error) {
	body, err := io.ReadAll(c.Invocation.Request.Body)
	return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Version: 1}, err
}

func TestARouteRefusesWhatItsDocumentDoesNotKnow(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	ran := 0
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) { ran++; return says("ran")(ctx, c) }), shows(map[string]string{"sha256:00": dir}))
	n.deploy("f", documented(function.RouteValidate{Requests: true}))
	for _, c := range []struct {
		method, path, body, kind string
		status                   int
		message                  string
		problems                 []wire.Problem
	}{
		{"GET", "/orders?limit=1", "", "", 200, "ran", nil},
		{"POST", "/orders", `{"sku":"a"}`, "application/json", 200, "ran", nil},
		{"PUT", "/files", "\x00\xff", "application/octet-stream", 200, "ran", nil},
		{"GET", "/orders?limit=x", "", "", 400, "query parameter limit is string, not integer", []wire.Problem{{In: "query", Name: "limit", Message: "is string, not integer"}}},
		{"POST", "/orders", `{"qty":"1"}`, "application/json", 400, "body /qty is string, not integer; body /sku is missing",
			[]wire.Problem{{In: "body", Pointer: "/qty", Message: "is string, not integer"}, {In: "body", Pointer: "/sku", Message: "is missing"}}},
		{"POST", "/orders", `a=1`, "application/x-www-form-urlencoded", 400, `body is of the type "application/x-www-form-urlencoded", not application/json`,
			[]wire.Problem{{In: "body", Message: `is of the type "application/x-www-form-urlencoded", not application/json`}}},
		{"DELETE", "/orders", "", "", 400, "DELETE /orders is not in the document", nil},
		{"GET", "/carts", "", "", 400, "GET /carts is not in the document", nil},
	} {
		before := ran
		g := n.send(c.method, c.path, c.body, "Authorization", "", "Content-Type", c.kind)
		if g.status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, g.status, g.body, c.status)
			continue
		}
		if c.status == 200 {
			continue
		}
		e := g.fault(t)
		gotProblems, _ := json.Marshal(e.Problems)
		want, _ := json.Marshal(c.problems)
		if e.Message != c.message || string(gotProblems) != string(want) || ran != before {
			t.Errorf("%s %s: %q %s, the function ran %d times; want %q %s", c.method, c.path, e.Message, gotProblems, ran-before, c.message, want)
		}
	}
	if got := n.metric("dalamb_gateway_requests_invalid_total"); got != 3 {
		t.Errorf("requests that were refused: %v, want 3", got)
	}
	n.holdsNothing(t)
}

func TestTheFunctionGetsTheBodyThatWasChecked(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	n := start(t, script(echo), shows(map[string]string{"sha256:00": dir}))
	n.deploy("f", documented(function.RouteValidate{Requests: true}))
	if g := n.send("POST", "/orders", `{"sku":"a"}`, "Authorization", "", "Content-Type", "application/json"); g.body != `{"sku":"a"}` {
		t.Errorf("the function got %q", g.body)
	}
}

func TestWhatTheDocumentDoesNotKnowMayPass(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	n := start(t, says("ran"), shows(map[string]string{"sha256:00": dir}))
	n.deploy("f", documented(function.RouteValidate{Requests: true, Unknown: function.UnknownPass}))
	for path, want := range map[string]int{"/carts": 200, "/orders?limit=x": 400} {
		if g := n.send("GET", path, "", "Authorization", ""); g.status != want {
			t.Errorf("%s: %d %s, want %d", path, g.status, g.body, want)
		}
	}
}

// A document that is not there closes the route: what it would have refused must not reach the function. It opens when the code has come.
func TestARouteWithoutItsDocumentIsClosed(t *testing.T) {
	dir := t.TempDir()
	at := &clock{}
	n := start(t, says("ran"), shows(map[string]string{"sha256:00": dir}), at.set)
	n.deploy("f", documented(function.RouteValidate{Requests: true}))
	if g := n.send("GET", "/orders", "", "Authorization", ""); g.status != 503 || strings.Contains(g.body, "openapi.yaml") {
		t.Errorf("%d %s, want 503 that names no file", g.status, g.body)
	}
	if !strings.Contains(n.said.String(), `has no file \"openapi.yaml\"`) {
		t.Errorf("the log says nothing of it: %s", n.said)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(orders), 0o644); err != nil {
		t.Fatal(err)
	}
	at.pass(2 * time.Second)
	if g := n.send("GET", "/orders", "", "Authorization", ""); g.status != 200 {
		t.Errorf("%d %s, want 200", g.status, g.body)
	}
}

func TestSomeAnswersAreHeldAgainstTheDocument(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"no":"list"}`), Version: 1}, nil
	}), shows(map[string]string{"sha256:00": dir}))
	n.deploy("f", documented(function.RouteValidate{Requests: true, Responses: 25}))
	for range 40 {
		if g := n.send("GET", "/orders", "", "Authorization", ""); g.status != 200 || g.body != `{"no":"list"}` {
			t.Fatalf("%d %s", g.status, g.body)
		}
		n.background.Wait() // one is looked at at a time
	}
	if got := n.metric("dalamb_gateway_answers_checked_total"); got != 10 {
		t.Errorf("answers that were looked at: %v, want 10", got)
	}
	if got := strings.Count(n.said.String(), "answer is not as its document says"); got != 1 {
		t.Errorf("the log tells it %d times, want once", got)
	}
	n.stop()
	var told []function.AnswerInvalid
	for _, e := range n.events("events") {
		if e.Type != event.TypeResponseInvalid {
			continue
		}
		var d function.AnswerInvalid
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatal(err)
		}
		told = append(told, d)
	}
	if len(told) != newsAtOnce || told[0].Operation != "GET /orders" || told[0].Status != 200 || strings.Join(told[0].Problems, "|") != "body is object, not array" {
		t.Errorf("events: %+v", told)
	}
	n.holdsNothing(t)
}

// TestAMistakeInACheckOfAnAnswerDoesNotEndTheNode: nobody else would catch it, since no request waits for the check.
func TestAMistakeInACheckOfAnAnswerDoesNotEndTheNode(t *testing.T) {
	n := start(t, says("x"))
	w := documented(function.RouteValidate{Responses: 100})
	o := newOverseer(n.Gateway, &catalog.Trigger{Trigger: w, Function: "f"})
	r := httptest.NewRequest("GET", "/orders", nil)
	x := &exchange{ResponseWriter: httptest.NewRecorder(), slow: time.Minute}
	answers := func(x *exchange, _ *Call) error { x.WriteHeader(200); return nil }
	if err := o.watch(x, &Call{Request: r}, nil, answers); err != nil { // to look at it without an operation is the mistake
		t.Fatal(err)
	}
	n.background.Wait()
	if !strings.Contains(n.said.String(), "request failed") || len(o.busy) != 0 || n.metric("dalamb_gateway_answers_checked_total") != 1 {
		t.Errorf("the log has %s", n.said)
	}
}

// TestARequestDoesNotWaitForCodeThatIsLong: others would queue behind it, and their clients may be gone.
func TestARequestDoesNotWaitForCodeThatIsLong(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	come := make(chan struct{})
	var asked atomic.Int32
	n := start(t, says("ran"), func(o *Options) {
		o.Code = func(string) (string, error) { asked.Add(1); <-come; return dir, nil }
	})
	v := &validating{g: n.Gateway, rule: &function.RouteValidate{File: "openapi.yaml"}, code: "sha256:00"}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if doc, err := v.document(gone); doc != nil || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("document = %v, %v, want that it is not there yet", doc, err)
		}
	}
	close(come)
	n.background.Wait()
	if doc, err := v.document(t.Context()); doc == nil || err != nil || asked.Load() != 1 {
		t.Errorf("document = %v, %v; the code was asked for %d times, want once", doc, err, asked.Load())
	}
}

func TestAnswersOfDalambItselfAreNotHeldAgainstTheDocument(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Failed, Failure: &function.Failure{Message: "no"}}, nil // of a function that has no status
	}), shows(map[string]string{"sha256:00": dir}))
	n.deploy("f", documented(function.RouteValidate{Responses: 100}))
	if g := n.send("GET", "/orders", "", "Authorization", ""); g.status != 502 {
		t.Errorf("%d %s, want 502", g.status, g.body)
	}
	n.background.Wait()
	if got := n.metric("dalamb_gateway_answers_checked_total"); got != 0 {
		t.Errorf("answers that were looked at: %v, want none", got)
	}
}

func TestAnAnswerIsLookedAtThoughTheClientGetsItCompressed(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	body := []byte(`{"no":"` + strings.Repeat("list", compressLeast) + `"}`)
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Version: 1}, nil
	}), shows(map[string]string{"sha256:00": dir}))
	w := documented(function.RouteValidate{Responses: 100})
	w.Route.Compress = true
	n.deploy("f", w)
	if g := n.send("GET", "/orders", "", "Authorization", "", "Accept-Encoding", "gzip"); g.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d %v, want gzip", g.status, g.header)
	}
	n.background.Wait()
	if !strings.Contains(n.said.String(), "answer is not as its document says") {
		t.Errorf("it was not looked at: %s", n.said)
	}
}
