package aws_test

import (
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// rolled makes a function whose next versions live comes to by a roll-out, which takes an hour.
func (n *node) rolled(name string) {
	n.Helper()
	n.create(name, "one")
	f, err := n.client.Function(n.Context(), name)
	ok(n.T, err)
	first := f.Versions[0]
	m, err := function.ParseManifest("test", []byte("{name: "+name+", entry: {type: lambda, command: [./bootstrap]}, rollout: {strategy: canary, steps: [5%], every: 1h}}"))
	ok(n.T, err)
	first.Spec.Rollout = m.Functions[0].Spec.Rollout
	_, err = n.lambda.DeleteFunction(n.Context(), &service.DeleteFunctionInput{FunctionName: &name})
	ok(n.T, err)
	_, err = n.client.Deploy(n.Context(), wire.DeployRequest{Spec: first.Spec, Code: first.Code})
	ok(n.T, err)
}

// over ends the roll-out of a function, which succeeds.
func (n *node) over(name string) {
	n.Helper()
	_, err := n.client.PromoteRollout(n.Context(), name, function.LiveAlias)
	ok(n.T, err)
	out, err := n.lambda.GetFunctionConfiguration(n.Context(), &service.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil || out.LastUpdateStatus != types.LastUpdateStatusSuccessful {
		n.Fatalf("after it was promoted: %+v, %v", out, err)
	}
}

func TestWhatIsRolledOutIsToldBeforeLivePointsAtIt(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.rolled("pay")

	url, err := n.lambda.CreateFunctionUrlConfig(ctx, &service.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone})
	ok(t, err)
	if sdk.ToString(url.FunctionUrl) == "" {
		t.Errorf("CreateFunctionUrlConfig = %+v", url)
	}
	_, err = n.lambda.GetFunctionUrlConfig(ctx, &service.GetFunctionUrlConfigInput{FunctionName: name})
	refused(t, "a URL that live has not yet", err, "ResourceNotFoundException", 404)
	_, err = n.lambda.PutFunctionConcurrency(ctx, &service.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: sdk.Int32(3)})
	refused(t, "another change meanwhile", err, "ResourceConflictException", 409)
	n.over("pay")
	_, err = n.lambda.GetFunctionUrlConfig(ctx, &service.GetFunctionUrlConfigInput{FunctionName: name})
	ok(t, err)

	async, err := n.lambda.PutFunctionEventInvokeConfig(ctx, &service.PutFunctionEventInvokeConfigInput{FunctionName: name, MaximumRetryAttempts: sdk.Int32(1)})
	if err != nil || sdk.ToInt32(async.MaximumRetryAttempts) != 1 {
		t.Errorf("PutFunctionEventInvokeConfig = %+v, %v", async, err)
	}
	n.over("pay")
}

func TestAMappingThatIsRolledOutIsBeingCreated(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.rolled("pay")
	in := &service.CreateEventSourceMappingInput{FunctionName: name, Topics: []string{"events"}, StartingPosition: types.EventSourcePositionLatest, Enabled: sdk.Bool(false)}
	_, err := n.lambda.CreateEventSourceMapping(ctx, in)
	refused(t, "one that is not enabled", err, "InvalidParameterValueException", 400)
	in.Enabled = sdk.Bool(true)
	made, err := n.lambda.CreateEventSourceMapping(ctx, in)
	ok(t, err)
	state := func(want string, size int32) {
		t.Helper()
		got, err := n.lambda.GetEventSourceMapping(ctx, &service.GetEventSourceMappingInput{UUID: made.UUID})
		list, err2 := n.lambda.ListEventSourceMappings(ctx, &service.ListEventSourceMappingsInput{FunctionName: name})
		if err != nil || err2 != nil || sdk.ToString(got.State) != want || sdk.ToInt32(got.BatchSize) != size || len(list.EventSourceMappings) != 1 {
			t.Errorf("GetEventSourceMapping = %+v, %v, want %s with batches of %d; %d are listed, %v", got, err, want, size, len(list.EventSourceMappings), err2)
		}
	}
	if sdk.ToString(made.State) != "Creating" {
		t.Errorf("CreateEventSourceMapping = %+v", made)
	}
	state("Creating", 100)
	_, err = n.lambda.DeleteEventSourceMapping(ctx, &service.DeleteEventSourceMappingInput{UUID: made.UUID})
	refused(t, "to delete it meanwhile", err, "ResourceConflictException", 409)
	n.over("pay")
	state("Enabled", 100)

	changed, err := n.lambda.UpdateEventSourceMapping(ctx, &service.UpdateEventSourceMappingInput{UUID: made.UUID, BatchSize: sdk.Int32(7)})
	if err != nil || sdk.ToString(changed.State) != "Updating" || sdk.ToInt32(changed.BatchSize) != 7 {
		t.Errorf("UpdateEventSourceMapping = %+v, %v", changed, err)
	}
	state("Enabled", 100)
	n.over("pay")
	state("Enabled", 7)
}
