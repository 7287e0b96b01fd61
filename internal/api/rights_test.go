package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// tokenOf makes a token and gives it.
func (n *node) tokenOf(name string, asked wire.TokenCreate) string {
	n.Helper()
	asked.Name = name
	made, err := n.client.CreateToken(n.Context(), asked)
	ok(n, err)
	return made.Token
}

// as sends a request that shows another token. What follows something without an end is refused at once, or the test fails.
func (n *node) as(token, method, path, body string) answer {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.url+path, strings.NewReader(body))
	ok(n, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	ok(n, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ok(n, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func TestEachRouteAsksForARight(t *testing.T) {
	n := newNode(t)
	rights := needs()
	for _, r := range n.api.routes() {
		need, there := rights[r.Name]
		switch {
		case !there || !slices.Contains(access.Rights(), need.right):
			t.Errorf("%s %s (%s) asks for no right: give it a line in rights.go", r.Method, r.Path, r.Name)
		case (r.Method == http.MethodGet || r.Method == http.MethodHead) != (need.right == access.Read) && r.Name != "tryPattern":
			t.Errorf("%s %s asks for the right to %s", r.Method, r.Path, need.right)
		case need.over == inPath && !strings.Contains(r.Path, "/functions/{name}") && !strings.Contains(r.Path, "/triggers/{function}") && !strings.Contains(r.Path, "/topics/{topic}"):
			t.Errorf("%s names no function", r.Path)
		}
		delete(rights, r.Name)
	}
	for name := range rights {
		t.Errorf("there is no route %s", name)
	}
}

// Each route, asked by each role: who has no right is answered 403 that says so, before anything is looked at.
func TestRightsOfRoles(t *testing.T) {
	n := newNode(t)
	tokens := map[access.Role]string{}
	for _, role := range access.Roles() {
		tokens[role] = n.tokenOf(string(role), wire.TokenCreate{Role: string(role)})
	}
	limited := map[access.Role]string{}
	for _, role := range []access.Role{access.Deployer, access.Operator} {
		limited[role] = n.tokenOf("shop-"+string(role), wire.TokenCreate{Role: string(role), Functions: []string{"shop-*"}})
	}
	variable := regexp.MustCompile(`\{\w+\}`)
	rights := needs()
	for _, r := range n.api.routes() {
		path, need := variable.ReplaceAllString(r.Path, "other"), rights[r.Name]
		for role, token := range tokens {
			if role.Has(need.right) {
				continue // asked below, where nothing is done
			}
			if a := n.as(token, r.Method, path, "{}"); a.status != http.StatusForbidden || r.Method != http.MethodHead && !strings.Contains(a.body, string(need.right)) {
				t.Errorf("%s as %s = %d %s, want 403 that names the right to %s", r.Name, role, a.status, a.body, need.right)
			}
		}
		for role, token := range limited {
			if !role.Has(need.right) || need.over != inPath && need.over != all {
				continue
			}
			if a := n.as(token, r.Method, path, "{}"); a.status != http.StatusForbidden || !strings.Contains(a.body, "shop-*") {
				t.Errorf("%s as %s of shop-* = %d %s, want 403", r.Name, role, a.status, a.body)
			}
		}
		for _, role := range access.Roles() {
			req, err := http.NewRequest(r.Method, path, nil)
			ok(t, err)
			req.SetPathValue("name", "shop-web")
			req = req.WithContext(access.With(req.Context(), access.Actor{Grant: access.Grant{Role: role}}))
			if err := need.permit(req); (err == nil) != role.Has(need.right) {
				t.Errorf("%s as %s = %v", r.Name, role, err)
			}
		}
	}
	if a := n.as("dle_nobody", "GET", "/v1/functions", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a token that was not given out is answered %d", a.status)
	}
}

const otherManifest = `
name: other
code: .
entry: {type: stdio, command: [./run]}
`

// What names functions in its body, or selects them, is refused whole where one of them is another's.
func TestRightsOverWhatABodyNames(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.deploy(otherManifest, "two")
	order := n.shop()
	n.tell(function.TopicDead, event.TypeDeadLetterCreated, "run-4", function.DeadLetter{
		Run:   function.Run{ID: "run-4", Function: "other", Trigger: "x", State: function.RunDead, Finished: noon(), Event: function.EventRef{Topic: "events", Partition: order[0].Partition}},
		Event: []byte(`{"specversion":"1.0","id":"x","source":"/s","type":"a"}`),
	})
	n.settle()
	for _, name := range []string{"pay-key", "other-key"} {
		_, err := n.client.SetSecret(t.Context(), name, []byte("x"))
		ok(t, err)
		_, err = n.client.SetConfig(t.Context(), name, "x")
		ok(t, err)
	}
	code := n.upload("three")
	deploy := func(name, more string) string {
		s := spec(t, "name: "+function.Plain(function.Environment(name), name)+"\ncode: .\nentry: {type: stdio, command: [./run]}\n"+more)
		s.Name = name
		b, err := json.Marshal(wire.DeployRequest{Spec: s, Code: code, DryRun: true})
		ok(t, err)
		return string(b)
	}
	deployer := n.tokenOf("ci", wire.TokenCreate{Role: "deployer", Functions: []string{"pay*"}})
	// A plain name of a secret is that of the environment, whatever the token may take of production.
	ofStaging := n.tokenOf("staging-ci", wire.TokenCreate{Role: "deployer", Functions: []string{"staging.pay*", "test-*"}})
	for _, name := range []string{"staging.pay-key", "staging.test-key"} {
		_, err := n.client.SetSecret(t.Context(), name, []byte("x"))
		ok(t, err)
	}
	operator := n.tokenOf("ops", wire.TokenCreate{Role: "operator", Functions: []string{"pay*"}})
	cases := []struct {
		route, token, method, path, body string
		may                              bool
		says                             string
	}{
		{"deploy", deployer, "POST", "/v1/functions", deploy("other", ""), false, `\"other\"`},
		{"deploy", deployer, "POST", "/v1/functions", deploy("pay", ""), true, ""},
		{"deploy", deployer, "POST", "/v1/functions", deploy("staging.pay", ""), false, "staging.pay"},
		{"deploy", deployer, "POST", "/v1/functions", deploy("pay", "secrets: [{name: other-key, env: K}]"), false, "other-key"},
		{"deploy", deployer, "POST", "/v1/functions", deploy("pay", "secrets: [{name: pay-key, env: K}]"), true, ""},
		{"deploy", ofStaging, "POST", "/v1/functions", deploy("staging.pay", "secrets: [{name: pay-key, env: K}]"), true, ""},
		{"deploy", ofStaging, "POST", "/v1/functions", deploy("staging.pay", "secrets: [{name: test-key, env: K}]"), false, "staging.test-key"},
		{"release", deployer, "POST", "/v1/releases", `{"functions":[` + deploy("pay", "") + `,` + deploy("other", "") + `],"dryRun":true}`, false, `\"other\"`},
		{"release", deployer, "POST", "/v1/releases", `{"functions":[` + deploy("pay", "") + `],"dryRun":true}`, true, ""},
		{"build", deployer, "POST", "/v1/builds", `{"function":"other","source":"` + code + `"}`, false, `\"other\"`},
		{"build", deployer, "POST", "/v1/builds", `{"function":"pay","build":{"secrets":["other-key"]},"source":"` + code + `"}`, false, "other-key"},
		{"setSecret", deployer, "PUT", "/v1/secrets/other-key", "y", false, `\"other-key\"`},
		{"setSecret", deployer, "PUT", "/v1/secrets/pay-key", "y", true, ""},
		{"removeSecret", deployer, "DELETE", "/v1/secrets/other-key", "", false, `\"other-key\"`},
		{"setConfig", deployer, "PUT", "/v1/config/other-key", `{"value":"y"}`, false, `\"other-key\"`},
		{"setConfig", deployer, "PUT", "/v1/config/pay-key", `{"value":"y"}`, true, ""},
		{"removeConfig", deployer, "DELETE", "/v1/config/other-key", "", false, `\"other-key\"`},
		{"invoke", deployer, "POST", "/2015-03-31/functions/other/invocations", "{}", false, `\"other\"`},
		{"invoke", operator, "POST", "/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:other:live/invocations", "{}", false, `\"other\"`},
		{"invokeStream", deployer, "POST", "/2021-11-15/functions/other/response-streaming-invocations", "{}", false, `\"other\"`},
		{"startReplay", operator, "POST", "/v1/replays", `{"function":"other","trigger":"x","from":"earliest","dryRun":true}`, false, `\"other\"`},
		{"redrive", operator, "POST", "/v1/dead/redrive", `{"ids":["run-3","run-4"]}`, false, `\"other\"`},
		{"redrive", operator, "POST", "/v1/dead/redrive", `{"function":"other"}`, false, `\"other\"`},
		{"redrive", operator, "POST", "/v1/dead/redrive", `{"all":true}`, false, "say of which function"},
		{"redrive", operator, "POST", "/v1/dead/redrive", `{"trigger":"on-order"}`, false, "say of which function"},
		{"redrive", operator, "POST", "/v1/dead/redrive", `{"function":"pay"}`, true, ""},
		{"redrive", operator, "POST", "/v1/dead/redrive", `{"ids":["run-3"]}`, true, ""},
		{"discard", operator, "POST", "/v1/dead/discard", `{"ids":["run-3","run-4"]}`, false, `\"other\"`},
		{"editDeadLetter", operator, "POST", "/v1/dead/run-4/edit", `{"event":{"data":1}}`, false, `\"other\"`},
		{"editDeadLetter", operator, "POST", "/v1/dead/run-3/edit", `{"event":{"data":1}}`, true, ""},
	}
	tried := map[string]bool{"cancelReplay": true} // below
	for _, c := range cases {
		tried[c.route] = tried[c.route] || !c.may
		a := n.as(c.token, c.method, c.path, c.body)
		if c.may && (a.status < 200 || a.status > 299) || !c.may && (a.status != http.StatusForbidden || !strings.Contains(a.body, c.says)) {
			t.Errorf("%s %s %s = %d %s, want allowed: %v, said %q", c.method, c.path, c.body, a.status, a.body, c.may, c.says)
		}
	}
	for name, need := range needs() {
		if need.over == inServer && !tried[name] {
			t.Errorf("no case tries %s over another's function", name)
		}
	}
	if len(n.script.discards) > 0 || len(n.script.edits) != 1 || len(n.script.redrives) != 2 {
		t.Errorf("what was refused was done: %d discards, %d edits, %d redrives", len(n.script.discards), len(n.script.edits), len(n.script.redrives))
	}
}

func TestCancelReplayOfAnothersFunction(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.emit(function.TopicEvents, fact("order.validated", "o1", 1))
	ok(t, n.log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicReplays, Partitions: 1}))
	a := n.do("POST", "/v1/replays", `{"function":"pay","trigger":"on-order","name":"again","from":"earliest","to":"latest"}`)
	if a.status != http.StatusAccepted {
		t.Fatalf("start = %d %s", a.status, a.body)
	}
	list := n.do("GET", "/v1/replays", "")
	name := regexp.MustCompile(`"name":"([^"]+)"`).FindStringSubmatch(list.body)[1]
	other := n.tokenOf("ops", wire.TokenCreate{Role: "operator", Functions: []string{"other"}})
	if a := n.as(other, "POST", "/v1/replays/"+name+"/cancel", ""); a.status != http.StatusForbidden || !strings.Contains(a.body, `\"pay\"`) {
		t.Errorf("cancel by another = %d %s, want 403", a.status, a.body)
	}
	mine := n.tokenOf("ops-pay", wire.TokenCreate{Role: "operator", Functions: []string{"pay"}})
	if a := n.as(mine, "POST", "/v1/replays/"+name+"/cancel", ""); a.status != http.StatusOK {
		t.Errorf("cancel = %d %s", a.status, a.body)
	}
}

// A secret that functions take is set by who may deploy all of them, whatever its name is.
func TestSecretOfSeveralFunctions(t *testing.T) {
	n := newNode(t)
	_, err := n.client.SetSecret(t.Context(), "shared", []byte("x"))
	ok(t, err)
	for _, name := range []string{"pay", "ship"} {
		n.deploy("name: "+name+"\ncode: .\nentry: {type: stdio, command: [./run]}\nsecrets: [{name: shared, env: K}]\n", name)
	}
	pay := n.tokenOf("ci-pay", wire.TokenCreate{Role: "deployer", Functions: []string{"pay", "shared"}})
	both := n.tokenOf("ci-both", wire.TokenCreate{Role: "deployer", Functions: []string{"pay", "ship"}})
	if a := n.as(pay, "PUT", "/v1/secrets/shared", "y"); a.status != http.StatusForbidden || !strings.Contains(a.body, `\"ship\"`) {
		t.Errorf("set by who may deploy one = %d %s, want 403 that names the other", a.status, a.body)
	}
	if a := n.as(both, "PUT", "/v1/secrets/shared", "y"); a.status != http.StatusOK {
		t.Errorf("set by who may deploy both = %d %s", a.status, a.body)
	}
}

func TestExpiredToken(t *testing.T) {
	n := newNode(t)
	at := time.Now()
	n.api.now = func() time.Time { return at }
	short := n.tokenOf("short", wire.TokenCreate{Role: "viewer", TTL: function.Duration(time.Minute)})
	if a := n.as(short, "GET", "/v1/functions", ""); a.status != http.StatusOK {
		t.Errorf("before its end: %d %s", a.status, a.body)
	}
	at = at.Add(2 * time.Minute)
	if a := n.as(short, "GET", "/v1/functions", ""); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "the token short expired at ") {
		t.Errorf("after its end: %d %s, want 401 that says so", a.status, a.body)
	}
	if a := n.do("GET", "/v1/tokens", ""); !strings.Contains(a.body, `"expired":true`) || strings.Contains(a.body, short) {
		t.Errorf("list = %s", a.body)
	}
}

func TestCreateTokenRefuses(t *testing.T) {
	n := newNode(t)
	for body, says := range map[string]string{
		`{"name":"a","role":"root"}`:                                                      "root",
		`{"name":"a","role":"deployer","functions":["shop/*"]}`:                           "names no functions",
		`{"name":"a","role":"deployer","functions":[]}`:                                   "the list names none",
		`{"name":"a","role":"viewer","functions":["a"]}`:                                  "not bounded",
		`{"name":"a","role":"viewer","expires":"2001-01-01T00:00:00Z"}`:                   "over already",
		`{"name":"a","role":"viewer","ttl":"1h","expires":"2901-01-01T00:00:00Z"}`:        "cannot be given with expires",
		`{"name":"a","role":"sender","aws":true}`:                                         "a sender can do nothing",
		`{"name":"node","role":"admin"}`:                                                  "no name for a token",
		`{"name":"a","role":"deployer","functions":["` + strings.Repeat("*a", 65) + `"]}`: "names no functions",
		`{"name":"a","role":"deployer","functions":["a"],"hash":"00"}`:                    "hash",
	} {
		if a := n.do("POST", "/v1/tokens", body); a.status != http.StatusBadRequest || !strings.Contains(a.body, says) {
			t.Errorf("%s = %d %s, want 400 with %q", body, a.status, a.body, says)
		}
	}
}

// Every control event says who caused it.
func TestControlEventsSayWho(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	ops := n.tokenOf("ops", wire.TokenCreate{Role: "operator"})
	if a := n.as(ops, "POST", "/v1/triggers/pay/on-order/pause", ""); a.status != http.StatusOK {
		t.Fatalf("pause = %d %s", a.status, a.body)
	}
	_, err := n.catalog.Submit(t.Context(), catalog.Remove{Function: "pay"})
	ok(t, err)
	want := map[string]string{
		event.TypeFunctionDeployed: "api_key node", event.TypeTokenCreated: "api_key node", event.TypeTriggerPaused: "api_key ops", event.TypeFunctionRemoved: "system node",
	}
	records, err := n.log.Read(t.Context(), eventlog.Partition{Topic: function.TopicControl}, 0, eventlog.ReadOptions{})
	ok(t, err)
	for _, r := range records {
		e, err := eventlog.ToEvent(r)
		ok(t, err)
		got, _ := e.Extensions[event.ExtAuthType].(string)
		id, _ := e.Extensions[event.ExtAuthID].(string)
		if got += " " + id; got != want[e.Type] {
			t.Errorf("%s is by %q, want %q", e.Type, got, want[e.Type])
		}
		delete(want, e.Type)
	}
	if len(want) > 0 {
		t.Errorf("not in the log: %v", want)
	}
}

func TestVersionSaysWhoDeployedIt(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	list, err := n.client.Versions(t.Context(), "pay")
	ok(t, err)
	if by := list.Versions[0].By; by == nil || by.String() != "token node" {
		t.Errorf("by %v, want token node", by)
	}
}

// What is refused by a function's name in the catalog itself needs nobody to have asked before.
func TestCatalogRefusesAnothersFunction(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	ctx := access.With(t.Context(), access.Actor{Type: access.APIKey, ID: "ci", Grant: access.Grant{Role: access.Deployer, Functions: []string{"ship"}}})
	_, err := n.catalog.Submit(ctx, catalog.Remove{Function: "pay"})
	wantFault(t, "Submit", err, fault.Denied, `not for "pay"`, "")
}

// What a build opens is a secret of its function's environment, whatever secret of production has the same name.
func TestABuildTakesSecretsOfItsEnvironment(t *testing.T) {
	n := newNode(t)
	y := &yard{}
	n.api.builds = y
	source := n.upload("source")
	pay := n.tokenOf("ci-pay", wire.TokenCreate{Role: "deployer", Functions: []string{"pay*", "staging.web"}})
	staging := n.tokenOf("ci-staging", wire.TokenCreate{Role: "deployer", Functions: []string{"staging.*"}})
	for _, c := range []struct {
		token, function, secret string
		status, builds          int
		says                    string
	}{
		{pay, "staging.web", "pay-db", http.StatusForbidden, 0, "none of which takes staging.pay-db"},
		{staging, "staging.web", "npm", http.StatusOK, 1, ""},
		{pay, "pay-web", "pay-db", http.StatusOK, 1, ""},
		{pay, "pay-web", "npm", http.StatusForbidden, 0, "none of which takes npm"},
	} {
		y.asks = nil
		body, err := json.Marshal(wire.BuildRequest{Function: c.function, Source: source, Build: function.Build{
			Type: function.BuildDockerfile, Secrets: []string{c.secret}, Network: function.NetworkNone, Timeout: function.BuildTimeout,
		}})
		ok(t, err)
		if a := n.as(c.token, "POST", "/v1/builds", string(body)); a.status != c.status || len(y.asks) != c.builds || !strings.Contains(a.body, c.says) {
			t.Errorf("%s with %s = %d %s, %d builds; want %d with %q, %d builds", c.function, c.secret, a.status, a.body, len(y.asks), c.status, c.says, c.builds)
		}
	}
}
