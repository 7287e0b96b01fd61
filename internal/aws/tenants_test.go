package aws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/aws"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// closedToTenants are the operations that answer no key of one environment. A new one stands here, or answers such a key what is its environment's.
func closedToTenants() []string {
	return []string{
		"CreateEventBus", "DeleteEventBus", "PutRule", "DescribeRule", "ListRules", "EnableRule", "DisableRule", "DeleteRule", "PutTargets", "RemoveTargets", "ListTargetsByRule",
		"ListRuleNamesByTarget", "CreateArchive", "DescribeArchive", "ListArchives", "UpdateArchive", "DeleteArchive", "StartReplay", "DescribeReplay", "ListReplays", "CancelReplay",
	}
}

// tenancy is a node with functions of acme, and of beta and production, whose names and settings have the canary in them, with a key of acme.
type tenancy struct {
	*node
	acme    sdk.Credentials
	mapping string // id of a mapping of beta's
}

func startTenancy(t *testing.T) tenancy {
	n := startNode(t)
	for _, topic := range []string{"acme.events", "beta.canary", "canary"} {
		_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: topic, Partitions: 1})
		ok(t, err)
	}
	for _, name := range []string{"beta.canary", "canary-prod", "acme.pay"} {
		n.create(name, "canary")
	}
	ctx, fn := t.Context(), sdk.String("beta.canary")
	_, err := n.lambda.CreateFunctionUrlConfig(ctx, &service.CreateFunctionUrlConfigInput{FunctionName: fn, AuthType: types.FunctionUrlAuthTypeNone})
	ok(t, err)
	made, err := n.lambda.CreateEventSourceMapping(ctx, &service.CreateEventSourceMappingInput{FunctionName: fn, Topics: []string{"beta.canary"}, StartingPosition: types.EventSourcePositionLatest})
	ok(t, err)
	key, err := n.client.CreateToken(ctx, wire.TokenCreate{Name: "of-acme", AWS: true, Environment: "acme"})
	ok(t, err)
	return tenancy{n, sdk.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, sdk.ToString(made.UUID)}
}

// ask sends a signed request; operation is of EventBridge's, "" = it is Lambda's.
func (n *node) ask(key sdk.Credentials, method, path, operation, body string) (status int, text string) {
	n.Helper()
	r, err := http.NewRequestWithContext(n.Context(), method, n.control+path, bytes.NewReader([]byte(body)))
	ok(n.T, err)
	of := "lambda"
	if operation != "" {
		r.Header.Set("X-Amz-Target", "AWSEvents."+operation)
		of = "events"
	}
	sum := sha256.Sum256([]byte(body))
	ok(n.T, v4.NewSigner().SignHTTP(n.Context(), key, r, hex.EncodeToString(sum[:]), of, function.AWSRegion, time.Now()))
	answer, err := http.DefaultClient.Do(r)
	ok(n.T, err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	ok(n.T, err)
	return answer.StatusCode, string(b)
}

// bodiesOfOthers are what is sent to the operations that take something.
func bodiesOfOthers(t *testing.T) map[string][]string {
	zip := base64.StdEncoding.EncodeToString(archive(t, "other"))
	create := func(name string) string {
		return `{"FunctionName":"` + name + `","Runtime":"provided.al2023","Handler":"main","Role":"arn:aws:iam::000000000000:role/any","Code":{"ZipFile":"` + zip + `"}}`
	}
	return map[string][]string{
		"CreateFunction": {create("beta.canary"), create("canary-prod")}, "UpdateFunctionCode": {`{"ZipFile":"` + zip + `"}`}, "UpdateFunctionConfiguration": {`{"Timeout":9}`},
		"CreateAlias": {`{"Name":"blue","FunctionVersion":"1"}`}, "UpdateAlias": {`{"FunctionVersion":"1"}`}, "TagResource": {`{"Tags":{"a":"b"}}`},
		"PutFunctionConcurrency": {`{"ReservedConcurrentExecutions":3}`}, "PutProvisionedConcurrencyConfig": {`{"ProvisionedConcurrentExecutions":1}`},
		"PutFunctionEventInvokeConfig": {`{"MaximumRetryAttempts":1}`}, "UpdateFunctionEventInvokeConfig": {`{"MaximumRetryAttempts":1}`},
		"CreateFunctionUrlConfig": {`{"AuthType":"NONE"}`}, "UpdateFunctionUrlConfig": {`{}`},
		"AddPermission": {`{"StatementId":"s","Action":"lambda:InvokeFunction","Principal":"*"}`},
		"CreateEventSourceMapping": {
			`{"FunctionName":"beta.canary","Topics":["acme.events"],"StartingPosition":"LATEST"}`, `{"FunctionName":"canary-prod","Topics":["events"],"StartingPosition":"LATEST"}`,
			`{"FunctionName":"acme.pay","Topics":["canary"],"StartingPosition":"LATEST"}`, `{"FunctionName":"acme.pay","Topics":["beta.canary"],"StartingPosition":"LATEST"}`,
		},
		"UpdateEventSourceMapping": {`{"BatchSize":7}`},
		"PutEvents":                {putEvents("canary"), putEvents("beta.canary")},
		"DescribeEventBus":         {`{"Name":"canary"}`, `{"Name":"beta.canary"}`},
	}
}

func putEvents(bus string) string {
	return `{"Entries":[{"Source":"s","DetailType":"x","Detail":"{}","EventBusName":"` + bus + `"}]}`
}

// absent gives a text with names, as long as others', of what is not there.
func absent(text string) string {
	return strings.NewReplacer("canary", "parrot", "beta", "zeta").Replace(text)
}

// Each operation is asked, with a key of acme's that may all, for what is beta's and production's: it is answered as what is not there is, and nothing is changed.
func TestAKeyOfOneEnvironmentIsToldNothingOfOthersByAnyOperation(t *testing.T) {
	n := startTenancy(t)
	before := n.everything()
	sent := bodiesOfOthers(t)
	names := []string{"beta.canary", "canary-prod", function.ARN(function.AWSRegion, "beta.canary", "")}
	try := func(op aws.Asked, path, operation, body string) {
		t.Helper()
		status, text := n.ask(n.acme, op.Method, path, operation, body)
		if !op.OfTenants {
			if status < 400 || !strings.Contains(text, "this is of the whole installation") {
				t.Errorf("%s, which is closed = %d %s", op.Name, status, text)
			}
			return
		}
		if path == absent(path) && body == absent(body) {
			if strings.Contains(text, "canary") || strings.Contains(text, "beta") {
				t.Errorf("%s %s tells %d %s", op.Name, path, status, text)
			}
			return
		}
		other, without := n.ask(n.acme, op.Method, absent(path), operation, absent(body))
		if other != status || without != absent(text) {
			t.Errorf("%s %s %.80s = %d %s, and of what is not there %d %s", op.Name, path, body, status, text, other, without)
		}
		if status < 300 && op.Name != "ListEventSourceMappings" && op.Name != "PutEvents" {
			t.Errorf("%s %s %.80s = %d %s", op.Name, path, body, status, text)
		}
	}
	for _, op := range aws.AskedOfLambda() {
		if op.OfTenants == slices.Contains(closedToTenants(), op.Name) {
			t.Errorf("%s has to answer keys of one environment, or to be closed to them", op.Name)
		}
		for _, body := range append([]string{}, orNone(sent[op.Name])...) {
			for _, name := range names {
				path := strings.NewReplacer("{name}", url.PathEscape(name), "{resource}", url.PathEscape(function.ARN(function.AWSRegion, name[strings.LastIndex(name, ":")+1:], "")),
					"{alias}", "live", "{statementId}", "s").Replace(op.Path)
				switch {
				case op.Name == "UntagResource":
					path += "?tagKeys=a"
				case strings.Contains(path, "provisioned-concurrency"):
					path += "?Qualifier=1"
				case op.Name == "ListEventSourceMappings":
					path += "?FunctionName=" + url.QueryEscape(name)
				}
				if !strings.Contains(path, "{uuid}") {
					try(op, path, "", body)
					continue
				}
				status, text := n.ask(n.acme, op.Method, strings.Replace(path, "{uuid}", n.mapping, 1), "", body)
				other, without := n.ask(n.acme, op.Method, strings.Replace(path, "{uuid}", "00000000-0000-0000-0000-000000000000", 1), "", body)
				if status != http.StatusNotFound || other != status || without != text {
					t.Errorf("%s of another's mapping = %d %s, and of none %d %s", op.Name, status, text, other, without)
				}
			}
		}
	}
	for _, op := range aws.AskedOfEventBridge() {
		if op.OfTenants == slices.Contains(closedToTenants(), op.Name) {
			t.Errorf("%s has to answer keys of one environment, or to be closed to them", op.Name)
		}
		op.Method = http.MethodPost
		for _, body := range orNone(sent[op.Name]) {
			try(op, "/", op.Name, body)
		}
	}
	for _, list := range []struct{ path, operation string }{{"/2015-03-31/functions/", ""}, {"/2015-03-31/event-source-mappings/", ""}, {"/", "ListEventBuses"}} {
		method := http.MethodGet
		if list.operation != "" {
			method = http.MethodPost
		}
		if _, all := n.ask(n.key, method, list.path, list.operation, ""); !strings.Contains(all, "canary") {
			t.Errorf("%s%s tells the installation's own key nothing of the canary, so that this test hears nothing: %s", list.path, list.operation, all)
		}
		if status, own := n.ask(n.acme, method, list.path, list.operation, ""); status != 200 || strings.Contains(own, "beta") || strings.Contains(own, "canary") {
			t.Errorf("%s%s = %d %s", list.path, list.operation, status, own)
		}
	}
	if after := n.everything(); after != before {
		t.Errorf("what is there became\n%s\nand was\n%s", after, before)
	}
}

func orNone(bodies []string) []string {
	if bodies == nil {
		return []string{"{}"}
	}
	return bodies
}

// everything is what there is of functions, topics and events.
func (n *node) everything() string {
	n.Helper()
	var out strings.Builder
	functions, err := n.client.Functions(n.Context())
	ok(n.T, err)
	ok(n.T, json.NewEncoder(&out).Encode(functions))
	for _, name := range []string{"beta.canary", "canary-prod", "acme.pay"} {
		versions, err := n.client.Versions(n.Context(), name)
		ok(n.T, err)
		for _, v := range versions.Versions {
			out.WriteString(name + " " + v.Created.String() + "\n")
		}
	}
	for _, topic := range []string{"beta.canary", "canary", "acme.events", "events"} {
		for at, err := range n.client.Events(n.Context(), client.EventQuery{Topic: topic}) {
			ok(n.T, err)
			out.Write(at.Event)
		}
	}
	return out.String()
}

// What is his own, the holder of such a key sees and changes.
func TestAKeyOfOneEnvironmentHasItsOwn(t *testing.T) {
	n := startTenancy(t)
	ctx, as := t.Context(), n.as(n.acme, function.AWSRegion)
	list, err := as.ListFunctions(ctx, nil)
	ok(t, err)
	if len(list.Functions) != 1 || sdk.ToString(list.Functions[0].FunctionName) != "acme.pay" {
		t.Errorf("ListFunctions = %+v, want acme.pay alone", list.Functions)
	}
	pay := sdk.String("acme.pay")
	_, err = as.Invoke(ctx, &service.InvokeInput{FunctionName: pay, Payload: []byte("{}")})
	ok(t, err)
	_, err = as.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: pay, Timeout: sdk.Int32(9)})
	ok(t, err)
	_, err = as.CreateEventSourceMapping(ctx, &service.CreateEventSourceMappingInput{FunctionName: pay, Topics: []string{"acme.events"}, StartingPosition: types.EventSourcePositionLatest})
	ok(t, err)
	for _, bus := range []string{"default", "acme.events"} {
		if status, text := n.ask(n.acme, "POST", "/", "PutEvents", putEvents(bus)); status != 200 || !strings.Contains(text, `"FailedEntryCount":0`) {
			t.Errorf("PutEvents to %s = %d %s", bus, status, text)
		}
	}
	events := 0
	for _, err := range n.client.Events(ctx, client.EventQuery{Topic: "acme.events"}) {
		ok(t, err)
		events++
	}
	if events != 2 {
		t.Errorf("acme.events has %d events, want both", events)
	}
	// The same by a token, which needs no signature.
	made, err := n.client.CreateToken(ctx, wire.TokenCreate{Name: "viewer", Role: "viewer", Environment: "acme"})
	ok(t, err)
	r, err := http.NewRequestWithContext(ctx, "GET", n.control+"/2015-03-31/functions/", nil)
	ok(t, err)
	r.Header.Set("Authorization", "Bearer "+made.Token)
	answer, err := http.DefaultClient.Do(r)
	ok(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ok(t, err)
	if answer.StatusCode != 200 || !strings.Contains(string(text), "acme.pay") || strings.Contains(string(text), "beta") {
		t.Errorf("a token of acme lists %d %s", answer.StatusCode, text)
	}
}
