package aws_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// aim makes a rule of the default bus whose target is a function.
func (n *node) aim(rule, pattern, fn string) {
	n.Helper()
	n.bridged("PutRule", object{"Name": rule, "EventPattern": pattern})
	n.target(rule, object{"Id": "1", "Arn": functionARN(fn)})
}

func (n *node) target(rule string, targets ...object) {
	n.Helper()
	if out := n.bridged("PutTargets", object{"Rule": rule, "Targets": targets}); out["FailedEntryCount"] != 0.0 {
		n.Fatalf("PutTargets = %v", out)
	}
}

// targets are the ids of a rule's targets.
func (n *node) targets(rule string) (ids []string) {
	n.Helper()
	for _, one := range n.bridged("ListTargetsByRule", object{"Rule": rule})["Targets"].([]any) {
		ids = append(ids, one.(object)["Id"].(string))
	}
	return ids
}

func TestARuleCallsItsTargetWithTheEventAsEventBridgeGivesIt(t *testing.T) {
	n := startNode(t)
	shop := n.reporter("pay")
	n.aim("Paid.Orders", `{"source":["shop"],"detail-type":["order.paid"],"detail":{"n":[{"numeric":[">",1]}]},"account":["000000000000"]}`, "pay")
	n.put(`{"n":1}`)
	out := n.bridged("PutEvents", object{"Entries": []object{{"Source": "shop", "DetailType": "order.paid", "Detail": `{"n": 2}`, "Resources": []string{"arn:a", "arn:b"}, "Time": 1700000000}}})
	got := shop.next()
	want := object{"version": "0", "id": out["Entries"].([]any)[0].(object)["EventId"], "detail-type": "order.paid", "source": "shop", "account": "000000000000", "time": "2023-11-14T22:13:20Z",
		"region": "us-east-1", "resources": []any{"arn:a", "arn:b"}, "detail": object{"n": 2.0}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the function got %v\nwant %v", got, want)
	}

	rule := n.bridged("DescribeRule", object{"Name": "Paid.Orders"})
	if rule["Arn"] != "arn:aws:events:us-east-1:000000000000:rule/Paid.Orders" || rule["State"] != "ENABLED" || rule["EventBusName"] != "default" {
		t.Errorf("DescribeRule = %v", rule)
	}
	names := n.bridged("ListRuleNamesByTarget", object{"TargetArn": functionARN("pay")})["RuleNames"]
	if fmt.Sprint(names) != "[Paid.Orders]" || !slices.Equal(n.targets("Paid.Orders"), []string{"1"}) {
		t.Errorf("rules = %v, targets = %v", names, n.targets("Paid.Orders"))
	}
	triggers := n.spec("pay")["triggers"].([]any)
	if one := triggers[0].(object); len(triggers) != 1 || !strings.HasPrefix(one["name"].(string), "rule-paid-orders-") || one["order"] != "none" || one["payload"] != "aws-eventbridge" || one["rule"] != rule["Arn"] {
		t.Errorf("triggers = %v", triggers)
	}
}

// deployed deploys what live is again, with another variable and without any trigger, as a manifest that says nothing of rules.
func (n *node) deployed(name string) {
	n.Helper()
	v := n.newest(name)
	v.Spec.Triggers, v.Spec.Env = nil, map[string]string{"AGAIN": fmt.Sprint(v.Number)}
	_, err := n.client.Deploy(n.Context(), wire.DeployRequest{Spec: v.Spec, Code: v.Code})
	ok(n.T, err)
}

func TestTargetsStayWhateverIsDeployed(t *testing.T) {
	n := startNode(t)
	shop := n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	_, err := n.lambda.UpdateFunctionConfiguration(t.Context(), &service.UpdateFunctionConfigurationInput{FunctionName: sdk.String("pay"), Timeout: sdk.Int32(9)})
	ok(t, err)
	n.deployed("pay")
	n.put(`{"n":1}`)
	if got := shop.next(); got["source"] != "shop" {
		t.Errorf("got %v", got)
	}
	if len(n.spec("pay")["triggers"].([]any)) != 1 || !slices.Equal(n.targets("paid"), []string{"1"}) {
		t.Errorf("triggers = %v", n.spec("pay")["triggers"])
	}

	// A removed target goes for good, and the rule with it.
	n.unbridged("DeleteRule", object{"Name": "paid"}, "ValidationException", "since it has targets")
	n.bridged("RemoveTargets", object{"Rule": "paid", "Ids": []string{"1", "none"}})
	n.deployed("pay")
	if n.spec("pay")["triggers"] != nil || n.targets("paid") != nil {
		t.Errorf("after the target was removed: %v, %v", n.spec("pay")["triggers"], n.targets("paid"))
	}
	n.bridged("DeleteRule", object{"Name": "paid"})
	n.bridged("DeleteRule", object{"Name": "paid"})
	n.unbridged("DescribeRule", object{"Name": "paid"}, "ResourceNotFoundException", "Rule paid does not exist on EventBus default.")

	// A function that is removed is no target any more.
	n.aim("paid", `{"source":["shop"]}`, "pay")
	_, err = n.lambda.DeleteFunction(t.Context(), &service.DeleteFunctionInput{FunctionName: sdk.String("pay")})
	ok(t, err)
	if n.targets("paid") != nil {
		t.Errorf("targets = %v", n.targets("paid"))
	}
	n.bridged("DeleteRule", object{"Name": "paid"})
}

func TestADisabledRuleSeesNothing(t *testing.T) {
	n := startNode(t)
	shop := n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	n.put(`{"n":1}`)
	shop.next()
	n.bridged("DisableRule", object{"Name": "paid"})
	if state := n.bridged("DescribeRule", object{"Name": "paid"})["State"]; state != "DISABLED" {
		t.Errorf("State = %v", state)
	}
	for range 20 { // in several partitions
		n.put(`{"n":2}`)
	}
	n.bridged("EnableRule", object{"Name": "paid"})
	for range 20 {
		n.put(`{"n":3}`)
	}
	for range 20 {
		if got := shop.next(); got["detail"].(object)["n"] != 3.0 {
			t.Fatalf("while the rule was disabled came %v", got)
		}
	}

	// One that is disabled from the start has no trigger, and its targets.
	n.bridged("PutRule", object{"Name": "later", "EventPattern": `{"source":["other"]}`, "State": "DISABLED"})
	n.target("later", object{"Id": "a", "Arn": functionARN("pay")})
	if triggers := n.spec("pay")["triggers"].([]any); len(triggers) != 1 || !slices.Equal(n.targets("later"), []string{"a"}) {
		t.Errorf("triggers = %v, targets = %v", triggers, n.targets("later"))
	}
	n.bridged("EnableRule", object{"Name": "later"})
	if triggers := n.spec("pay")["triggers"].([]any); len(triggers) != 2 {
		t.Errorf("after it was enabled: %v", triggers)
	}
}

func TestARuleThatIsPutAgainChangesItsTargets(t *testing.T) {
	n := startNode(t)
	shop := n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	n.bridged("PutRule", object{"Name": "paid", "EventPattern": `{"source":["bank"]}`, "Description": "paid by the bank"})
	n.put(`{"n":1}`)
	n.bridged("PutEvents", object{"Entries": []object{{"Source": "bank", "DetailType": "t", "Detail": `{"n":2}`}}})
	if got := shop.next(); got["source"] != "bank" {
		t.Errorf("got %v", got)
	}
	before := len(n.spec("pay")["triggers"].([]any))
	version := n.newest("pay").Number
	n.bridged("PutRule", object{"Name": "paid", "EventPattern": `{"source": ["bank"]}`, "Description": "nothing else"})
	if now := n.newest("pay").Number; now != version || before != 1 {
		t.Errorf("the same rule has made version %d of %d", now, version)
	}

	// A target that is put again, with other settings.
	n.target("paid", object{"Id": "1", "Arn": functionARN("pay"), "RetryPolicy": object{"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}, "DeadLetterConfig": object{"Arn": "kafka://events"}})
	one := n.spec("pay")["triggers"].([]any)[0].(object)
	if retry := one["retry"].(object); retry["attempts"] != 1.0 || retry["maxAge"] != "1m" || fmt.Sprint(one["onFailure"]) != "map[topic:events]" {
		t.Errorf("trigger = %v", one)
	}
	told := n.bridged("ListTargetsByRule", object{"Rule": "paid"})["Targets"].([]any)[0].(object)
	if fmt.Sprint(told["RetryPolicy"], told["DeadLetterConfig"]) != "map[MaximumEventAgeInSeconds:60 MaximumRetryAttempts:0] map[Arn:kafka://events]" {
		t.Errorf("ListTargetsByRule = %v", told)
	}
	// And one that is another function from now on.
	n.reporter("ship")
	n.target("paid", object{"Id": "1", "Arn": functionARN("ship")})
	if n.spec("pay")["triggers"] != nil || len(n.spec("ship")["triggers"].([]any)) != 1 {
		t.Errorf("triggers = %v and %v", n.spec("pay")["triggers"], n.spec("ship")["triggers"])
	}
}

// newest is the newest version of a function.
func (n *node) newest(name string) function.Version {
	n.Helper()
	f, err := n.client.Function(n.Context(), name)
	ok(n.T, err)
	return slices.MaxFunc(f.Versions, func(a, b function.Version) int { return a.Number - b.Number })
}

func TestAScheduledRuleTicks(t *testing.T) {
	n := startNode(t)
	shop := n.reporter("pay")
	n.bridged("PutRule", object{"Name": "Every-Minute", "ScheduleExpression": "rate(1 minute)"})
	n.target("Every-Minute", object{"Id": "1", "Arn": functionARN("pay")})
	if one := n.spec("pay")["triggers"].([]any)[0].(object); one["schedule"] != "@every 1m" || one["catchUp"] != "none" {
		t.Errorf("trigger = %v", one)
	}
	// Its first time is a minute away: the same trigger with an earlier one shows what it gives.
	v := n.newest("pay")
	v.Spec.Triggers[0].Schedule = "@every 1s"
	_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: v.Spec, Code: v.Code})
	ok(t, err)
	got := shop.next()
	if at, err := time.Parse(time.RFC3339, got["time"].(string)); err != nil || time.Since(at) > time.Hour {
		t.Errorf("time = %v", got["time"])
	}
	if got["source"] != "aws.events" || got["detail-type"] != "Scheduled Event" || fmt.Sprint(got["resources"], got["detail"]) != "[arn:aws:events:us-east-1:000000000000:rule/Every-Minute] map[]" {
		t.Errorf("got %v", got)
	}
}

func TestRulesAndTargetsThatCannotBe(t *testing.T) {
	n := startNode(t)
	n.reporter("pay")
	n.bridged("CreateEventBus", object{"Name": "shop"})
	for _, c := range []struct {
		in        object
		typ, part string
	}{
		{object{"Name": "r"}, "ValidationException", "must be specified"},
		{object{"Name": "a b", "EventPattern": `{"source":["a"]}`}, "ValidationException", "Name"},
		{object{"Name": "r", "EventPattern": `{"source":["a"]}`, "ScheduleExpression": "rate(5 minutes)"}, "ValidationException", "two rules"},
		{object{"Name": "r", "EventPattern": `{}`}, "InvalidEventPatternException", "Empty"},
		{object{"Name": "r", "EventPattern": `{"detail":{"n":[{"numeric":["!",1]}]}}`}, "InvalidEventPatternException", "detail.n"},
		{object{"Name": "r", "EventPattern": `{"colour":["red"]}`}, "InvalidEventPatternException", "colour: events have no such field"},
		{object{"Name": "r", "EventPattern": `{"account":["123456789012"]}`}, "InvalidEventPatternException", "000000000000"},
		{object{"Name": "r", "ScheduleExpression": "rate(1 minutes)"}, "ValidationException", "ScheduleExpression"},
		{object{"Name": "r", "ScheduleExpression": "rate(1 minute)", "EventBusName": "shop"}, "ValidationException", "only on the default event bus"},
		{object{"Name": "r", "EventPattern": `{"source":["a"]}`, "EventBusName": "nobody"}, "ResourceNotFoundException", "nobody"},
		{object{"Name": "r", "EventPattern": `{"source":["a"]}`, "State": "MAYBE"}, "ValidationException", "MAYBE"},
		{object{"Name": "r", "EventPattern": `{"source":["a"]}`, "Tags": []object{{"Key": "a", "Value": "b"}}}, "ValidationException", "Tags"},
	} {
		n.unbridged("PutRule", c.in, c.typ, c.part)
	}
	n.unbridged("PutTargets", object{"Rule": "r", "Targets": []object{{"Id": "1", "Arn": functionARN("pay")}}}, "ResourceNotFoundException", "Rule r does not exist")
	n.bridged("PutRule", object{"Name": "r", "EventPattern": `{"source":["a"]}`})
	for part, target := range map[string]object{
		"is not the ARN of a function": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q"},
		"Input is not there":           {"Arn": functionARN("pay"), "Input": "{}"},
		"InputPath is not there":       {"Arn": functionARN("pay"), "InputPath": "$.detail"},
		"InputTransformer is not":      {"Arn": functionARN("pay"), "InputTransformer": object{"InputTemplate": "x"}},
		"MaximumRetryAttempts: 186":    {"Arn": functionARN("pay"), "RetryPolicy": object{"MaximumRetryAttempts": 186}},
		"MaximumEventAgeInSeconds: 1":  {"Arn": functionARN("pay"), "RetryPolicy": object{"MaximumEventAgeInSeconds": 1}},
		"dalamb dlq":                   {"Arn": functionARN("pay"), "DeadLetterConfig": object{"Arn": "arn:aws:sqs:us-east-1:000000000000:q"}},
		"SqsParameters":                {"Arn": functionARN("pay"), "SqsParameters": object{"MessageGroupId": "x"}},
		"of the alias live":            {"Arn": functionARN("pay") + ":blue"},
		"whose buses are called":       {"Arn": functionARN("staging.pay")},
	} {
		if part == "SqsParameters" {
			part = "parameters of a target that is not a function"
		}
		target["Id"] = "1"
		n.unbridged("PutTargets", object{"Rule": "r", "Targets": []object{target}}, "ValidationException", part)
	}
	out := n.bridged("PutTargets", object{"Rule": "r", "Targets": []object{{"Id": "1", "Arn": functionARN("nobody")}, {"Id": "2", "Arn": functionARN("pay")}}})
	if failed := out["FailedEntries"].([]any); len(failed) != 1 || failed[0].(object)["TargetId"] != "1" || failed[0].(object)["ErrorCode"] != "ResourceNotFoundException" {
		t.Errorf("PutTargets = %v", out)
	}
	if !slices.Equal(n.targets("r"), []string{"2"}) {
		t.Errorf("targets = %v", n.targets("r"))
	}
	var many []object
	for i := range 6 {
		many = append(many, object{"Id": fmt.Sprint(i), "Arn": functionARN("pay")})
	}
	n.unbridged("PutTargets", object{"Rule": "r", "Targets": many}, "LimitExceededException", "5 targets")
	if !slices.Equal(n.targets("r"), []string{"2"}) {
		t.Errorf("after too many: %v", n.targets("r"))
	}
}

func TestARuleOfAFunctionThatIsRolledOut(t *testing.T) {
	n := startNode(t)
	n.rolled("pay")
	n.bridged("PutRule", object{"Name": "paid", "EventPattern": `{"source":["shop"]}`})
	n.target("paid", object{"Id": "1", "Arn": functionARN("pay")})
	if !slices.Equal(n.targets("paid"), []string{"1"}) {
		t.Errorf("a target that is rolled out is not told: %v", n.targets("paid"))
	}
	n.unbridged("DisableRule", object{"Name": "paid"}, "ConcurrentModificationException", "being rolled out")
	if state := n.bridged("DescribeRule", object{"Name": "paid"})["State"]; state != "ENABLED" {
		t.Errorf("after that it is %v", state)
	}
	out := n.bridged("PutTargets", object{"Rule": "paid", "Targets": []object{{"Id": "2", "Arn": functionARN("pay")}}})
	if out["FailedEntryCount"] != 1.0 || !slices.Equal(n.targets("paid"), []string{"1"}) {
		t.Errorf("PutTargets meanwhile = %v, and there are %v", out, n.targets("paid"))
	}
	n.over("pay")
	n.bridged("DisableRule", object{"Name": "paid"})
}
