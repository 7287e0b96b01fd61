package aws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

type object = map[string]any

// bridge asks for an operation of EventBridge's API, signed with the node's access key. typ is that of the error, "" = there is none.
func (n *node) bridge(operation string, in object) (out object, typ string) {
	n.Helper()
	body, err := json.Marshal(in)
	ok(n.T, err)
	return n.bridgeWith(operation, string(body), "events")
}

func (n *node) bridgeWith(operation, body, service string) (out object, typ string) {
	n.Helper()
	r, err := http.NewRequestWithContext(n.Context(), http.MethodPost, n.control+"/", strings.NewReader(body))
	ok(n.T, err)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	sum := sha256.Sum256([]byte(body))
	ok(n.T, v4.NewSigner().SignHTTP(n.Context(), n.key, r, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()))
	return n.answered(r)
}

func (n *node) answered(r *http.Request) (out object, typ string) {
	n.Helper()
	answer, err := http.DefaultClient.Do(r)
	ok(n.T, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ok(n.T, err)
	if err := json.Unmarshal(text, &out); err != nil {
		n.Fatalf("%s: %s %q: %v", r.Header.Get("X-Amz-Target"), answer.Status, text, err)
	}
	typ, _ = out["__type"].(string)
	if (answer.StatusCode == http.StatusOK) != (typ == "") || typ != answer.Header.Get("X-Amzn-Errortype") {
		n.Errorf("%s: %s %s", r.Header.Get("X-Amz-Target"), answer.Status, text)
	}
	return out, typ
}

// bridged is the same of an operation that succeeds.
func (n *node) bridged(operation string, in object) object {
	n.Helper()
	out, typ := n.bridge(operation, in)
	if typ != "" {
		n.Fatalf("%s: %v", operation, out)
	}
	return out
}

// unbridged is the same of one that is refused with a type, and with a part of the message.
func (n *node) unbridged(operation string, in object, typ, part string) {
	n.Helper()
	out, got := n.bridge(operation, in)
	message, _ := out["message"].(string)
	if got != typ || !strings.Contains(message, part) {
		n.Errorf("%s of %v = %v, want %s with %q", operation, in, out, typ, part)
	}
}

// told are the events that a function was called with, in the order in which they came.
type told struct {
	*testing.T
	events chan object
}

// reporter makes a function that tells of its events.
func (n *node) reporter(name string) told {
	n.Helper()
	to := told{n.T, make(chan object, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event object
		if json.NewDecoder(r.Body).Decode(&event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if detail, _ := event["detail"].(object); detail["fail"] == true {
			w.WriteHeader(http.StatusInternalServerError)
		}
		to.events <- event
	}))
	n.Cleanup(server.Close)
	_, err := n.lambda.CreateFunction(n.Context(), &service.CreateFunctionInput{
		FunctionName: &name, Runtime: types.RuntimeProvidedal2023, Handler: sdk.String("main"), Role: sdk.String("any"),
		Code: &types.FunctionCode{ZipFile: archiveOf(n.T, "report "+server.URL)}, Timeout: sdk.Int32(20),
	})
	ok(n.T, err)
	return to
}

// next is the event that the function is called with next.
func (to told) next() object {
	to.Helper()
	select {
	case event := <-to.events:
		return event
	case <-time.After(30 * time.Second):
		to.Fatal("the function was not called")
		return nil
	}
}

// put sends one event, whose detail is {"n": n}.
func (n *node) put(detail string) {
	n.Helper()
	out := n.bridged("PutEvents", object{"Entries": []object{{"Source": "shop", "DetailType": "order.paid", "Detail": detail}}})
	if out["FailedEntryCount"] != 0.0 {
		n.Fatalf("PutEvents = %v", out)
	}
}

func functionARN(name string) string { return "arn:aws:lambda:us-east-1:000000000000:function:" + name }

func TestPutEventsAppendsWhatItCan(t *testing.T) {
	n := startNode(t)
	large := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
	out := n.bridged("PutEvents", object{"Entries": []object{
		{"Source": "shop", "DetailType": "Order Placed", "Detail": `{"total": 12.50}`, "Resources": []string{"arn:a", "arn:b"}, "Time": 1700000000.9},
		{"Source": "shop", "DetailType": "Order Placed", "Detail": `[1]`},
		{"Source": "aws.ec2", "DetailType": "t", "Detail": `{}`},
		{"Source": "shop", "DetailType": "dalamb.function.deployed.v1", "Detail": `{}`},
		{"DetailType": "t", "Detail": `{}`},
		{"Source": "shop", "DetailType": "t", "Detail": `{}`, "EventBusName": "nobody"},
		{"Source": "shop", "DetailType": "t", "Detail": large},
		{"Source": "shop", "DetailType": "t", "Detail": `{}`, "Resources": []string{`a"b`}},
		{"Source": "two words", "DetailType": "t", "Detail": `{}`},
		{"Source": "shop", "DetailType": "t", "Detail": `{}`, "Resources": []string{"arn:a"}},
	}})
	var codes []string
	var ids []string
	for _, one := range out["Entries"].([]any) {
		code, _ := one.(object)["ErrorCode"].(string)
		id, _ := one.(object)["EventId"].(string)
		codes = append(codes, code)
		if (id == "") != (code != "") {
			t.Errorf("entry = %v", one)
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	want := []string{"", "MalformedDetail", "NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException", "InvalidArgument", "ResourceNotFoundException", "InvalidArgument", "InvalidArgument", "InvalidArgument", ""}
	if !slices.Equal(codes, want) || out["FailedEntryCount"] != 8.0 {
		t.Errorf("PutEvents = %v\nwant codes %q", out, want)
	}
	var found []object
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.control+"/v1/events?topic=events", nil)
	ok(t, err)
	r.Header.Set("Authorization", "Bearer "+n.token)
	answer, err := http.DefaultClient.Do(r)
	ok(t, err)
	defer answer.Body.Close()
	for d := json.NewDecoder(answer.Body); d.More(); {
		var at struct{ Event object }
		ok(t, d.Decode(&at))
		found = append(found, at.Event)
	}
	slices.SortFunc(found, func(a, b object) int {
		return slices.Index(ids, a["id"].(string)) - slices.Index(ids, b["id"].(string))
	})
	if len(found) != 2 {
		t.Fatalf("the topic has %v", found)
	}
	if e := found[0]; e["id"] != ids[0] || e["source"] != "shop" || e["type"] != "Order Placed" || e["time"] != "2023-11-14T22:13:20Z" || e["resources"] != `["arn:a","arn:b"]` || e["data"].(object)["total"] != 12.5 {
		t.Errorf("the first event is %v", e)
	}
	if e := found[1]; e["subject"] != "arn:a" || e["resources"] != nil {
		t.Errorf("the second event is %v", e)
	}

	n.unbridged("PutEvents", object{"Entries": []object{}}, "ValidationException", "from 1 to 10")
	n.unbridged("PutEvents", object{"Entries": []object{{}}, "EndpointId": "abc.veo"}, "ValidationException", "EndpointId")
	n.unbridged("PutEvents", object{"Entries": []object{{"Colour": "red"}}}, "ValidationException", "Colour")
	n.unbridged("PutEvents", object{"Entries": "many"}, "SerializationException", "Entries")
	n.unbridged("PutPartnerEvents", object{}, "NotImplementedException", "there are no partners")
	n.unbridged("Guess", object{}, "UnknownOperationException", "Guess")
	if out, typ := n.bridgeWith("PutEvents", `{}`, "lambda"); typ != "InvalidSignatureException" {
		t.Errorf("signed for another service: %v", out)
	}
	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, n.control+"/", bytes.NewReader([]byte("{}")))
	ok(t, err)
	r.Header.Set("X-Amz-Target", "AWSEvents.ListRules")
	if answer, err := http.DefaultClient.Do(r); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a signature: %v, %v", answer.Status, err)
	}
}

func TestEntriesAreHeldToTheirTopicsWriters(t *testing.T) {
	n := startNode(t)
	writers := func(name string) {
		t.Helper()
		body, err := json.Marshal(object{"rules": object{"writers": []string{"token/" + name}}})
		ok(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, n.control+"/v1/topics/events", bytes.NewReader(body))
		ok(t, err)
		r.Header.Set("Authorization", "Bearer "+n.token)
		r.Header.Set("Content-Type", "application/json")
		out, typ := n.answered(r)
		if typ != "" || out["warnings"] != nil {
			t.Fatalf("%v", out)
		}
	}
	writers("node")
	entries := object{"Entries": []object{{"Source": "shop", "DetailType": "t", "Detail": `{}`}, {"Source": "shop", "DetailType": "t", "Detail": `{}`}}}
	if out := n.bridged("PutEvents", entries); out["FailedEntryCount"] != 2.0 || out["Entries"].([]any)[0].(object)["ErrorCode"] != "AccessDeniedException" {
		t.Errorf("by who is no writer: %v", out)
	}
	writers("ci")
	if out := n.bridged("PutEvents", entries); out["FailedEntryCount"] != 0.0 {
		t.Errorf("by the writer: %v", out)
	}
}

func TestEventPatternsAreTested(t *testing.T) {
	n := startNode(t)
	const event = `{"id":"1","detail-type":"t","source":"shop","account":"1","time":"2026-01-01T00:00:00Z","region":"r","resources":["a","b"],"detail":{"n":5}}`
	for pattern, want := range map[string]bool{
		`{"source":["shop"],"detail":{"n":[{"numeric":[">",4]}]}}`: true,
		`{"resources":[{"prefix":"b"}]}`:                           true,
		`{"detail-type":[{"anything-but":"t"}]}`:                   false,
	} {
		if out := n.bridged("TestEventPattern", object{"EventPattern": pattern, "Event": event}); out["Result"] != want {
			t.Errorf("%s = %v, want %v", pattern, out, want)
		}
	}
	for _, bad := range []string{``, `{}`, `{"source":"shop"}`, `{"source":[{"sounds-like":"shop"}]}`, `[]`, `{"a":["` + strings.Repeat("x", 4096) + `"]}`} {
		n.unbridged("TestEventPattern", object{"EventPattern": bad, "Event": event}, "InvalidEventPatternException", "Event pattern is not valid")
	}
	for _, bad := range []string{`{"resources":[","]}`, `{"resources":[{"wildcard":"a*"}]}`, `{"colour":["red"]}`} {
		n.unbridged("TestEventPattern", object{"EventPattern": bad, "Event": event}, "InvalidEventPatternException", "Event pattern is not valid")
		n.unbridged("PutRule", object{"Name": "r", "EventPattern": bad}, "InvalidEventPatternException", "Event pattern is not valid")
	}
	n.unbridged("TestEventPattern", object{"EventPattern": `{"source":["shop"]}`, "Event": `{"id":"1"}`}, "ValidationException", "detail-type is a required field")
	n.unbridged("TestEventPattern", object{"EventPattern": `{"source":["shop"]}`, "Event": `no`}, "ValidationException", "no JSON object")
}

func TestBusesAreTopics(t *testing.T) {
	n := startNode(t)
	const arn = "arn:aws:events:us-east-1:000000000000:event-bus/"
	names := func(in object) (all []string) {
		for _, one := range n.bridged("ListEventBuses", in)["EventBuses"].([]any) {
			all = append(all, one.(object)["Name"].(string))
		}
		return all
	}
	if got := names(object{}); !slices.Equal(got, []string{"default"}) {
		t.Errorf("buses = %q", got)
	}
	if out := n.bridged("CreateEventBus", object{"Name": "shop", "Description": "what the shop says"}); out["EventBusArn"] != arn+"shop" {
		t.Errorf("CreateEventBus = %v", out)
	}
	if topic, err := n.client.Topic(t.Context(), "shop"); err != nil || topic.Retention != "30d" {
		t.Errorf("the topic is %+v, %v", topic, err)
	}
	if out := n.bridged("DescribeEventBus", object{"Name": arn + "shop"}); out["Name"] != "shop" || out["Description"] != "what the shop says" {
		t.Errorf("DescribeEventBus = %v", out)
	}
	if got := names(object{"NamePrefix": "s"}); !slices.Equal(got, []string{"shop"}) {
		t.Errorf("buses that begin with s = %q", got)
	}
	first := n.bridged("ListEventBuses", object{"Limit": 1})
	if got := names(object{"Limit": 1, "NextToken": first["NextToken"]}); !slices.Equal(got, []string{"shop"}) {
		t.Errorf("the second page = %q", got)
	}
	n.unbridged("CreateEventBus", object{"Name": "shop"}, "ResourceAlreadyExistsException", "shop")
	n.unbridged("CreateEventBus", object{"Name": "default"}, "ResourceAlreadyExistsException", "default")
	n.unbridged("CreateEventBus", object{"Name": "events"}, "ValidationException", "default")
	n.unbridged("CreateEventBus", object{"Name": "a/b"}, "ValidationException", "a/b")
	n.unbridged("CreateEventBus", object{"Name": "x", "KmsKeyIdentifier": "k"}, "ValidationException", "KmsKeyIdentifier")
	n.unbridged("DescribeEventBus", object{"Name": "_dalamb.control"}, "ResourceNotFoundException", "does not exist")
	n.unbridged("DescribeEventBus", object{"Name": "events"}, "ResourceNotFoundException", "does not exist")
	n.unbridged("DeleteEventBus", object{"Name": "default"}, "ValidationException", "Cannot delete")
	n.bridged("PutRule", object{"Name": "r", "EventBusName": "shop", "EventPattern": `{"source":["a"]}`})
	n.unbridged("DeleteEventBus", object{"Name": "shop"}, "ValidationException", "since it has rules: r")
	n.bridged("DeleteRule", object{"Name": "r", "EventBusName": "shop"})
	n.bridged("DeleteEventBus", object{"Name": "shop"})
	n.bridged("DeleteEventBus", object{"Name": "shop"})
	n.unbridged("DescribeEventBus", object{"Name": "shop"}, "ResourceNotFoundException", "shop")
}
