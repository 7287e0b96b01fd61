package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// sdk is the AWS SDK's own client, with the one thing that dalamb needs and AWS does not: the bearer token.
func (n *node) sdk(token string) *lambda.Client {
	return lambda.New(lambda.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(n.url), Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1,
		APIOptions: []func(*middleware.Stack) error{smithyhttp.AddHeaderValue("Authorization", "Bearer "+token)},
	})
}

func TestInvokeByTheAWSSDK(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.deploy(payManifest, "two")
	staging := wire.DeployRequest{Spec: spec(n, payManifest), Code: n.upload("one")}
	staging.Spec.Name = "staging.pay"
	_, err := n.client.Deploy(t.Context(), staging)
	ok(t, err)
	c := n.sdk(token)
	context64 := base64.StdEncoding.EncodeToString([]byte(`{"client":{}}`))
	for _, tt := range []struct {
		name string
		in   lambda.InvokeInput
		want Call
	}{
		{"plain", lambda.InvokeInput{FunctionName: aws.String("pay"), Payload: []byte(`{"order":1}`)}, Call{Function: "pay", Payload: []byte(`{"order":1}`)}},
		{"no payload", lambda.InvokeInput{FunctionName: aws.String("pay")}, Call{Function: "pay", Payload: []byte(`{}`)}},
		{"version", lambda.InvokeInput{FunctionName: aws.String("pay"), Qualifier: aws.String("1")}, Call{Function: "pay", Version: 1, Payload: []byte(`{}`)}},
		{"alias", lambda.InvokeInput{FunctionName: aws.String("pay"), Qualifier: aws.String("live")}, Call{Function: "pay", Alias: "live", Payload: []byte(`{}`)}},
		{"latest", lambda.InvokeInput{FunctionName: aws.String("pay"), Qualifier: aws.String("$LATEST")}, Call{Function: "pay", Payload: []byte(`{}`)}},
		{"environment", lambda.InvokeInput{FunctionName: aws.String("staging.pay"), Qualifier: aws.String("live")}, Call{Function: "staging.pay", Alias: "live", Payload: []byte(`{}`)}},
		{"ARN", lambda.InvokeInput{FunctionName: aws.String("arn:aws:lambda:eu-west-1:123456789012:function:pay:2")}, Call{Function: "pay", Version: 2, Payload: []byte(`{}`)}},
		{"partial ARN", lambda.InvokeInput{FunctionName: aws.String("123456789012:function:pay")}, Call{Function: "pay", Payload: []byte(`{}`)}},
		{"context", lambda.InvokeInput{FunctionName: aws.String("pay"), ClientContext: aws.String(context64)}, Call{Function: "pay", Payload: []byte(`{}`), ClientContext: context64}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.script.result = &function.Result{Outcome: function.Succeeded, Body: []byte(`{"paid":true}`), Version: 2}
			out, err := c.Invoke(t.Context(), &tt.in)
			ok(t, err)
			if out.StatusCode != 200 || string(out.Payload) != `{"paid":true}` || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "2" {
				t.Errorf("Invoke = %d %s, error %q, version %q", out.StatusCode, out.Payload, aws.ToString(out.FunctionError), aws.ToString(out.ExecutedVersion))
			}
			got := n.script.calls[len(n.script.calls)-1]
			if got.ID == "" {
				t.Error("the call has no id")
			}
			got.ID = ""
			if string(got.Payload) != string(tt.want.Payload) || got.Function != tt.want.Function || got.Alias != tt.want.Alias || got.Version != tt.want.Version || got.ClientContext != tt.want.ClientContext {
				t.Errorf("called %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestAFunctionErrorIsAnAnswer(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	for _, tt := range []struct {
		result function.Result
		want   string
	}{
		{function.Result{Outcome: function.Failed, Version: 1, Failure: &function.Failure{Type: "Declined", Message: "no money", Trace: json.RawMessage(`["a.py:1"]`)}},
			`{"errorType":"Declined","errorMessage":"no money","stackTrace":["a.py:1"]}`},
		{function.Result{Outcome: function.TimedOut, Version: 1, Failure: &function.Failure{Type: "Sandbox.Timedout", Message: "timed out after 3s"}},
			`{"errorType":"Sandbox.Timedout","errorMessage":"timed out after 3s"}`},
		{function.Result{Outcome: function.Crashed, Version: 1}, `{"errorMessage":"the invocation ended as crashed"}`},
	} {
		n.script.result = &tt.result
		out, err := n.sdk(token).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("pay")})
		ok(t, err)
		if out.StatusCode != 200 || aws.ToString(out.FunctionError) != "Unhandled" || string(out.Payload) != tt.want {
			t.Errorf("Invoke with %s = %d %q %s, want Unhandled %s", tt.result.Outcome, out.StatusCode, aws.ToString(out.FunctionError), out.Payload, tt.want)
		}
		mine, err := n.client.Invoke(t.Context(), client.Invocation{Function: "pay"})
		if err != nil || mine.Error != "Unhandled" || string(mine.Payload) != tt.want || mine.Version != 1 {
			t.Errorf("client.Invoke = %+v, %v", mine, err)
		}
	}
}

func TestDryRunCallsNothing(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	out, err := n.sdk(token).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("pay"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || out.StatusCode != 204 || len(n.script.calls) != 0 {
		t.Errorf("DryRun = %+v, %v with %d calls, want 204 and none", out, err, len(n.script.calls))
	}
}

func TestInvokeLaterIsInTheLogBeforeTheAnswer(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	out, err := n.sdk(token).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("pay"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"order":1}`), Qualifier: aws.String("live")})
	if err != nil || out.StatusCode != 202 || len(n.script.calls) != 0 {
		t.Fatalf("Event = %+v, %v with %d calls, want 202 and none", out, err, len(n.script.calls))
	}
	var found []*event.Event
	for id := range int32(2) {
		records, err := n.log.Read(t.Context(), eventlog.Partition{Topic: function.TopicInvoke, ID: id}, 0, eventlog.ReadOptions{NoWait: true})
		ok(t, err)
		for _, r := range records {
			e, err := eventlog.ToEvent(r)
			ok(t, err)
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s holds %d events, want one", function.TopicInvoke, len(found))
	}
	e := found[0]
	var req function.InvokeRequest
	ok(t, json.Unmarshal(e.Data, &req))
	if e.Type != event.TypeInvokeRequested || e.Subject != "pay" || req.Function != "pay" || req.Alias != "live" || string(req.Payload) != `{"order":1}` || req.ID != e.ID {
		t.Errorf("event = %+v with %+v", e, req)
	}
	if matched := n.catalog.View().Match(function.TopicInvoke).MatchEvent(e, nil); len(matched) != 1 || matched[0].Function != "pay" {
		t.Errorf("the event matches %d triggers, want that of pay", len(matched))
	}
	later, err := n.client.Invoke(t.Context(), client.Invocation{Function: "pay", Payload: []byte(`1`), Later: true})
	if err != nil || later.RequestID == "" {
		t.Errorf("client.Invoke later = %+v, %v", later, err)
	}
}

func TestInvokeErrorsHaveAWSShapes(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.script.result = &function.Result{Outcome: function.Succeeded, Version: 1}
	ctx := t.Context()
	invoke := func(token string, in lambda.InvokeInput) error {
		if in.FunctionName == nil {
			in.FunctionName = aws.String("pay")
		}
		_, err := n.sdk(token).Invoke(ctx, &in)
		return err
	}
	large := []byte(`"` + strings.Repeat("x", maxPayload) + `"`)
	for _, tt := range []struct {
		name    string
		err     error
		is      func(error) bool
		status  int
		message string
	}{
		{"no such function", invoke(token, lambda.InvokeInput{FunctionName: aws.String("pya")}), as[*types.ResourceNotFoundException], 404, `there is no function "pya"; did you mean pay?`},
		{"no such alias", invoke(token, lambda.InvokeInput{Qualifier: aws.String("liv")}), as[*types.ResourceNotFoundException], 404, `"liv"`},
		{"no such version", invoke(token, lambda.InvokeInput{Qualifier: aws.String("9")}), as[*types.ResourceNotFoundException], 404, "version 9"},
		{"no such function, dry", invoke(token, lambda.InvokeInput{FunctionName: aws.String("x"), InvocationType: types.InvocationTypeDryRun}), as[*types.ResourceNotFoundException], 404, `"x"`},
		{"payload that is no JSON", invoke(token, lambda.InvokeInput{Payload: []byte(`{`)}), as[*types.InvalidRequestContentException], 400, "Could not parse request body into json"},
		{"large payload", invoke(token, lambda.InvokeInput{Payload: large}), as[*types.RequestTooLargeException], 413, "larger than"},
		{"large payload for later", invoke(token, lambda.InvokeInput{Payload: large[:2<<20], InvocationType: types.InvocationTypeEvent}), as[*types.InvalidRequestContentException], 400, "json"},
		{"large event", invoke(token, lambda.InvokeInput{Payload: []byte(`"` + strings.Repeat("x", 2<<20) + `"`), InvocationType: types.InvocationTypeEvent}), as[*types.RequestTooLargeException], 413, "larger than 1048576 bytes"},
		{"bad type", invoke(token, lambda.InvokeInput{InvocationType: "Later"}), as[*types.InvalidParameterValueException], 400, `"Later" is not known`},
		{"bad context", invoke(token, lambda.InvokeInput{ClientContext: aws.String("%%%")}), as[*types.InvalidParameterValueException], 400, "not base64"},
		{"two qualifiers", invoke(token, lambda.InvokeInput{FunctionName: aws.String("pay:1"), Qualifier: aws.String("2")}), as[*types.InvalidParameterValueException], 400, "not the same"},
		{"wrong token", invoke("wrong", lambda.InvokeInput{}), func(err error) bool { return strings.Contains(err.Error(), "UnrecognizedClientException") }, 401, "token is missing or wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var resp *smithyhttp.ResponseError
			if tt.err == nil || !tt.is(tt.err) || !errors.As(tt.err, &resp) || resp.HTTPStatusCode() != tt.status || !strings.Contains(tt.err.Error(), tt.message) {
				t.Errorf("Invoke = %v, want %d with %q", tt.err, tt.status, tt.message)
			}
		})
	}
	if len(n.script.calls) != 0 {
		t.Errorf("%d calls were made", len(n.script.calls))
	}
	for kind, is := range map[fault.Kind]func(error) bool{fault.Exhausted: as[*types.TooManyRequestsException], fault.Unavailable: as[*types.ServiceException], fault.Internal: as[*types.ServiceException]} {
		n.script.err = fault.New(kind, "it is so")
		if err := invoke(token, lambda.InvokeInput{}); err == nil || !is(err) {
			t.Errorf("Invoke while %v = %v", kind, err)
		}
	}
	n.script.err = nil
	_, err := n.client.Invoke(ctx, client.Invocation{Function: "pya"})
	wantFault(t, "client.Invoke", err, fault.NotFound, `there is no function "pya"`, "did you mean pay?")
}

func as[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

func TestFunctionName(t *testing.T) {
	for in, want := range map[string][2]string{
		"pay": {"pay", ""}, "pay:3": {"pay", "3"}, "function:pay": {"pay", ""}, "1:function:pay:live": {"pay", "live"},
		"arn:aws:lambda:r:1:function:pay": {"pay", ""}, "myfunction:1": {"myfunction", "1"}, "": {"", ""},
	} {
		if name, qualifier := function.ParseARN(in); name != want[0] || qualifier != want[1] {
			t.Errorf("ParseARN(%q) = %q, %q, want %q", in, name, qualifier, want)
		}
	}
}

func TestACallEndsWithItsClient(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.script.err = context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.client.Invoke(ctx, client.Invocation{Function: "pay"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Invoke = %v, want canceled", err)
	}
}
