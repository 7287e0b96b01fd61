package aws_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/need/client"
)

// unix is a time as the API has it.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

const (
	defaultBusARN = "arn:aws:events:us-east-1:000000000000:event-bus/default"
	archiveARN    = "arn:aws:events:us-east-1:000000000000:archive/all"
)

// replayed waits until a replay is over, and tells of it.
func (n *node) replayed(name string) object {
	n.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		if out := n.bridged("DescribeReplay", object{"ReplayName": name}); out["State"] != "RUNNING" {
			return out
		}
	}
	n.Fatalf("the replay %s does not end", name)
	return nil
}

func TestAReplayRunsTheArchivedEventsOfItsRules(t *testing.T) {
	n := startNode(t)
	pay, ship := n.reporter("pay"), n.reporter("ship")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	n.put(`{"n":0}`)
	pay.next() // before there is an archive
	n.unbridged("CreateArchive", object{"ArchiveName": "all", "EventSourceArn": defaultBusARN}, "ValidationException", "dalamb topic alter events --retention forever")
	n.unbridged("CreateArchive", object{"ArchiveName": "all", "EventSourceArn": defaultBusARN, "RetentionDays": 31}, "ValidationException", "30 days")
	made := n.bridged("CreateArchive", object{"ArchiveName": "all", "EventSourceArn": defaultBusARN, "RetentionDays": 30, "EventPattern": `{"detail":{"n":[{"numeric":["<",3]}]}}`})
	if made["ArchiveArn"] != archiveARN || made["State"] != "ENABLED" {
		t.Errorf("CreateArchive = %v", made)
	}
	n.unbridged("CreateArchive", object{"ArchiveName": "all", "EventSourceArn": defaultBusARN, "RetentionDays": 1}, "ResourceAlreadyExistsException", "all")
	for _, detail := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
		n.put(detail)
		pay.next()
	}
	n.aim("shipped", `{"detail":{"n":[2]}}`, "ship")

	ask := object{"ReplayName": "Again", "EventSourceArn": archiveARN, "EventStartTime": 1.0, "EventEndTime": unix(time.Now().Add(time.Minute)), "Destination": object{"Arn": defaultBusARN}}
	if out := n.bridged("StartReplay", ask); out["ReplayArn"] != "arn:aws:events:us-east-1:000000000000:replay/Again" {
		t.Errorf("StartReplay = %v", out)
	}
	seen := map[float64]bool{}
	for range 2 {
		event := pay.next()
		seen[event["detail"].(object)["n"].(float64)] = true
		if event["replay-name"] != "again" {
			t.Errorf("the function got %v", event)
		}
	}
	if event := ship.next(); event["detail"].(object)["n"] != 2.0 || event["replay-name"] != "again-2" {
		t.Errorf("the other function got %v", event)
	}
	if fmt.Sprint(seen) != "map[1:true 2:true]" {
		t.Errorf("again came %v", seen)
	}
	out := n.replayed("Again")
	if out["State"] != "COMPLETED" || out["EventSourceArn"] != archiveARN || out["ReplayEndTime"] == nil || fmt.Sprint(out["Destination"]) != "map[Arn:"+defaultBusARN+"]" {
		t.Errorf("DescribeReplay = %v", out)
	}
	n.unbridged("StartReplay", ask, "ResourceAlreadyExistsException", "Again")
	n.unbridged("CancelReplay", object{"ReplayName": "Again"}, "IllegalStatusException", "COMPLETED")
	ask["ReplayName"] = "again" // another one for AWS, and the same name here
	n.unbridged("StartReplay", ask, "ResourceAlreadyExistsException", "again")

	// Of one rule, in which there was nothing.
	ask["ReplayName"], ask["Destination"] = "nothing", object{"Arn": defaultBusARN, "FilterArns": []string{"arn:aws:events:us-east-1:000000000000:rule/shipped"}}
	ask["EventEndTime"] = 2.0
	n.bridged("StartReplay", ask)
	if out := n.replayed("nothing"); out["State"] != "COMPLETED" {
		t.Errorf("of nothing: %v", out)
	}
	if list := n.bridged("ListReplays", object{"State": "COMPLETED"})["Replays"].([]any); len(list) != 2 {
		t.Errorf("ListReplays = %v", list)
	}

	ask["ReplayName"] = "bad"
	for part, change := range map[string]object{
		"Rule arn:none does not exist":  {"Destination": object{"Arn": defaultBusARN, "FilterArns": []string{"arn:none"}}},
		"Cross event bus":               {"Destination": object{"Arn": defaultBusARN + "s"}},
		"Archive none does not exist":   {"EventSourceArn": "arn:aws:events:us-east-1:000000000000:archive/none"},
		"is not the ARN of an archive":  {"EventSourceArn": defaultBusARN},
		"EventStartTime must be before": {"EventStartTime": 3.0},
	} {
		in := object{}
		for k, v := range ask {
			in[k] = v
		}
		for k, v := range change {
			in[k] = v
		}
		typ := "ValidationException"
		if part[len(part)-5:] == "exist" {
			typ = "ResourceNotFoundException"
		}
		n.unbridged("StartReplay", in, typ, part)
	}
}

func TestAReplayIsCancelledAndArchivesAreChanged(t *testing.T) {
	n := startNode(t)
	pay := n.reporter("pay")
	n.aim("paid", `{"source":["shop"]}`, "pay")
	n.bridged("CreateArchive", object{"ArchiveName": "all", "EventSourceArn": defaultBusARN, "RetentionDays": 30})
	n.put(`{"fail":true}`) // waits for another attempt for a while, again and again
	pay.next()
	n.bridged("StartReplay", object{"ReplayName": "again", "EventSourceArn": archiveARN, "EventStartTime": 1.0, "EventEndTime": unix(time.Now()), "Destination": object{"Arn": defaultBusARN}})
	n.bridged("CancelReplay", object{"ReplayName": "again"})
	if out := n.replayed("again"); out["State"] != "CANCELLED" {
		t.Errorf("DescribeReplay = %v", out)
	}

	n.bridged("UpdateArchive", object{"ArchiveName": "all", "RetentionDays": 7, "EventPattern": `{"source":["bank"]}`, "Description": "what the bank says"})
	out := n.bridged("DescribeArchive", object{"ArchiveName": "all"})
	if out["RetentionDays"] != 7.0 || out["EventPattern"] != `{"source":["bank"]}` || out["Description"] != "what the bank says" || out["EventSourceArn"] != defaultBusARN {
		t.Errorf("DescribeArchive = %v", out)
	}
	if list := n.bridged("ListArchives", object{"EventSourceArn": defaultBusARN})["Archives"].([]any); len(list) != 1 {
		t.Errorf("ListArchives = %v", list)
	}
	n.unbridged("UpdateArchive", object{"ArchiveName": "all", "RetentionDays": 0}, "ValidationException", "RetentionDays")
	n.unbridged("UpdateArchive", object{"ArchiveName": "none"}, "ResourceNotFoundException", "none")
	n.bridged("CreateEventBus", object{"Name": "shop"})
	n.bridged("CreateArchive", object{"ArchiveName": "shops", "EventSourceArn": "arn:aws:events:us-east-1:000000000000:event-bus/shop", "RetentionDays": 1})
	n.unbridged("DeleteEventBus", object{"Name": "shop"}, "ValidationException", "the archive shops")
	n.bridged("DeleteArchive", object{"ArchiveName": "shops"})
	n.bridged("DeleteEventBus", object{"Name": "shop"})
	n.unbridged("DescribeArchive", object{"ArchiveName": "shops"}, "ResourceNotFoundException", "shops")
}

// bridgeStory is what boto3 does.
const bridgeStory = `
import boto3, datetime, json, sys
c = boto3.client("events")
arn = c.put_rule(Name="paid", EventPattern=json.dumps({"source": ["shop"], "detail": {"total": [{"numeric": [">", 10]}]}}))["RuleArn"]
assert arn == "arn:aws:events:us-east-1:000000000000:rule/paid", arn
assert c.put_targets(Rule="paid", Targets=[{"Id": "1", "Arn": sys.argv[1], "RetryPolicy": {"MaximumRetryAttempts": 3}}])["FailedEntryCount"] == 0
assert [t["Id"] for page in c.get_paginator("list_targets_by_rule").paginate(Rule="paid") for t in page["Targets"]] == ["1"]
assert [r["Name"] for page in c.get_paginator("list_rules").paginate() for r in page["Rules"]] == ["paid"]
assert c.test_event_pattern(EventPattern='{"source": ["shop"]}', Event=json.dumps({"id": "1", "detail-type": "t", "source": "shop", "account": "1", "time": "2026-01-01T00:00:00Z", "region": "r", "resources": [], "detail": {}}))["Result"]
made = c.create_archive(ArchiveName="all", EventSourceArn="arn:aws:events:us-east-1:000000000000:event-bus/default", RetentionDays=30)
out = c.put_events(Entries=[{"Source": "shop", "DetailType": "order.paid", "Detail": json.dumps({"total": 12}), "Time": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)}, {"Source": "shop", "DetailType": "order.paid", "Detail": "no"}])
assert out["FailedEntryCount"] == 1 and out["Entries"][1]["ErrorCode"] == "MalformedDetail" and out["Entries"][0]["EventId"], out
now = datetime.datetime.now(datetime.timezone.utc)
c.start_replay(ReplayName="again", EventSourceArn=made["ArchiveArn"], EventStartTime=now - datetime.timedelta(days=1), EventEndTime=now + datetime.timedelta(minutes=1), Destination={"Arn": "arn:aws:events:us-east-1:000000000000:event-bus/default"})
assert isinstance(c.describe_replay(ReplayName="again")["EventStartTime"], datetime.datetime)
try:
    c.describe_rule(Name="none")
    sys.exit("a rule that is not there")
except c.exceptions.ResourceNotFoundException as e:
    assert "Rule none does not exist" in str(e), e
try:
    c.put_rule(Name="bad", EventPattern="{}")
    sys.exit("an empty pattern is taken")
except c.exceptions.InvalidEventPatternException:
    pass
`

func TestBoto3WithEvents(t *testing.T) {
	n := startNode(t)
	c := n.tools()
	pay := n.reporter("pay")
	if out, err := c.run(client.AWSTools().Command[0], "-c", bridgeStory, functionARN("pay")); err != nil {
		t.Fatalf("boto3: %v\n%s", err, out)
	}
	times := map[any]bool{}
	for range 2 {
		event := pay.next()
		times[event["time"]] = true
		if event["replay-name"] == nil && event["detail"].(object)["total"] != 12.0 {
			t.Errorf("got %v", event)
		}
	}
	if fmt.Sprint(times) != "map[2026-01-01T00:00:00Z:true]" {
		t.Errorf("times = %v", times)
	}
	if out := n.replayed("again"); out["State"] != "COMPLETED" {
		t.Errorf("the replay is %v", out)
	}
}

func TestTheCommandLineOfAWSWithEvents(t *testing.T) {
	n := startNode(t)
	c := n.tools()
	pay := n.reporter("pay")
	c.service("events", "create-event-bus --name shop", `"EventBusArn": "arn:aws:events:us-east-1:000000000000:event-bus/shop"`)
	c.service("events", `put-rule --name paid --event-bus-name shop --event-pattern {"source":["till"]}`, `"RuleArn": "arn:aws:events:us-east-1:000000000000:rule/shop/paid"`)
	c.service("events", "put-targets --rule paid --event-bus-name shop --targets Id=1,Arn="+functionARN("pay"), `"FailedEntryCount": 0`)
	c.service("events", `put-events --entries [{"Source":"till","DetailType":"order.paid","Detail":"{\"n\":1}","EventBusName":"shop"}]`, `"FailedEntryCount": 0`)
	if event := pay.next(); event["source"] != "till" || event["detail-type"] != "order.paid" || event["detail"].(object)["n"] != 1.0 {
		t.Errorf("got %v", event)
	}
	c.service("events", "disable-rule --name paid --event-bus-name shop")
	c.service("events", "describe-rule --name paid --event-bus-name shop", `"State": "DISABLED"`)
	c.service("events", "list-rule-names-by-target --event-bus-name shop --target-arn "+functionARN("pay"), `"paid"`)
	c.service("events", "remove-targets --rule paid --event-bus-name shop --ids 1")
	c.service("events", "delete-rule --name paid --event-bus-name shop")
	c.service("events", "delete-event-bus --name shop")
	out, err := c.run(client.AWSTools().Command[0], "-m", "awscli", "events", "describe-event-bus", "--name", "shop")
	if err == nil || fmt.Sprint(out) == "" {
		t.Errorf("aws events describe-event-bus of none: %v\n%s", err, out)
	}
	c.service("events", "list-event-buses", `"Name": "default"`)
}
