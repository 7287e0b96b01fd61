package aws_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/function"
)

// spec is what dalamb has of a function's live version.
func (n *node) spec(name string) map[string]any {
	n.Helper()
	f, err := n.client.Function(n.Context(), name)
	ok(n.T, err)
	live := 0
	for _, a := range f.Aliases {
		if a.Name == "live" {
			live = slices.IndexFunc(f.Versions, func(v function.Version) bool { return v.Number == a.Primary })
		}
	}
	text, err := json.Marshal(f.Versions[live].Spec)
	ok(n.T, err)
	var s map[string]any
	ok(n.T, json.Unmarshal(text, &s))
	return s
}

func TestConcurrencyIsTheManifestsScale(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.create("pay", "one")
	none, err := n.lambda.GetFunctionConcurrency(ctx, &service.GetFunctionConcurrencyInput{FunctionName: name})
	if err != nil || none.ReservedConcurrentExecutions != nil {
		t.Errorf("before anything is reserved: %+v, %v", none, err)
	}
	_, err = n.lambda.PutFunctionConcurrency(ctx, &service.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: sdk.Int32(3)})
	ok(t, err)
	got, err := n.lambda.GetFunctionConcurrency(ctx, &service.GetFunctionConcurrencyInput{FunctionName: name})
	whole, err2 := n.lambda.GetFunction(ctx, &service.GetFunctionInput{FunctionName: name})
	if err != nil || err2 != nil || sdk.ToInt32(got.ReservedConcurrentExecutions) != 3 || whole.Concurrency == nil || *whole.Concurrency.ReservedConcurrentExecutions != 3 {
		t.Errorf("GetFunctionConcurrency = %+v, %v, %v", got, err, err2)
	}
	if scale := n.spec("pay")["scale"].(map[string]any); scale["max"] != 3.0 || scale["reserved"] != 3.0 {
		t.Errorf("scale = %v", scale)
	}
	for _, bad := range []int32{0, -1, 1 << 20} {
		_, err := n.lambda.PutFunctionConcurrency(ctx, &service.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: sdk.Int32(bad)})
		refused(t, "a concurrency that cannot be", err, "InvalidParameterValueException", 400)
	}
	_, err = n.lambda.DeleteFunctionConcurrency(ctx, &service.DeleteFunctionConcurrencyInput{FunctionName: name})
	ok(t, err)
	v, err := n.lambda.PublishVersion(ctx, &service.PublishVersionInput{FunctionName: name})
	if err != nil || sdk.ToString(v.Version) != "1" {
		t.Errorf("what is as it was is version %s, %v, want the first one again", sdk.ToString(v.Version), err)
	}
}

func TestEventInvokeConfigIsTheManifestsAsync(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.create("pay", "one")
	n.create("audit", "one")
	_, err := n.lambda.GetFunctionEventInvokeConfig(ctx, &service.GetFunctionEventInvokeConfigInput{FunctionName: name})
	refused(t, "before there is one", err, "ResourceNotFoundException", 404)
	put, err := n.lambda.PutFunctionEventInvokeConfig(ctx, &service.PutFunctionEventInvokeConfigInput{FunctionName: name, MaximumRetryAttempts: sdk.Int32(1), MaximumEventAgeInSeconds: sdk.Int32(120),
		DestinationConfig: &types.DestinationConfig{OnSuccess: &types.OnSuccess{Destination: sdk.String("arn:aws:lambda:us-east-1:000000000000:function:audit")}, OnFailure: &types.OnFailure{Destination: sdk.String("kafka://events")}}})
	ok(t, err)
	if sdk.ToInt32(put.MaximumRetryAttempts) != 1 || sdk.ToInt32(put.MaximumEventAgeInSeconds) != 120 || !strings.HasSuffix(sdk.ToString(put.FunctionArn), ":pay:$LATEST") || time.Since(*put.LastModified) > time.Hour {
		t.Errorf("PutFunctionEventInvokeConfig = %+v", put)
	}
	if async, _ := json.Marshal(n.spec("pay")["async"]); string(async) != `{"attempts":2,"maxAge":"2m","onFailure":{"topic":"events"},"onSuccess":{"function":"audit"}}` {
		t.Errorf("async = %s", async)
	}
	f, err := n.client.Function(ctx, "pay")
	ok(t, err)
	if r := f.Triggers[0].Retry; f.Triggers[0].Name != "invoke" || r.Attempts != 2 || time.Duration(r.MaxAge) != 2*time.Minute {
		t.Errorf("calls are tried by %+v", f.Triggers[0])
	}
	_, err = n.lambda.UpdateFunctionEventInvokeConfig(ctx, &service.UpdateFunctionEventInvokeConfigInput{FunctionName: name, MaximumRetryAttempts: sdk.Int32(0)})
	ok(t, err)
	got, err := n.lambda.ListFunctionEventInvokeConfigs(ctx, &service.ListFunctionEventInvokeConfigsInput{FunctionName: name})
	if err != nil || len(got.FunctionEventInvokeConfigs) != 1 || sdk.ToInt32(got.FunctionEventInvokeConfigs[0].MaximumRetryAttempts) != 0 || sdk.ToInt32(got.FunctionEventInvokeConfigs[0].MaximumEventAgeInSeconds) != 120 ||
		sdk.ToString(got.FunctionEventInvokeConfigs[0].DestinationConfig.OnFailure.Destination) != "kafka://events" {
		t.Errorf("ListFunctionEventInvokeConfigs = %+v, %v", got, err)
	}
	for what, in := range map[string]*service.PutFunctionEventInvokeConfigInput{
		"three retries": {FunctionName: name, MaximumRetryAttempts: sdk.Int32(3)},
		"no age":        {FunctionName: name, MaximumEventAgeInSeconds: sdk.Int32(1)},
		"a queue":       {FunctionName: name, DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: sdk.String("arn:aws:sqs:us-east-1:000000000000:q")}}},
	} {
		_, err := n.lambda.PutFunctionEventInvokeConfig(ctx, in)
		refused(t, what, err, "InvalidParameterValueException", 400)
	}
	_, err = n.lambda.PutFunctionEventInvokeConfig(ctx, &service.PutFunctionEventInvokeConfigInput{FunctionName: name, DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: sdk.String("kafka://nowhere")}}})
	refused(t, "a topic that is not there", err, "ResourceNotFoundException", 404)
	_, err = n.lambda.DeleteFunctionEventInvokeConfig(ctx, &service.DeleteFunctionEventInvokeConfigInput{FunctionName: name})
	ok(t, err)
	if async := n.spec("pay")["async"]; async != nil {
		t.Errorf("after it was deleted async = %v", async)
	}
}

func TestPermissionsAreToldAgain(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.create("pay", "one")
	_, err := n.lambda.GetPolicy(ctx, &service.GetPolicyInput{FunctionName: name})
	refused(t, "before there is one", err, "ResourceNotFoundException", 404)
	add := &service.AddPermissionInput{FunctionName: name, StatementId: sdk.String("s3"), Action: sdk.String("lambda:InvokeFunction"), Principal: sdk.String("s3.amazonaws.com"), SourceArn: sdk.String("arn:aws:s3:::b")}
	_, err = n.lambda.AddPermission(ctx, add)
	ok(t, err)
	_, err = n.lambda.AddPermission(ctx, add)
	refused(t, "the statement again", err, "ResourceConflictException", 409)
	got, err := n.lambda.GetPolicy(ctx, &service.GetPolicyInput{FunctionName: name})
	ok(t, err)
	const want = `{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:pay","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}]}`
	if sdk.ToString(got.Policy) != want {
		t.Errorf("GetPolicy = %s, want %s", sdk.ToString(got.Policy), want)
	}
	_, err = n.lambda.RemovePermission(ctx, &service.RemovePermissionInput{FunctionName: name, StatementId: sdk.String("s3"), RevisionId: sdk.String("older")})
	refused(t, "an older revision", err, "PreconditionFailedException", 412)
	_, err = n.lambda.RemovePermission(ctx, &service.RemovePermissionInput{FunctionName: name, StatementId: sdk.String("s3"), RevisionId: got.RevisionId})
	ok(t, err)
	_, err = n.lambda.RemovePermission(ctx, &service.RemovePermissionInput{FunctionName: name, StatementId: sdk.String("s3")})
	refused(t, "to remove it again", err, "ResourceNotFoundException", 404)
	if v, err := n.lambda.PublishVersion(ctx, &service.PublishVersionInput{FunctionName: name}); err != nil || sdk.ToString(v.Version) != "1" {
		t.Errorf("permissions have made version %s, %v", sdk.ToString(v.Version), err)
	}
}

func TestFunctionURLsServe(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.create("pay", "one")
	made, err := n.lambda.CreateFunctionUrlConfig(ctx, &service.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone, Cors: &types.Cors{AllowOrigins: []string{"https://shop.example"}}})
	ok(t, err)
	url := sdk.ToString(made.FunctionUrl)
	host, found := strings.CutPrefix(strings.TrimSuffix(url, "/"), "http://")
	_, port, _ := strings.Cut(host, ":")
	if !found || !strings.HasPrefix(host, "pay.lambda-url.localhost:") {
		t.Fatalf("FunctionUrl = %s", url)
	}
	ask := func() (int, string, string) {
		r, err := http.NewRequestWithContext(ctx, "POST", "http://127.0.0.1:"+port+"/orders/1?a=b", strings.NewReader("{}"))
		ok(t, err)
		r.Host = host
		r.Header.Set("Origin", "https://shop.example")
		answer, err := http.DefaultClient.Do(r)
		ok(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		ok(t, err)
		return answer.StatusCode, string(text), answer.Header.Get("Access-Control-Allow-Origin")
	}
	if status, text, origin := ask(); status != 200 || !strings.Contains(text, `"rawPath":"/orders/1"`) || origin != "https://shop.example" {
		t.Errorf("POST %sorders/1 = %d %s, for pages of %q", url, status, text, origin)
	}
	_, err = n.lambda.CreateFunctionUrlConfig(ctx, &service.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone})
	refused(t, "another URL", err, "ResourceConflictException", 409)
	_, err = n.lambda.UpdateFunctionUrlConfig(ctx, &service.UpdateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeAwsIam})
	refused(t, "AWS_IAM", err, "InvalidParameterValueException", 400)
	list, err := n.lambda.ListFunctionUrlConfigs(ctx, &service.ListFunctionUrlConfigsInput{FunctionName: name})
	if err != nil || len(list.FunctionUrlConfigs) != 1 || list.FunctionUrlConfigs[0].Cors.AllowOrigins[0] != "https://shop.example" {
		t.Errorf("ListFunctionUrlConfigs = %+v, %v", list, err)
	}
	_, err = n.lambda.DeleteFunctionUrlConfig(ctx, &service.DeleteFunctionUrlConfigInput{FunctionName: name})
	ok(t, err)
	if status, _, _ := ask(); status != 404 {
		t.Errorf("after it was deleted the URL answers %d", status)
	}
	_, err = n.lambda.GetFunctionUrlConfig(ctx, &service.GetFunctionUrlConfigInput{FunctionName: name})
	refused(t, "a deleted URL", err, "ResourceNotFoundException", 404)
}

func TestEventSourceMappingsAreTriggers(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.create("pay", "one")
	source := func(server string) *types.SelfManagedEventSource {
		return &types.SelfManagedEventSource{Endpoints: map[string][]string{"KAFKA_BOOTSTRAP_SERVERS": {server}}}
	}
	create := func() *service.CreateEventSourceMappingInput {
		return &service.CreateEventSourceMappingInput{FunctionName: name, Topics: []string{"events"}, SelfManagedEventSource: source("dalamb:9092"), StartingPosition: types.EventSourcePositionTrimHorizon,
			BatchSize: sdk.Int32(5), MaximumBatchingWindowInSeconds: sdk.Int32(1), Enabled: sdk.Bool(false), FunctionResponseTypes: []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures},
			FilterCriteria: &types.FilterCriteria{Filters: []types.Filter{{Pattern: sdk.String(`{"value":{"n":[{"numeric":[">",1]}]}}`)}, {Pattern: sdk.String(`{"value":{"vip":[true]}}`)}}}}
	}
	made, err := n.lambda.CreateEventSourceMapping(ctx, create())
	ok(t, err)
	if sdk.ToString(made.State) != "Disabled" || sdk.ToInt32(made.BatchSize) != 5 || made.StartingPosition != "TRIM_HORIZON" || len(made.FilterCriteria.Filters) != 2 || *made.FilterCriteria.Filters[0].Pattern != `{"value":{"n":[{"numeric":[">",1]}]}}` ||
		sdk.ToString(made.EventSourceMappingArn) != "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:"+sdk.ToString(made.UUID) {
		t.Errorf("CreateEventSourceMapping = %+v", made)
	}
	if filter := n.spec("pay")["triggers"].([]any)[0].(map[string]any)["filter"]; fmt.Sprint(filter) != "map[$or:[map[data:map[n:[map[numeric:[> 1]]]]] map[data:map[vip:[true]]]]]" {
		t.Errorf("filter = %v", filter)
	}
	_, err = n.lambda.CreateEventSourceMapping(ctx, create())
	refused(t, "the topic again", err, "ResourceConflictException", 409)
	changed, err := n.lambda.UpdateEventSourceMapping(ctx, &service.UpdateEventSourceMappingInput{UUID: made.UUID, Enabled: sdk.Bool(true), BatchSize: sdk.Int32(7), MaximumRetryAttempts: sdk.Int32(2)})
	if err != nil || sdk.ToString(changed.State) != "Enabled" || sdk.ToInt32(changed.BatchSize) != 7 || sdk.ToInt32(changed.MaximumRetryAttempts) != 2 || sdk.ToInt32(changed.MaximumBatchingWindowInSeconds) != 1 {
		t.Errorf("UpdateEventSourceMapping = %+v, %v", changed, err)
	}
	for what, change := range map[string]func(*service.CreateEventSourceMappingInput){
		"a queue of AWS's": func(in *service.CreateEventSourceMappingInput) {
			in.EventSourceArn = sdk.String("arn:aws:sqs:us-east-1:1:q")
		},
		"somebody's brokers": func(in *service.CreateEventSourceMappingInput) {
			in.SelfManagedEventSource = source("kafka.example:9092")
		},
		"two topics":       func(in *service.CreateEventSourceMappingInput) { in.Topics = []string{"a", "b"} },
		"an endless batch": func(in *service.CreateEventSourceMappingInput) { in.BatchSize = sdk.Int32(10001) },
		"no pattern": func(in *service.CreateEventSourceMappingInput) {
			in.Topics, in.FilterCriteria.Filters = []string{"orders"}, []types.Filter{{Pattern: sdk.String(`{"value":{"n":"1"}}`)}}
		},
		"a pattern of keys": func(in *service.CreateEventSourceMappingInput) {
			in.FilterCriteria.Filters[0].Pattern = sdk.String(`{"key":["a"]}`)
		},
	} {
		in := create()
		change(in)
		_, err := n.lambda.CreateEventSourceMapping(ctx, in)
		refused(t, what, err, "InvalidParameterValueException", 400)
	}
	list, err := n.lambda.ListEventSourceMappings(ctx, &service.ListEventSourceMappingsInput{FunctionName: name})
	if err != nil || len(list.EventSourceMappings) != 1 || sdk.ToString(list.EventSourceMappings[0].UUID) != sdk.ToString(made.UUID) {
		t.Errorf("ListEventSourceMappings = %+v, %v", list, err)
	}
	_, err = n.lambda.DeleteEventSourceMapping(ctx, &service.DeleteEventSourceMappingInput{UUID: made.UUID})
	ok(t, err)
	_, err = n.lambda.GetEventSourceMapping(ctx, &service.GetEventSourceMappingInput{UUID: made.UUID})
	refused(t, "a deleted mapping", err, "ResourceNotFoundException", 404)
}
