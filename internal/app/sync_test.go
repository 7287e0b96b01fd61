package app_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/function"
)

const callable = `
name: echo
code: .
entry: {type: stdio, command: [/bin/sh, echo.sh]}
---
name: teller
code: .
entry: {type: stdio, command: [/bin/sh, teller.sh]}
triggers:
  - route: {method: POST, path: "/tell/{what}"}
    emit: {topic: events}
---
name: web
code: .
entry: {type: http, command: [PROGRAM, function, http, x], port: 8080}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
triggers:
  - route: {path: "/web/{rest...}"}
---
name: lambda
code: .
entry: {type: lambda, command: [PROGRAM, function, lambda, x]}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
---
name: refuser
code: .
entry: {type: stdio, command: [/bin/sh, -c, "echo no bread >&2; exit 7"]}
`

func startCallable(t *testing.T) *node {
	n := start(t, t.TempDir())
	n.deploy(directory(t, map[string]string{
		"echo.sh":   "cat",
		"teller.sh": `echo '{"specversion":"1.0","id":"mine","source":"/teller","type":"tale.told","data":{"a":1}}'`,
	}), strings.ReplaceAll(callable, "PROGRAM", self(t)))
	return n
}

// bearer signs as every client of a node does; the SDK's own signature means nothing to a node.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// TestInvokeWithTheAWSClient calls functions with AWS's own SDK.
func TestInvokeWithTheAWSClient(t *testing.T) {
	t.Parallel()
	n := startCallable(t)
	wire, err := n.client.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sdk := lambda.New(lambda.Options{
		Region: "local", BaseEndpoint: aws.String("http://" + wire.Control), Credentials: aws.AnonymousCredentials{},
		HTTPClient: &http.Client{Transport: bearer{n.token}}, RetryMaxAttempts: 1,
	})
	invoke := func(name string, kind types.InvocationType, payload string) (*lambda.InvokeOutput, error) {
		return sdk.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, InvocationType: kind, Payload: []byte(payload)})
	}
	out, err := invoke("echo", types.InvocationTypeRequestResponse, `{"n":1}`)
	if err != nil || strings.TrimSpace(string(out.Payload)) != `{"n":1}` || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "1" || out.StatusCode != 200 {
		t.Errorf("Invoke(echo) = %+v, %v; want its payload back from version 1", out, err)
	}
	said := `{"client":{"app_title":"till"},"custom":{"shop":"12"}}`
	out, err = sdk.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("lambda"), ClientContext: aws.String(base64.StdEncoding.EncodeToString([]byte(said)))})
	if err != nil || string(out.Payload) != said || out.FunctionError != nil {
		t.Errorf("Invoke(lambda) = %+v, %v; want the client context as the function got it", out, err)
	}
	out, err = invoke("refuser", types.InvocationTypeRequestResponse, `{}`)
	if err != nil || out.FunctionError == nil || out.StatusCode != 200 || !strings.Contains(string(out.Payload), "no bread") {
		t.Errorf("Invoke(refuser) = %+v, %v; want a function error with its words", out, err)
	}
	if out, err = invoke("echo", types.InvocationTypeDryRun, `{}`); err != nil || out.StatusCode != 204 {
		t.Errorf("Invoke(echo, DryRun) = %+v, %v; want 204", out, err)
	}
	if out, err = invoke("echo", types.InvocationTypeEvent, `{"later":true}`); err != nil || out.StatusCode != 202 {
		t.Errorf("Invoke(echo, Event) = %+v, %v; want 202", out, err)
	}
	until(t, "the asynchronous call to have run", func() bool {
		for _, f := range n.facts(function.TopicRuns) {
			if strings.Contains(string(f.Data), `"later":true`) {
				return true
			}
		}
		return false
	})
	_, err = invoke("eco", types.InvocationTypeRequestResponse, `{}`)
	if err == nil || !strings.Contains(err.Error(), "eco") {
		t.Errorf("Invoke(eco) = %v, want not found", err)
	}
}

// TestCallIsInTheLog: what a call emits is in the log before its answer; the call itself is recorded, its secrets are not.
func TestCallIsInTheLog(t *testing.T) {
	t.Parallel()
	n := startCallable(t)
	call := func(path, body string) string {
		r, err := http.NewRequest(http.MethodPost, n.gateway+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+n.token)
		r.Header.Set("Cookie", "session=secret-session")
		r.Header.Set("X-Shop", "tea")
		r.Header.Set("Content-Type", "text/plain")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("POST %s: %s %s %v", path, resp.Status, answer, err)
		}
		return string(answer)
	}
	answer := call("/tell/tale", "{}")
	if !strings.Contains(answer, "tale.told") && !strings.Contains(answer, `"a":1`) {
		t.Errorf("the route answered %q, want the event that the function returned", answer)
	}
	told := 0
	for _, f := range n.facts(function.TopicEvents) { // no waiting: the answer is there
		if f.Type == "tale.told" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d events tale.told in the log when the answer is there, want 1", told)
	}
	if got := call("/web/shelf?row=3", "a body"); got != "a body" {
		t.Errorf("the route of an http function answered %q, want the body back", got)
	}
	var record function.Request
	until(t, "the record of the call", func() bool {
		for _, f := range n.facts(function.TopicRequests) {
			if err := json.Unmarshal(f.Data, &record); err != nil {
				t.Fatal(err)
			}
			if record.Function == "web" {
				return true
			}
		}
		return false
	})
	if record.Path != "/web/shelf?row=3" || record.Status != 200 || string(record.Body) != "a body" || string(record.Answer) != "a body" {
		t.Errorf("recorded %+v, want the path, the status and both bodies", record)
	}
	if got := record.Header["X-Shop"]; len(got) != 1 || got[0] != "tea" {
		t.Errorf("recorded header X-Shop = %q, want tea", got)
	}
	all, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{n.token, "secret-session", base64.StdEncoding.EncodeToString([]byte(n.token))} {
		if strings.Contains(string(all), secret) {
			t.Errorf("the secret %.8s... is in the record %s", secret, all)
		}
	}
}
