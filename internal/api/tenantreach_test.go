package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// written is a manifest of acme.pay.
func written(t *testing.T, more string) function.Spec {
	t.Helper()
	s := spec(t, "name: pay\ncode: .\nentry: {type: stdio, command: [./run]}\n"+more)
	s.Name = "acme.pay"
	return s
}

func TestATenantReachesTheNodesNetworkOnlyWhereSomebodyElseHasLetIt(t *testing.T) {
	n, code := aviary(t)
	deployer := n.tokenOf("of-acme", wire.TokenCreate{Role: "deployer", Environment: "acme"})
	try := func(more string) answer {
		b, err := json.Marshal(wire.DeployRequest{Spec: written(t, more), Code: code, DryRun: true})
		ok(t, err)
		return n.as(deployer, "POST", "/v1/functions", string(b))
	}
	inside := []string{
		"triggers: [{name: w, route: {path: /x, upstream: {service: search}}}]",
		"triggers: [{name: w, route: {path: /x, upstream: {static: ['http://127.0.0.1:9092']}}}]",
		"triggers: [{name: w, route: {path: /x, upstream: {static: ['http://10.0.0.1', 'http://8.8.8.8']}}}]",
		"triggers: [{name: w, route: {path: /x, upstream: {kubernetes: {service: s, namespace: other}}}}]",
		"triggers: [{name: w, route: {path: /x, upstream: {dns: {name: s.internal}}}}]",
		"network: host",
		"network: egress\nallow: [{to: 169.254.169.254}]",
	}
	for _, more := range inside {
		if a := try(more); a.status != http.StatusForbidden || !strings.Contains(a.body, "would reach what is not of it") {
			t.Errorf("%s = %d %s, want 403", more, a.status, a.body)
		}
	}
	if a := try("triggers: [{name: w, route: {path: /x, upstream: {static: ['http://8.8.8.8']}}}]"); a.status != 200 {
		t.Errorf("a server of the internet = %d %s", a.status, a.body)
	}
	_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: written(t, inside[0]), Code: code})
	ok(t, err)
	if a := try(inside[0] + "\ntimeout: 7s"); a.status != 200 {
		t.Errorf("a deploy that goes on with what somebody else has let = %d %s", a.status, a.body)
	}
}

func TestWhatWasTakenBackFromATenantStaysSo(t *testing.T) {
	for _, more := range []string{"triggers: [{name: on, topic: canary}]", "triggers: [{name: w, route: {path: /x, upstream: {service: search}}}]"} {
		n, code := aviary(t)
		deployer := n.tokenOf("of-acme", wire.TokenCreate{Role: "deployer", Environment: "acme"})
		for _, m := range []string{more, "triggers: [{name: on, topic: acme.events}]\ntimeout: 7s"} {
			_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: written(t, m), Code: code})
			ok(t, err)
		}
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/v1/functions/acme.pay/rollback", `{}`},
			{"PUT", "/v1/functions/acme.pay/aliases/live", `{"shares":[{"version":2}]}`},
			{"PUT", "/v1/functions/acme.pay/aliases/old", `{"shares":[{"version":2}]}`},
		} {
			if a := n.as(deployer, c.method, c.path, c.body); a.status != http.StatusForbidden {
				t.Errorf("%s: %s %s = %d %s, want 403", more, c.method, c.path, a.status, a.body)
			}
		}
		if a := n.as(deployer, "POST", "/v1/functions/acme.pay/rollback", `{"to":1}`); a.status != 200 {
			t.Errorf("a rollback to what is its own = %d %s", a.status, a.body)
		}
	}
}

func TestATenantIsNotToldByWhatIsInHisWay(t *testing.T) {
	n, code := aviary(t)
	admin := n.tokenOf("of-acme", wire.TokenCreate{Role: "admin", Environment: "acme"})
	n.tokenOf("canary-ci", wire.TokenCreate{Role: "viewer", Environment: "beta"})
	writers := `["function/beta.canary","function/beta.nope","token/canary-ci","token/nope"]`
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/topics", `{"name":"acme.w","partitions":1,"rules":{"writers":` + writers + `}}`},
		{"PATCH", "/v1/topics/acme.w", `{"rules":{"writers":` + writers + `}}`},
		{"GET", "/v1/topics/acme.w", ""},
	} {
		if a := n.as(admin, c.method, c.path, c.body); a.status > 299 || strings.Contains(a.body, "warnings") {
			t.Errorf("%s %s = %d %s, want no word of whether the writers are there", c.method, c.path, a.status, a.body)
		}
	}
	for _, name := range []string{"canary-ear", "beta.ear"} {
		s := written(t, "triggers: [{name: on, topic: acme.w}]")
		s.Name = name
		_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: s, Code: code})
		ok(t, err)
	}
	n.emit("acme.events", fact("x", "a", "b"))
	n.settle()
	for _, c := range []struct{ method, path, body string }{
		{"DELETE", "/v1/topics/acme.w", ""},
		{"POST", "/v1/replays", `{"name":"canary-replay","function":"acme.pay","trigger":"on","from":"earliest"}`},
	} {
		a := n.as(admin, c.method, c.path, c.body)
		if a.status != http.StatusConflict || strings.Contains(a.body, "canary") || strings.Contains(a.body, "beta") || !strings.Contains(a.body, "something outside of environment acme") {
			t.Errorf("%s %s = %d %s, want 409 without a name of others", c.method, c.path, a.status, a.body)
		}
	}
}

// rolledOut is aviary with a roll-out of acme.pay under way, to a version that somebody else has deployed.
func rolledOut(t *testing.T, more string) (n *node, deployer string) {
	t.Helper()
	n, code := aviary(t)
	deployed, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: written(t, more), Code: code})
	ok(t, err)
	_, err = n.catalog.Submit(t.Context(), catalog.Shift{Function: "acme.pay", Alias: function.Alias{Name: "live", Primary: 1}})
	ok(t, err)
	_, err = n.catalog.Submit(t.Context(), catalog.StartRollout{Function: "acme.pay", Alias: "live", Version: deployed.Version, Rollout: *function.NewRollout(function.StrategyCanary)})
	ok(t, err)
	return n, n.tokenOf("of-acme", wire.TokenCreate{Role: "deployer", Environment: "acme"})
}

func TestATenantHelpsNoRolloutToWhatHeCouldNotDeploy(t *testing.T) {
	for _, c := range []struct {
		more   string
		onward int // what is answered to who lets it go on
	}{
		{"triggers: [{name: on, topic: canary}]", http.StatusForbidden},
		{"triggers: [{name: w, route: {path: /x, upstream: {service: search}}}]", http.StatusForbidden},
		{"triggers: [{name: on, topic: acme.events}]\ntimeout: 7s", http.StatusOK},
	} {
		n, deployer := rolledOut(t, c.more)
		for _, step := range []struct {
			what   string
			status int
		}{{"pause", http.StatusOK}, {"resume", c.onward}, {"promote", c.onward}} {
			a := n.as(deployer, "POST", "/v1/functions/acme.pay/rollout/"+step.what, "")
			if a.status != step.status || strings.Contains(a.body, "beta") {
				t.Errorf("%s: %s = %d %s, want %d", c.more, step.what, a.status, a.body, step.status)
			}
		}
		if c.onward == http.StatusOK {
			continue
		}
		if a := n.as(deployer, "POST", "/v1/functions/acme.pay/rollout/abort", ""); a.status != http.StatusOK {
			t.Errorf("%s: abort = %d %s, and it leads back to what is his", c.more, a.status, a.body)
		}
	}
}

func TestTheLastLineOfAStreamNamesNothingOfOthers(t *testing.T) {
	n, _ := aviary(t)
	for env, names := range map[string]bool{"acme": false, "": true} {
		ctx := access.With(t.Context(), access.Actor{Type: access.APIKey, ID: "who", Grant: access.Grant{Role: access.Admin, Environment: env}})
		w := httptest.NewRecorder()
		l := n.api.newLines(ctx, w)
		ok(t, l.write("first"))
		ok(t, l.end(fault.New(fault.NotFound, "topic %q does not exist", "acme.canarx").WithHint("there is %q", "beta.canary")))
		if got := strings.Contains(w.Body.String(), "beta.canary"); got != names || !strings.Contains(w.Body.String(), "acme.canarx") {
			t.Errorf("who is for environment %q is told %s", env, w.Body)
		}
	}
}
