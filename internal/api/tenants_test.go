package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// canary is in the name, and in what there is, of all that is another tenant's or production's. Where it sings, something of theirs was told.
const canary = "canary"

// closedToTenants are the routes that answer nobody who is there for one environment. A new route stands here, or in tenancies.
func closedToTenants() []string {
	return []string{
		"getMachine", "listNodes", "listImages", "listPulls", "listRepositories", "removeRepository", "checkpoint", "cancelDelayed",
		"startCopy", "listCopies", "getCopy", "cancelCopy", "placeCopy", "listTokens", "createToken", "removeToken", "tryPattern",
		"listHooks", "getHook", "setHook", "removeHook", "testHook", "listAlerts", "getAlert", "setAlert", "removeAlert", "testAlert",
		"explainEvent", "traceEvent", "exportTrace", "getPast", "listChanges", "getAudit", "proveRecord", "proveGrowth", "forget",
		"listServices", "getService", "registerInstance", "deregisterInstance", "watch", "removeEnvironment", "setQuota",
	}
}

// silent are the routes of which the harness has nothing of others to tell, so that nobody hears the canary there.
func silent() []string {
	return []string{
		"getOpenAPI", "getSelf", "getBuildKey", "getNode", "getRoutesOpenAPI", "hasCode", "putCode", "listUpstreams", "getProvenance", "getVersionBuild", "getVersionLog",
		"getBuildLog", "getReplayedRuns", "getRedrive", "listRollouts", "getRollout", "diffVersions",
	}
}

type canaryUsage struct{}

func (canaryUsage) Hours(_ context.Context, since, _ time.Time, wanted func(string) bool, _ int) ([]function.Usage, error) {
	all := []function.Usage{{Hour: since, Function: "beta.canary", Used: function.Used{Invocations: 4444}}, {Hour: since, Function: "canary-prod"}, {Hour: since, Function: "acme.pay", Used: function.Used{Invocations: 31}}}
	return slices.DeleteFunc(all, func(u function.Usage) bool { return !wanted(u.Function) }), nil
}

func (c canaryUsage) Sums(ctx context.Context, since, until time.Time, name func(string, time.Time) (string, bool)) (map[string]*function.Used, error) {
	sums := map[string]*function.Used{}
	hours, err := c.Hours(ctx, since, until, anyFunction, 9)
	for _, u := range hours {
		if of, wanted := name(u.Function, u.Hour); wanted {
			if sums[of] == nil {
				sums[of] = &function.Used{}
			}
			sums[of].Add(u.Used)
		}
	}
	return sums, err
}

func (canaryUsage) Lacking(context.Context, time.Time, time.Time) ([]time.Time, error) {
	return nil, nil
}

type canaryDelayed struct{ Delayed }

// List lists as delay's does: others' events are due before the tenant's.
func (canaryDelayed) List(_ context.Context, most int, wanted func(string) bool) ([]wire.Delayed, int, error) {
	list := slices.DeleteFunc([]wire.Delayed{{ID: "canary-1", Topic: "beta.canary"}, {ID: "canary-2", Topic: "canary"}, {ID: "own", Topic: "acme.events"}}, func(d wire.Delayed) bool {
		return wanted != nil && !wanted(d.Topic)
	})
	return list[:min(most, len(list))], len(list), nil
}

// aviary is an installation of which the tenant acme has a little, and beta and production the rest.
func aviary(t *testing.T) (n *node, code string) {
	n = newNode(t)
	n.api.usage, n.api.delayed = canaryUsage{}, canaryDelayed{n.script}
	for _, topic := range []string{function.TopicTicks, function.TopicReplays, function.TopicRequests} {
		ok(t, n.log.CreateTopic(t.Context(), eventlog.Topic{Name: topic, Partitions: 1}))
	}
	for _, topic := range []string{"canary", "acme.events", "beta.events", "beta.canary"} {
		_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: topic, Partitions: 1})
		ok(t, err)
	}
	code = n.upload("canary code")
	release := func(name, more string) {
		s := spec(t, "name: "+function.Plain(function.Environment(name), name)+"\ncode: .\nentry: {type: stdio, command: [./run]}\n"+more)
		s.Name = name
		_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: s, Code: code})
		ok(t, err)
	}
	for _, env := range []string{"beta.", ""} {
		_, err := n.client.SetSecret(t.Context(), env+"canary-key", []byte("canary value"))
		ok(t, err)
		_, err = n.client.SetConfig(t.Context(), env+"canary-level", "canary value")
		ok(t, err)
	}
	triggers := `
secrets: [{name: canary-key, env: K}]
config: [{name: canary-level, env: L}]
env: {BIRD: canary}
triggers:
  - {name: on-canary, topic: canary}
  - {name: tick-canary, schedule: "@every 1h"}
  - {name: web-canary, route: {path: /canary}}
`
	release("beta.canary", triggers)
	release("canary-prod", triggers)
	code = n.upload("own code")
	release("acme.pay", "triggers:\n  - {name: on, topic: acme.events}\n")
	code = n.upload("canary code")

	position := n.emit("beta.canary", fact("canary.sang", "canary", "canary"))[0]
	n.emit("canary", fact("canary.sang", "canary", "canary"))
	for i, fn := range []string{"beta.canary", "canary-prod"} {
		id := []string{"run-b", "run-p"}[i]
		r := function.Run{ID: id, Function: fn, Trigger: "on-canary", State: function.RunDead, Finished: noon(), Event: function.EventRef{Topic: "beta.canary", Partition: position.Partition, Offset: position.Offset}}
		n.tell(function.TopicRuns, event.TypeRunFinished, id, r)
		n.tell(function.TopicDead, event.TypeDeadLetterCreated, id, function.DeadLetter{Run: r, Event: json.RawMessage(`{"specversion":"1.0","id":"x","source":"/s","type":"canary"}`)})
		n.say(fn, id, "canary song")
		n.tellBuild("build-"+id, int64(i+1), function.BuildSucceeded, fn)
		n.script.instances = append(n.script.instances, wire.Instance{ID: fn + "-1", Function: fn, Version: 1})
	}
	_, err := n.client.StartReplay(t.Context(), wire.ReplayRequest{Name: "canary-replay", Function: "beta.canary", Trigger: "on-canary", From: "earliest"})
	ok(t, err)
	n.settle()
	return n, code
}

// fills are what stands for each part of a path: others' things, and names of the tenant's that are like those.
func fills(code string) map[string][]string {
	return map[string][]string{
		"name":    {"beta.canary", "canary-prod", "acme.canary-pro", "beta.canary-key", "canary-level", "beta.canary-level", "arn:aws:lambda:us-east-1:000000000000:function:beta.canary"},
		"alias":   {"live"},
		"trigger": {"on-canary", "on-canarx"}, "function": {"beta.canary", "canary-prod", "acme.canary"},
		"topic": {"beta.canary", "canary", function.TopicControl, function.TopicRuns, function.TopicRequests, "acme.canary"}, "partition": {"0"}, "offset": {"0", "1", "3"},
		"run": {"run-b", "run-p"}, "replay": {"canary-replay", "canary-repla"}, "job": {"job-1"}, "id": {"build-run-b", "build-run-p", "canary-1"},
		"digest": {code}, "env": {"beta", "production", "bet"}, "copy": {"canary"}, "instance": {"canary"},
	}
}

// paths are those that a route has with others' things in it.
func paths(pattern string, with map[string][]string) []string {
	before, rest, found := strings.Cut(pattern, "{")
	if !found {
		return []string{pattern}
	}
	name, after, _ := strings.Cut(rest, "}")
	var all []string
	for _, tail := range paths(after, with) {
		for _, value := range with[name] {
			all = append(all, before+url.PathEscape(value)+tail)
		}
	}
	return all
}

// queries are what a route is asked with: nothing, and each of its parameters with others' things.
func queries(rt *route) []string {
	all := []string{""}
	for _, p := range rt.Query {
		for _, value := range map[string][]string{
			"function": {"beta.canary", "canary-prod", "acme.canary-pro"}, "env": {"beta", "", "production"}, "environment": {"beta", ""}, "trigger": {"on-canary"},
			"topic": {"beta.canary", "canary", function.TopicControl, function.TopicLogs, function.TopicRuns, "acme.canar"}, "run": {"run-b"}, "text": {"canary"}, "since": {"1h"}, "state": {"dead"},
		}[p.Name] {
			all = append(all, "?"+p.Name+"="+url.QueryEscape(value))
		}
	}
	return all
}

// bodies are what is sent to the routes that take something, with others' things in it.
func bodies(t *testing.T, code string) map[string][]string {
	deploy := func(name, more string) string {
		s := spec(t, "name: pay\ncode: .\nentry: {type: stdio, command: [./run]}\n"+more)
		s.Name = name
		b, err := json.Marshal(wire.DeployRequest{Spec: s, Code: code, DryRun: true})
		ok(t, err)
		return string(b)
	}
	var deploys, releases []string
	for _, d := range []string{
		deploy("beta.canary", ""), deploy("canary-prod", ""), deploy("acme.pay", "secrets: [{name: canary-key, env: K}]"), deploy("acme.pay", "config: [{name: canary-level, env: K}]"),
		deploy("acme.pay", "triggers: [{name: on, topic: beta.canary}]"), deploy("acme.pay", "triggers: [{name: on, topic: canary}]"), deploy("acme.pay", "triggers: [{name: on, topic: canar}]"),
		deploy("acme.pay", "triggers: [{name: on, topic: events, onFailure: {function: canary-prod}}]"), deploy("acme.pay", "calls: [canary-prod]"),
		deploy("acme.pay", "triggers: [{name: w, emit: {topic: events}, route: {path: /x, await: {topic: canary, pattern: {type: [x]}}}}]"),
		deploy("acme.pay", "triggers: [{name: w, route: {path: /x, cache: {ttl: 1s, purge: [{topic: canary}]}}}]"),
		deploy("acme.pay", "triggers: [{name: w, route: {path: /x, upstream: {service: canary}}}]"),
		deploy("acme.pay", "triggers: [{name: w, route: {path: /x, upstream: {kubernetes: {service: canary, namespace: beta}}}}]"),
		deploy("acme.pay", "triggers: [{name: w, route: {path: /x, upstream: {static: ['http://169.254.169.254']}}}]"),
	} {
		deploys, releases = append(deploys, d), append(releases, `{"functions":[`+d+`],"dryRun":true}`)
	}
	for _, name := range []string{"beta.canary", "canary-prod"} { // which would be made
		for _, more := range []string{`"expects":-1`, `"expects":1`, `"alias":"live","dryRun":false`, `"code":"sha256:` + strings.Repeat("0", 64) + `"`} {
			d := strings.TrimSuffix(strings.Replace(deploy(name, ""), `,"dryRun":true`, "", 1), "}") + "," + more + "}"
			deploys, releases = append(deploys, d), append(releases, `{"functions":[`+d+`]}`)
		}
	}
	return map[string][]string{
		"deploy": deploys, "release": releases,
		"build":      {`{"function":"beta.canary","source":"` + code + `"}`, `{"function":"acme.pay","build":{"secrets":["canary-key"]},"source":"` + code + `"}`},
		"setConfig":  {`{"value":"x"}`},
		"shiftAlias": {`{"version":1}`}, "rollback": {`{}`}, "scaleFunction": {`{"max":2}`}, "seekTrigger": {`{"to":"earliest"}`}, "pauseKey": {`{"key":"canary"}`}, "resumeKey": {`{"key":"canary"}`}, "purgeCache": {`{}`},
		"startReplay":    {`{"function":"beta.canary","trigger":"on-canary","from":"earliest"}`, `{"function":"acme.canary","trigger":"on-canary","from":"earliest"}`},
		"redrive":        {`{"ids":["run-b"]}`, `{"function":"beta.canary"}`, `{"function":"beta.canary","version":1}`, `{"function":"acme.canary-pro"}`, `{"all":true}`},
		"editDeadLetter": {`{"event":{"data":1}}`}, "discard": {`{"ids":["run-b"]}`, `{"ids":["run-b","run-p"]}`},
		"createTopic": {`{"name":"beta.more"}`, `{"name":"more"}`, `{"name":"beta.canary"}`}, "alterTopic": {`{"retention":"1h"}`},
		"putCode": {"x"}, "setSecret": {"x"}, "invoke": {"{}"}, "invokeStream": {"{}"},
	}
}

// Each route of the API is asked, by a token of acme with the widest role, for what is beta's and production's. Nothing of them is told, and nothing of them changes.
func TestATenantIsToldNothingOfOthersByAnyRoute(t *testing.T) {
	n, code := aviary(t)
	n.script.lagTrouble = errors.New("read where beta.canary/0 ends: nobody answers")
	tenants := map[string]string{}
	for _, role := range []string{"admin", "deployer", "operator", "viewer"} {
		tenants[role] = n.tokenOf("of-acme-"+role, wire.TokenCreate{Role: role, Environment: "acme"})
	}
	control, fill, sent := n.controlEnd(), fills(code), bodies(t, code)
	open := tenancies()
	for _, rt := range n.api.routes() {
		_, answers := open[rt.Name]
		if closed := slices.Contains(closedToTenants(), rt.Name); closed == answers {
			t.Errorf("%s %s (%s) has to stand either in tenancies, or among the routes that are closed to tenants", rt.Method, rt.Path, rt.Name)
		}
		given := sent[rt.Name]
		if given == nil {
			given = []string{""}
			if answers && (rt.Body != nil || rt.BodyType != "") {
				t.Errorf("%s takes a body, and the test has none with others' things for it", rt.Name)
			}
		}
		heard := false
		for _, path := range paths(rt.Path, fill) {
			if strings.HasPrefix(rt.Name, "set") && strings.Contains(path, "acme.") {
				continue // which would be his
			}
			for _, q := range queries(&rt) {
				for _, body := range given {
					for role, token := range tenants {
						a := n.as(token, rt.Method, path+q, body)
						if said := sings(a, path+q+body); said != "" {
							t.Errorf("%s %s%s %s as %s tells %d %s", rt.Method, path, q, body, role, a.status, said)
						}
						if mute(path+q+body) != path+q+body { // what is there is answered as what is not
							absent := n.as(token, rt.Method, mute(path+q), mute(body))
							if absent.status != a.status || absent.body != mute(a.body) {
								t.Errorf("%s %s%s %s as %s = %d %s, and of what is not there %d %s", rt.Method, path, q, body, role, a.status, a.body, absent.status, absent.body)
							}
						}
						if !answers && a.status != http.StatusForbidden {
							t.Errorf("%s %s%s as %s = %d, want 403", rt.Method, path, q, role, a.status)
						}
					}
					if rt.Method == http.MethodGet && !rt.Lasts && !heard {
						a := n.as(token, rt.Method, path+q, body)
						heard = a.status < 300 && sings(a, "") != ""
					}
				}
			}
		}
		if rt.Method == http.MethodGet && answers && !rt.Lasts && heard == slices.Contains(silent(), rt.Name) {
			t.Errorf("with the node's token %s told of others: %v; else this test sees nothing where a tenant's does not", rt.Name, heard)
		}
	}
	if end := n.controlEnd(); end != control {
		t.Errorf("%d changes were made", end-control)
	}
	if len(n.script.redrives)+len(n.script.discards)+len(n.script.edits)+len(n.script.calls) > 0 {
		t.Errorf("others' functions were called, or their dead letters touched: %d %d %d %d", len(n.script.redrives), len(n.script.discards), len(n.script.edits), len(n.script.calls))
	}
}

// controlEnd is where the control topic ends.
func (n *node) controlEnd() int64 {
	n.Helper()
	n.settle()
	return n.catalog.View().Offset
}

var (
	word = regexp.MustCompile(`[-.a-z0-9]+`)
	own  = regexp.MustCompile(`acme[-.a-z0-9]*`)
)

// mute gives a text with names, as long as others', of what is not there.
func mute(text string) string {
	return strings.NewReplacer("canary", "parrot", "beta", "zeta", "run-b", "run-q", "run-p", "run-o").Replace(text)
}

// sings gives an answer where the canary, or beta, is in it otherwise than in names of the tenant's own, and in those, in quotes, that it was asked with.
func sings(a answer, asked string) string {
	text := own.ReplaceAllString(a.body, "")
	for _, name := range word.FindAllString(asked, -1) {
		text = strings.ReplaceAll(text, `\"`+name+`\"`, "")
	}
	if strings.Contains(text, canary) || strings.Contains(text, "beta") {
		return a.body
	}
	return ""
}

// What is his own, a tenant sees and changes by the same routes.
func TestATenantHasHisOwn(t *testing.T) {
	n, _ := aviary(t)
	admin := n.tokenOf("of-acme", wire.TokenCreate{Role: "admin", Environment: "acme"})
	for _, c := range []struct{ method, path, body, says string }{
		{"GET", "/v1/functions", "", "acme.pay"},
		{"GET", "/v1/functions/acme.pay", "", "acme.pay"},
		{"GET", "/v1/triggers", "", `"on"`},
		{"GET", "/v1/usage", "", "acme.pay"},
		{"GET", "/v1/usage?by=function", "", "acme.pay"},
		{"GET", "/v1/usage?by=environment", "", `"name":"acme","invocations":31,`},
		{"GET", "/v1/usage?by=day", "", `"invocations":31,`},
		{"GET", "/v1/delayed?limit=1", "", `"total":1`},
		{"GET", "/v1/events", "", ""},
		{"GET", "/v1/topics", "", "acme.events"},
		{"GET", "/v1/quotas", "", `"environment":"acme"`},
		{"GET", "/v1/self", "", `"environment":"acme"`},
		{"POST", "/v1/topics", `{"name":"acme.orders","partitions":1}`, "acme.orders"},
		{"DELETE", "/v1/topics/acme.orders", "", ""},
		{"PUT", "/v1/secrets/acme.key", "x", "acme.key"},
		{"PUT", "/v1/config/acme.level", `{"value":"x"}`, "acme.level"},
		{"POST", "/v1/triggers/acme.pay/on/pause", "", "true"},
		{"DELETE", "/v1/functions/acme.pay", "", ""},
	} {
		if a := n.as(admin, c.method, c.path, c.body); a.status > 299 || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s = %d %s, want %q", c.method, c.path, a.status, a.body, c.says)
		}
	}
	if _, err := n.client.CreateToken(t.Context(), wire.TokenCreate{Name: "k", Role: "deployer", Environment: "acme", Functions: []string{"beta.*"}}); err == nil {
		t.Error("a token of acme was made for functions of beta")
	}
}

// What a function of the environment hears already, since somebody else has let it, its people may look at.
func TestASharedTopicIsSeenWhereItIsHeard(t *testing.T) {
	n, code := aviary(t)
	viewer := n.tokenOf("of-acme", wire.TokenCreate{Role: "deployer", Environment: "acme"})
	if a := n.as(viewer, "GET", "/v1/events?topic=canary", ""); a.status != http.StatusNotFound {
		t.Fatalf("a topic that nothing of acme hears = %d", a.status)
	}
	s := spec(t, "name: pay\ncode: .\nentry: {type: stdio, command: [./run]}\ntriggers: [{name: on, topic: canary}]\n")
	s.Name = "acme.pay"
	_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: s, Code: code})
	ok(t, err)
	if a := n.as(viewer, "GET", "/v1/events?topic=canary", ""); a.status != 200 || !strings.Contains(a.body, "canary.sang") {
		t.Errorf("a topic that acme hears = %d %s", a.status, a.body)
	}
	s.Timeout++
	b, err := json.Marshal(wire.DeployRequest{Spec: s, Code: code, DryRun: true})
	ok(t, err)
	if a := n.as(viewer, "POST", "/v1/functions", string(b)); a.status != 200 {
		t.Errorf("a deploy that goes on hearing it = %d %s", a.status, a.body)
	}
}
