package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const plain = "entry: {type: stdio, command: [./run]}\n"

// request is one function of a release, of so many lines of a manifest beside its name and its entry.
func (n *node) request(name string, lines ...string) wire.DeployRequest {
	n.Helper()
	return wire.DeployRequest{Spec: spec(n, "name: "+name+"\n"+plain+strings.Join(lines, "\n")), Code: n.upload("of " + name)}
}

// has lists functions with what live is at.
func (n *node) has() string {
	n.Helper()
	var all []string
	for _, f := range n.catalog.View().Functions() {
		all = append(all, fmt.Sprint(f.Name, " ", f.Aliases[function.LiveAlias].Primary))
	}
	return strings.Join(all, ", ")
}

func onRoute(path string) string { return "triggers: [{route: {path: " + path + "}}]" }

func TestFunctionsAreReleasedByOneAppend(t *testing.T) {
	n := newNode(t)
	pay := n.request("pay", "async: {onSuccess: {function: mail}}")
	done, err := n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{pay, n.request("mail"), n.request("web", onRoute("/web"))}})
	ok(t, err)
	if got := n.has(); got != "mail 1, pay 1, web 1" || n.catalog.View().Offset != 3 {
		t.Errorf("there is %s at %d, want all three at 3", got, n.catalog.View().Offset)
	}
	for i, name := range []string{"pay", "mail", "web"} {
		if d := done[i]; d.Function != name || d.Version != 1 || !d.Created || !d.Moved || d.Warnings != nil {
			t.Errorf("%s: %+v, want version 1 without a warning", name, d)
		}
	}
	pay.Code = n.upload("other")
	pay.Spec.Rollout = function.NewRollout(function.StrategyCanary)
	pay.Spec.Rollout.Gates.Check = "judge"
	done, err = n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{pay, n.request("mail"), n.request("judge")}})
	ok(t, err)
	if done[0].Rollout == 0 || done[0].Moved || done[1].Created || done[1].Moved || !done[2].Created {
		t.Errorf("the second release made %+v, want a roll-out, what is unchanged, and what is new", done)
	}
	if got := n.has(); got != "judge 1, mail 1, pay 1, web 1" {
		t.Errorf("there is %s, want that pay is still at 1", got)
	}
}

func TestOneRefusedFunctionRefusesTheRelease(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "x")
	before := n.catalog.View().Offset
	other := n.request("web", onRoute("/web"))
	for _, c := range []struct {
		name      string
		functions []wire.DeployRequest
		kind      fault.Kind
		message   string
	}{
		{"a topic that is not there", []wire.DeployRequest{other, n.request("mail", "triggers: [{topic: nowhere}]")}, fault.NotFound, `deploy mail: function "mail", trigger "t0": `},
		{"each is told", []wire.DeployRequest{n.request("a", "triggers: [{topic: nowhere}]"), other, n.request("b", "secrets: [{name: none, env: NONE}]")}, fault.NotFound, "\ndeploy b: "},
		{"one route of two", []wire.DeployRequest{other, n.request("front", onRoute("/web"))}, fault.Conflict, "deploy web: "},
		{"the same alias twice", []wire.DeployRequest{other, other}, fault.Invalid, `deploy web: function "web" is released twice for the alias live`},
		{"a gate that nobody is", []wire.DeployRequest{other, n.request("mail", "rollout: {strategy: canary, gates: {check: nobody}}")}, fault.NotFound, "rollout.gates.check"},
		{"a fallback that nobody is", []wire.DeployRequest{other, n.request("mail", "triggers: [{name: r, route: {path: /m, fallback: {function: nobody}}}]")}, fault.NotFound, `deploy mail: function "mail", route r, fallback.function: `},
		{"a function to call that nobody is", []wire.DeployRequest{other, n.request("mail", "calls: [web, nobody]")}, fault.NotFound, `deploy mail: function "mail", calls[1]: there is no function "nobody"`},
		{"code that is not here", []wire.DeployRequest{other, {Spec: other.Spec, Alias: "next", Code: "sha256:" + strings.Repeat("0", 64)}}, fault.NotFound, "is not here"},
		{"none", nil, fault.Invalid, "functions: 0 are named"},
	} {
		_, err := n.client.Release(t.Context(), wire.ReleaseRequest{Functions: c.functions})
		wantFault(t, c.name, err, c.kind, c.message, "")
	}
	if at := n.catalog.View().Offset; at != before {
		t.Errorf("something was appended: the catalog is at %d, want %d\n%s", at, before, n.has())
	}
	if a := n.do(http.MethodPost, "/v1/releases", `{"functions": [`); a.status != http.StatusBadRequest {
		t.Errorf("half a body: %d %s", a.status, a.body)
	}
}

func TestAFallbackMayComeWithItsRoute(t *testing.T) {
	n := newNode(t)
	_, err := n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{
		n.request("mail", "triggers: [{name: r, route: {path: /m, fallback: {function: spare}}}]"), n.request("spare"),
	}})
	ok(t, err)
}

// A route may go from one function to another where both are released together, and not where the one that has it moves by a roll-out.
func TestARouteGoesOverInOneRelease(t *testing.T) {
	n := newNode(t)
	_, err := n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{n.request("old", onRoute("/a")), n.request("slow", onRoute("/b"))}})
	ok(t, err)
	_, err = n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{n.request("new", onRoute("/a")), n.request("old", onRoute("/c"))}})
	ok(t, err)
	_, err = n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{n.request("new", onRoute("/b")), n.request("slow", onRoute("/d"), "rollout: {strategy: canary}")}})
	wantFault(t, "a route that is still in use", err, fault.Conflict, "deploy new: ", "")
	if got := n.has(); got != "new 1, old 2, slow 1" {
		t.Errorf("there is %s", got)
	}
}

// Until its roll-out ends a function has its old routes, and then its new ones: what is released beside it may take neither, and is not in its own way.
func TestAFunctionWithARouteRollsOutBesideOthers(t *testing.T) {
	n := newNode(t)
	canary := "rollout: {strategy: canary}"
	release := func(reqs ...wire.DeployRequest) ([]wire.Deployed, error) {
		return n.client.Release(t.Context(), wire.ReleaseRequest{Functions: reqs})
	}
	_, err := release(n.request("ra", onRoute("/ra"), canary), n.request("rb", onRoute("/rb"), canary), n.request("plain"))
	ok(t, err)
	done, err := release(n.request("ra", onRoute("/ra"), canary), n.request("plain", "timeout: 3s"))
	ok(t, err)
	if done[0].Created || !done[1].Created {
		t.Errorf("beside what is unchanged: %+v, want plain alone made", done)
	}
	for _, second := range []string{"plain", "rb", "new"} {
		_, err := n.client.Release(t.Context(), wire.ReleaseRequest{DryRun: true, Functions: []wire.DeployRequest{
			n.request("ra", onRoute("/ra"), canary, "timeout: 4s"), n.request(second, onRoute("/"+second), canary, "timeout: 4s"),
		}})
		if err != nil {
			t.Errorf("ra and %s: %v, want both released", second, err)
		}
	}
	moved := n.request("ra", onRoute("/moved"), canary)
	_, err = release(moved, n.request("new", onRoute("/ra")))
	wantFault(t, "a route that is still in use", err, fault.Conflict, "deploy new: ", "")
	_, err = release(moved, n.request("new", onRoute("/moved")))
	wantFault(t, "a route that will be in use", err, fault.Conflict, "deploy new: ", "")
	done, err = release(moved, n.request("rb", onRoute("/rb"), canary, "timeout: 5s"))
	ok(t, err)
	if done[0].Rollout == 0 || done[1].Rollout == 0 {
		t.Errorf("released %+v, want two roll-outs", done)
	}
}

func TestAFunctionIsReleasedForSeveralAliases(t *testing.T) {
	n := newNode(t)
	live, next := n.request("pay"), n.request("pay")
	next.Alias = "next"
	third := n.request("pay", "timeout: 3s")
	third.Alias = "third"
	done, err := n.api.Release(t.Context(), []wire.DeployRequest{live, n.request("mail"), next, third})
	ok(t, err)
	var got []string
	for _, d := range done {
		got = append(got, fmt.Sprint(d.Function, " ", d.Alias, " ", d.Version, " ", d.Created, " ", d.Moved))
	}
	want := []string{"pay live 1 true true", "mail live 1 true true", "pay next 1 false true", "pay third 2 true true"}
	if !slices.Equal(got, want) {
		t.Errorf("released %q, want %q", got, want)
	}
	blocked := n.request("pay")
	blocked.Alias = "next/to" // of which the alias next would be a directory
	_, err = n.api.Release(t.Context(), []wire.DeployRequest{n.request("pay", "timeout: 4s"), n.request("mail"), blocked})
	wantFault(t, "a second round that is refused", err, fault.Conflict, "released already: pay version 3 (live), mail version 1 (live)", "do it again")
}

// A roll-out starts after the append, and may be refused when the versions are there: that is said, and the next release goes on from there.
func TestWhatIsReleasedWithoutItsRolloutIsTold(t *testing.T) {
	n := newNode(t)
	requests := func(code string) []wire.DeployRequest {
		pay, web := n.request("pay", "rollout: {strategy: canary}"), n.request("web", "rollout: {strategy: canary}")
		pay.Code, web.Code = n.upload(code), n.upload(code)
		return []wire.DeployRequest{pay, n.request("mail"), web}
	}
	_, err := n.api.Release(t.Context(), requests("old"))
	ok(t, err)
	refused := map[string]error{
		"pay": fault.New(fault.Unavailable, "no room on the disk").WithHint("make room"),
		"web": fault.New(fault.Unavailable, "no broker").WithHint("start one"),
	}
	n.control.refuse = func(e *event.Event) error {
		if e.Type == event.TypeRolloutStarted {
			return refused[e.Subject]
		}
		return nil
	}
	done, err := n.api.Release(t.Context(), requests("new"))
	wantFault(t, "two roll-outs that do not start", err, fault.Unavailable, "no room on the disk (make room)\ndeploy web: ", "do it again")
	wantFault(t, "two roll-outs that do not start", err, fault.Unavailable, "no broker (start one); released already: "+
		"pay version 2 (live does not point at it yet), mail version 1 (live), web version 2 (live does not point at it yet)", "")
	if len(done) != 3 || done[0].Version != 2 || !done[0].Created || done[0].Moved || done[0].Rollout != 0 {
		t.Errorf("made %+v, want version 2 of pay and of web", done)
	}

	delete(refused, "web")
	_, err = n.client.Release(t.Context(), wire.ReleaseRequest{Functions: requests("new")})
	wantFault(t, "one of them", err, fault.Unavailable, "; released already: pay version 2 (live does not point at it yet), mail version 1 (live), web version 2 (live)",
		"make room; then do it again: what is there is not made again")
	_, err = n.client.Deploy(t.Context(), requests("new")[0])
	wantFault(t, "it alone", err, fault.Unavailable, "; released already: pay version 2 (live does not point at it yet)", "make room; then do it again")

	delete(refused, "pay")
	done, err = n.api.Release(t.Context(), requests("new"))
	ok(t, err)
	if done[0].Version != 2 || done[0].Created || done[0].Rollout == 0 {
		t.Errorf("repeated: %+v, want that version 2 is rolled out", done[0])
	}
}

func TestADryReleaseChangesNothing(t *testing.T) {
	n := newNode(t)
	request := wire.ReleaseRequest{Functions: []wire.DeployRequest{n.request("pay"), n.request("mail")}, DryRun: true, Images: true}
	request.Functions[0].Code = "sha256:" + strings.Repeat("0", 64) // need not be here
	done, err := n.client.Release(t.Context(), request)
	ok(t, err)
	if len(done) != 2 || done[0].Version != 0 || n.catalog.View().Offset != 0 {
		t.Errorf("a dry run made %+v, and the catalog is at %d", done, n.catalog.View().Offset)
	}
	request.Functions[1] = wire.DeployRequest{Spec: n.request("mail", "image: registry.example/mail:1").Spec}
	if _, err = n.client.Release(t.Context(), request); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "deploy mail: ") {
		t.Errorf("an image where there are none: %v", err)
	}
}
