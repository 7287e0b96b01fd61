package aws_test

import (
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// provision asks for instances of what a qualifier names.
func (n *node) provision(name, qualifier string, instances int32) error {
	_, err := n.lambda.PutProvisionedConcurrencyConfig(n.Context(), &service.PutProvisionedConcurrencyConfigInput{
		FunctionName: &name, Qualifier: &qualifier, ProvisionedConcurrentExecutions: &instances})
	return err
}

// provisioned waits until those instances have a status.
func (n *node) provisioned(name, qualifier string, want types.ProvisionedConcurrencyStatusEnum) *service.GetProvisionedConcurrencyConfigOutput {
	n.Helper()
	again, limit := time.NewTicker(50*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for {
		got, err := n.lambda.GetProvisionedConcurrencyConfig(n.Context(), &service.GetProvisionedConcurrencyConfigInput{FunctionName: &name, Qualifier: &qualifier})
		ok(n.T, err)
		if got.Status == want {
			return got
		}
		select {
		case <-again.C:
		case <-limit:
			n.Fatalf("%s:%s is %s (%s), want %s", name, qualifier, got.Status, sdk.ToString(got.StatusReason), want)
		}
	}
}

// instances counts those of a version.
func (n *node) instances(name string, version int) (count int) {
	n.Helper()
	f, err := n.client.Function(n.Context(), name)
	ok(n.T, err)
	for _, i := range f.Instances {
		if i.Version == version {
			count++
		}
	}
	return count
}

func TestProvisionedInstancesAreReadyBeforeTheyAreCalled(t *testing.T) {
	n := startNode(t)
	ctx, name := t.Context(), sdk.String("pay")
	n.create("pay", "one")
	_, err := n.lambda.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: name, ZipFile: archive(t, "two")})
	ok(t, err)
	alias := &service.CreateAliasInput{FunctionName: name, Name: sdk.String("blue"), FunctionVersion: sdk.String("2")}
	_, err = n.lambda.CreateAlias(ctx, alias)
	ok(t, err)
	none := func(what, qualifier string) {
		t.Helper()
		_, err := n.lambda.GetProvisionedConcurrencyConfig(ctx, &service.GetProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: &qualifier})
		refused(t, what, err, "ProvisionedConcurrencyConfigNotFoundException", 404)
	}
	none("before anything is provisioned", "1")

	ok(t, n.provision("pay", "1", 2)) // which no alias points at
	ok(t, n.provision("pay", "blue", 1))
	got := n.provisioned("pay", "1", types.ProvisionedConcurrencyStatusEnumReady)
	if sdk.ToInt32(got.RequestedProvisionedConcurrentExecutions) != 2 || sdk.ToInt32(got.AvailableProvisionedConcurrentExecutions) != 2 || sdk.ToInt32(got.AllocatedProvisionedConcurrentExecutions) != 2 {
		t.Errorf("GetProvisionedConcurrencyConfig = %+v, want 2 of all", got)
	}
	if _, err := time.Parse("2006-01-02T15:04:05-0700", sdk.ToString(got.LastModified)); err != nil {
		t.Errorf("LastModified: %v", err)
	}
	n.provisioned("pay", "blue", types.ProvisionedConcurrencyStatusEnumReady)
	if one, two := n.instances("pay", 1), n.instances("pay", 2); one != 2 || two != 1 {
		t.Errorf("there are %d and %d instances, want 2 and 1", one, two)
	}
	if told := n.invoke("pay", "1"); told["code"] != "one" {
		t.Errorf("a provisioned version tells %v", told)
	}
	list, err := n.lambda.ListProvisionedConcurrencyConfigs(ctx, &service.ListProvisionedConcurrencyConfigsInput{FunctionName: name, MaxItems: sdk.Int32(1)})
	if err != nil || len(list.ProvisionedConcurrencyConfigs) != 1 || !strings.HasSuffix(sdk.ToString(list.ProvisionedConcurrencyConfigs[0].FunctionArn), ":pay:1") || list.NextMarker == nil {
		t.Errorf("ListProvisionedConcurrencyConfigs = %+v, %v", list, err)
	}
	list, err = n.lambda.ListProvisionedConcurrencyConfigs(ctx, &service.ListProvisionedConcurrencyConfigsInput{FunctionName: name, Marker: list.NextMarker})
	if err != nil || len(list.ProvisionedConcurrencyConfigs) != 1 || !strings.HasSuffix(sdk.ToString(list.ProvisionedConcurrencyConfigs[0].FunctionArn), ":pay:blue") {
		t.Errorf("the second page = %+v, %v", list, err)
	}

	refused(t, "of $LATEST", n.provision("pay", "$LATEST", 1), "InvalidParameterValueException", 400)
	refused(t, "of no version", n.provision("pay", "9", 1), "ResourceNotFoundException", 404)
	refused(t, "of no alias", n.provision("pay", "none", 1), "ResourceNotFoundException", 404)
	refused(t, "none at all", n.provision("pay", "1", 0), "InvalidParameterValueException", 400)
	refused(t, "more than scale.max", n.provision("pay", "1", 11), "InvalidParameterValueException", 400)
	refused(t, "a version whose alias has it", n.provision("pay", "2", 1), "ResourceConflictException", 409)

	_, err = n.lambda.DeleteAlias(ctx, &service.DeleteAliasInput{FunctionName: name, Name: sdk.String("blue")})
	ok(t, err)
	_, err = n.lambda.CreateAlias(ctx, alias)
	ok(t, err)
	none("of an alias that was deleted, and made again", "blue")
	ok(t, n.provision("pay", "blue", 1))
	_, err = n.client.RemoveAlias(ctx, "pay", "blue")
	ok(t, err)
	_, err = n.lambda.CreateAlias(ctx, alias)
	ok(t, err)
	none("of an alias that dalamb's API removed, and that was made again", "blue")
	ok(t, n.provision("pay", "blue", 1))
	n.provisioned("pay", "blue", types.ProvisionedConcurrencyStatusEnumReady)
	for range 2 { // the second time there is nothing to delete
		_, err = n.lambda.DeleteProvisionedConcurrencyConfig(ctx, &service.DeleteProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: sdk.String("1")})
		ok(t, err)
	}
	none("after it was deleted", "1")
}

func TestAnInstanceThatDoesNotStartIsNotProvisioned(t *testing.T) {
	n := startNode(t)
	_, err := n.lambda.CreateFunction(t.Context(), &service.CreateFunctionInput{
		FunctionName: sdk.String("bad"), Runtime: types.RuntimeProvidedal2023, Handler: sdk.String("main"), Role: sdk.String("any"),
		Code: &types.FunctionCode{ZipFile: zipped(t, map[string]string{"bootstrap": "#!/bin/sh\necho no database >&2\nexit 3\n"})},
	})
	ok(t, err)
	ok(t, n.provision("bad", "live", 1))
	got := n.provisioned("bad", "live", types.ProvisionedConcurrencyStatusEnumFailed)
	if !strings.Contains(sdk.ToString(got.StatusReason), "no database") || sdk.ToInt32(got.AvailableProvisionedConcurrentExecutions) != 0 {
		t.Errorf("GetProvisionedConcurrencyConfig = %+v, want the function's own words", got)
	}
}

func TestTheBoundOfInstancesIsTheOneThatTheNodeReadLast(t *testing.T) {
	n := startNode(t)
	n.create("pay", "one")
	v, err := n.lambda.PublishVersion(t.Context(), &service.PublishVersionInput{FunctionName: sdk.String("pay")})
	ok(t, err)
	reserve := func(instances int32) error {
		_, err := n.lambda.PutFunctionConcurrency(t.Context(), &service.PutFunctionConcurrencyInput{FunctionName: sdk.String("pay"), ReservedConcurrentExecutions: &instances})
		return err
	}
	for _, most := range []int32{4, 2} {
		next := n.config
		next.Limits.Instances = int(most)
		ok(t, n.app.Reload(&next))
		account, err := n.lambda.GetAccountSettings(t.Context(), &service.GetAccountSettingsInput{})
		ok(t, err)
		if got := account.AccountLimit.ConcurrentExecutions; got != most {
			t.Errorf("GetAccountSettings: %d instances, want %d", got, most)
		}
		refused(t, "more provisioned than there can be", n.provision("pay", sdk.ToString(v.Version), most+1), "InvalidParameterValueException", 400)
		refused(t, "more reserved than there can be", reserve(most+1), "InvalidParameterValueException", 400)
		ok(t, n.provision("pay", sdk.ToString(v.Version), most))
		ok(t, reserve(most))
	}
	ok(t, n.app.Reload(&n.config))
	ok(t, reserve(5))
}
