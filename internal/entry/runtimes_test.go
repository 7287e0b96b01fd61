package entry

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// awsFunction builds a program that is linked with AWS's own runtime client.
func awsFunction(t testing.TB) string {
	t.Helper()
	dir := codeDir(t)
	build := exec.Command(need.Program(t, "go"), "build", "-o", filepath.Join(dir, "bootstrap"), "./testdata/awslambda")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

func TestAProgramWithTheAWSRuntimeClientRunsUnchanged(t *testing.T) {
	dir := awsFunction(t)
	forRunners(t, func(t *testing.T, s *stage) {
		s.code = dir
		v := version("lambda:aws", func(spec *function.Spec) { spec.Entry.Command = []string{"./bootstrap"} })
		c := s.start(v)

		inv := payload(`{"total":41}`)
		inv.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		inv.ClientContext = base64.StdEncoding.EncodeToString([]byte("{\"client\": {\r\n\"app_title\": \"till\"}}"))
		r := s.invoke(c, inv)
		wantOutcome(t, r, function.Succeeded)
		var got struct {
			Total, Memory                          int
			ID, ARN, Function, Version, App, Trace string
			LeftMs                                 int64
		}
		if err := json.Unmarshal(r.Body, &got); err != nil {
			t.Fatalf("answer %s: %v", r.Body, err)
		}
		if got.Total != 42 || got.ID != inv.ID || got.Function != "shop" || got.Version != "3" || got.Memory != 512 || got.App != "till" {
			t.Errorf("answer = %+v", got)
		}
		if want := "arn:aws:lambda:us-east-1:000000000000:function:shop:3"; got.ARN != want {
			t.Errorf("arn = %s, want %s", got.ARN, want)
		}
		if want := "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"; got.Trace != want {
			t.Errorf("trace id = %s, want %s", got.Trace, want)
		}
		if got.LeftMs < 10_000 || got.LeftMs > 20_000 {
			t.Errorf("time left = %d ms, want about 20 s", got.LeftMs)
		}

		request := httptest.NewRequest("POST", "/orders/7?x=1", strings.NewReader("hello"))
		request.Header.Set("Content-Type", "text/plain")
		r = s.invoke(c, &function.Invocation{ID: event.NewID(), Request: request})
		wantOutcome(t, r, function.Succeeded)
		if r.Status != 201 || string(r.Body) != "POST /orders/7 hello" || r.Header.Get("X-Made-By") != "lambda" || len(r.Header["Set-Cookie"]) != 2 {
			t.Errorf("answer to a request = %d %v %s", r.Status, r.Header, r.Body)
		}

		r = s.invoke(c, payload(`{"do":"fail"}`))
		wantFailure(t, r, function.Failed, "errorString", "no such card")
		r = s.invoke(c, payload(`{"do":"panic"}`))
		wantFailure(t, r, function.Failed, "string", "the roof is on fire")
		if len(r.Failure.Trace) == 0 {
			t.Error("a panic has no stack trace")
		}
		<-c.Done() // AWS's client ends the process after a panic
	})
}

// AWS's Runtime API takes any body, and its client for Go sends what a handler's io.Reader reads as it is: docs/lambda.md has the rule.
func TestAnAnswerThatIsNoJSONIsTheResultAsItIs(t *testing.T) {
	s := newStage(t)
	s.code = awsFunction(t)
	c := s.start(version("lambda:aws", func(spec *function.Spec) { spec.Entry.Command = []string{"./bootstrap"} }))
	r := s.invoke(c, payload(`{"do":"bytes"}`))
	wantOutcome(t, r, function.Succeeded)
	if string(r.Body) != "no JSON: \xff\x00" || len(r.Events) != 0 {
		t.Errorf("answer = %q with %d events, want the handler's bytes and none", r.Body, len(r.Events))
	}
	r = s.invoke(c, &function.Invocation{ID: event.NewID(), Event: &event.Event{ID: "1", Source: "/till", Type: "order.requested", Data: []byte(`1`)}})
	wantOutcome(t, r, function.Succeeded) // the instance is as well as before
}

const pythonRuntime = `
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as r:
        id, event = r.headers["Lambda-Runtime-Aws-Request-Id"], json.load(r)
    data = json.dumps({"python": event["n"] + 1}).encode()
    urllib.request.urlopen(urllib.request.Request(base + id + "/response", data=data, method="POST")).read()
`

const nodeRuntime = `
const base = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2018-06-01/runtime/invocation/";
(async () => {
  for (;;) {
    const r = await fetch(base + "next");
    const id = r.headers.get("lambda-runtime-aws-request-id"), event = await r.json();
    await fetch(base + id + "/response", {method: "POST", body: JSON.stringify({node: event.n + 1})});
  }
})();
`

const shellRuntime = `
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
headers=$(mktemp)
while true; do
  body=$(curl -sS -D "$headers" "$base/next")
  id=$(tr -d '\r' < "$headers" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  printf '{"shell":%s}' "$body" | curl -sS -X POST -H "Expect: 100-continue" --data-binary @- "$base/$id/response" > /dev/null
done
`

func TestRuntimesWithoutALibrary(t *testing.T) {
	tests := []struct{ program, file, text, want string }{
		{"python3", "fn.py", pythonRuntime, `{"python": 2}`},
		{"node", "fn.js", nodeRuntime, `{"node":2}`},
		{"curl", "fn.sh", shellRuntime, `{"shell":{"n":1}}`},
	}
	for _, tt := range tests {
		t.Run(tt.program, func(t *testing.T) {
			program := need.Program(t, tt.program)
			s := newStage(t)
			s.code = codeDir(t)
			if err := os.WriteFile(filepath.Join(s.code, tt.file), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			command := []string{program, tt.file}
			if tt.program == "curl" {
				command = []string{"sh", tt.file}
			}
			c := s.start(version("lambda:"+tt.program, func(spec *function.Spec) { spec.Entry.Command = command }))
			for range 3 {
				r := s.invoke(c, payload(`{"n":1}`))
				wantOutcome(t, r, function.Succeeded)
				if string(r.Body) != tt.want {
					t.Errorf("answer = %s, want %s", r.Body, tt.want)
				}
			}
		})
	}
}

const pythonServer = `
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ce-specversion", "1.0")
        self.send_header("ce-type", "order.paid")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
`

// Python's own server takes one connection at a time and closes it after each answer.
func TestAServerThatClosesEachConnection(t *testing.T) {
	program := need.Program(t, "python3")
	s := newStage(t)
	s.code = codeDir(t)
	if err := os.WriteFile(filepath.Join(s.code, "fn.py"), []byte(pythonServer), 0o644); err != nil {
		t.Fatal(err)
	}
	c := s.start(version("http:python", func(spec *function.Spec) { spec.Entry.Command = []string{program, "fn.py"} }))
	for range 5 {
		r := s.invoke(c, payload(`{"n":1}`))
		wantOutcome(t, r, function.Succeeded)
		if len(r.Events) != 1 || r.Events[0].Type != "order.paid" || r.Events[0].Source != "/functions/shop" || r.Events[0].ID != "" {
			t.Fatalf("events = %+v, want order.paid from /functions/shop without an id", r.Events)
		}
	}
}
