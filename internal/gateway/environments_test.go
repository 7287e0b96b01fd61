package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestTheHostSaysWhoseRequestItIs(t *testing.T) {
	n := start(t, script(named))
	at := func(name, host, path string) function.Trigger {
		r := route(name, "GET", path)
		r.Route.Host = host
		return r
	}
	n.deploy("web", at("any", "", "/{page}"), at("shop", "shop.example", "/x"), at("mine", "qa.mine.example", "/x"))
	n.deploy("staging.web", at("any", "staging.*", "/x"), at("shop", "staging.shop.example", "/x"))
	n.deploy("qa.quiet")
	for _, c := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"", "/x", 200, "web/any"},
		{"shop.example", "/x", 200, "web/shop"},
		{"staging.localhost:8080", "/x", 200, "staging.web/any"},
		{"Staging.Shop.Example", "/x", 200, "staging.web/shop"},
		{"staging.shop.example", "/y", 404, "of environment staging"},
		{"staging.localhost", "/y", 404, "of environment staging"},
		{"staging", "/x", 200, "web/any"},
		{"stagings.localhost", "/x", 200, "web/any"},
		{"x.staging.localhost", "/x", 200, "web/any"},
		{"staging.*", "/x", 200, "staging.web/any"},
		{"[::1]:8080", "/x", 200, "web/any"},
		{"127.0.0.1", "/x", 200, "web/any"},
		{"qa.localhost", "/x", 404, "of environment qa"},
		{"qa.mine.example", "/x", 200, "web/mine"},
		{"test.localhost", "/x", 200, "web/any"},
	} {
		header := []string{"Authorization", ""}
		if c.host != "" {
			header = append(header, "Host", c.host)
		}
		if g := n.send("GET", c.path, "", header...); g.status != c.status || !strings.Contains(g.body, c.body) {
			t.Errorf("GET %s of host %q = %d %q, want %d with %q", c.path, c.host, g.status, g.body, c.status, c.body)
		}
	}
	if _, err := n.catalog.Submit(t.Context(), catalog.Remove{Function: "qa.quiet"}); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	if g := n.send("GET", "/x", "", "Authorization", "", "Host", "qa.localhost"); g.status != 404 || !strings.Contains(g.body, "of environment qa") {
		t.Errorf("a host of an environment that is gone = %d %q, want 404: who tests there must not reach production", g.status, g.body)
	}
	if g := n.send("GET", "/x", "", "Authorization", "", "Host", "qa.mine.example"); g.body != "web/mine" {
		t.Errorf("the host that production names = %d %q, want its own", g.status, g.body)
	}
}

func TestWhatARouteOfAnEnvironmentEmitsStaysThere(t *testing.T) {
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{}, Events: []*event.Event{{Type: "a.b", Source: "/x"}}}, nil
	}))
	if err := n.log.CreateTopic(t.Context(), eventlog.Topic{Name: "staging.events", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	emits := route("emits", "GET", "/x")
	emits.Route.Host, emits.Emit = "staging.*", &function.Emit{Topic: "orders"} // as no deploy would have it
	n.deploy("staging.web", emits)
	if g := n.send("GET", "/x", "", "Authorization", "", "Host", "staging.localhost"); g.status != 200 {
		t.Fatalf("GET /x = %d %q", g.status, g.body)
	}
	if in, out := len(n.events("staging.events")), len(n.events("orders")); in != 1 || out != 0 {
		t.Errorf("%d events in the environment's topic and %d in production's, want 1 and 0", in, out)
	}
}
