package aws_test

import (
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// signer is AWS's client with a key that has a role.
func (n *node) signer(name string, asked wire.TokenCreate) *service.Client {
	n.Helper()
	asked.Name, asked.AWS = name, true
	made, err := n.client.CreateToken(n.Context(), asked)
	ok(n.T, err)
	return n.as(sdk.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey}, function.AWSRegion)
}

func TestAccessKeysHaveRoles(t *testing.T) {
	n := startNode(t)
	n.create("shop-web", "one")
	n.create("pay", "one")
	looks := n.signer("looks", wire.TokenCreate{Role: "viewer"})
	ci := n.signer("ci-shop", wire.TokenCreate{Role: "deployer", Functions: []string{"shop-*"}})
	ctx, web, pay := t.Context(), sdk.String("shop-web"), sdk.String("pay")

	_, err := looks.ListFunctions(ctx, nil)
	ok(t, err)
	_, err = looks.Invoke(ctx, &service.InvokeInput{FunctionName: web})
	refused(t, "a viewer's call", err, "AccessDeniedException", 403)
	_, err = looks.DeleteFunction(ctx, &service.DeleteFunctionInput{FunctionName: web})
	refused(t, "a viewer's removal", err, "AccessDeniedException", 403)

	_, err = ci.Invoke(ctx, &service.InvokeInput{FunctionName: web})
	ok(t, err)
	_, err = ci.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: web, Timeout: sdk.Int32(9)})
	ok(t, err)
	for what, try := range map[string]func() error{
		"call": func() error {
			_, err := ci.Invoke(ctx, &service.InvokeInput{FunctionName: pay})
			return err
		},
		"call by ARN": func() error {
			_, err := ci.Invoke(ctx, &service.InvokeInput{FunctionName: sdk.String(function.ARN(function.AWSRegion, "pay", ""))})
			return err
		},
		"change": func() error {
			_, err := ci.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: pay, Timeout: sdk.Int32(9)})
			return err
		},
		"code": func() error {
			_, err := ci.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: pay, ZipFile: archive(t, "two")})
			return err
		},
		"alias": func() error {
			_, err := ci.CreateAlias(ctx, &service.CreateAliasInput{FunctionName: pay, Name: sdk.String("blue"), FunctionVersion: sdk.String("1")})
			return err
		},
		"tags": func() error {
			_, err := ci.TagResource(ctx, &service.TagResourceInput{Resource: sdk.String(function.ARN(function.AWSRegion, "pay", "")), Tags: map[string]string{"a": "b"}})
			return err
		},
		"removal": func() error {
			_, err := ci.DeleteFunction(ctx, &service.DeleteFunctionInput{FunctionName: pay})
			return err
		},
	} {
		refused(t, what+" of another's function", try(), "AccessDeniedException", 403)
	}
	list, err := n.client.Versions(ctx, "shop-web")
	ok(t, err)
	if by := list.Versions[0].By; by == nil || by.String() != "token ci-shop" {
		t.Errorf("the version is by %v, want token ci-shop", by)
	}
}

func TestExpiredAccessKey(t *testing.T) {
	n := startNode(t)
	soon := n.signer("soon", wire.TokenCreate{Role: "viewer", Expires: time.Now().Add(time.Second)})
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		list, err := n.client.Tokens(t.Context())
		ok(t, err)
		if len(list.AccessKeys) == 2 && list.AccessKeys[1].Expired {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not expire")
		}
	}
	_, err := soon.ListFunctions(t.Context(), nil)
	refused(t, "an expired key", err, "ExpiredTokenException", 403)
}

// To pause a trigger is not to deploy, whichever API asks for it; what is refused has deployed nothing before.
func TestADeployerPausesNoMapping(t *testing.T) {
	n := startNode(t)
	n.create("shop-web", "one")
	ctx, ci := t.Context(), n.signer("ci-shop", wire.TokenCreate{Role: "deployer", Functions: []string{"shop-*"}})
	create := func(topic string, enabled bool) (*service.CreateEventSourceMappingOutput, error) {
		return ci.CreateEventSourceMapping(ctx, &service.CreateEventSourceMappingInput{
			FunctionName: sdk.String("shop-web"), Topics: []string{topic}, StartingPosition: types.EventSourcePositionLatest, Enabled: sdk.Bool(enabled),
		})
	}
	made, err := create("events", true)
	ok(t, err)
	_, err = create("others", false)
	refused(t, "a deployer's paused mapping", err, "AccessDeniedException", 403)
	_, err = ci.UpdateEventSourceMapping(ctx, &service.UpdateEventSourceMappingInput{UUID: made.UUID, Enabled: sdk.Bool(false), BatchSize: sdk.Int32(7)})
	refused(t, "a deployer's pause", err, "AccessDeniedException", 403)
	now, err := n.lambda.GetEventSourceMapping(ctx, &service.GetEventSourceMappingInput{UUID: made.UUID})
	if err != nil || sdk.ToString(now.State) != "Enabled" || sdk.ToInt32(now.BatchSize) != 100 {
		t.Errorf("then it is %+v, %v; want it as it was", now, err)
	}
	changed, err := ci.UpdateEventSourceMapping(ctx, &service.UpdateEventSourceMappingInput{UUID: made.UUID, Enabled: sdk.Bool(true), BatchSize: sdk.Int32(7)})
	if err != nil || sdk.ToInt32(changed.BatchSize) != 7 {
		t.Errorf("a change that pauses nothing = %+v, %v", changed, err)
	}
}
