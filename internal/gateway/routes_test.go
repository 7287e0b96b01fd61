package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// named is a fleet whose functions answer with the names of themselves and of the route.
func named(_ context.Context, c fleet.Call) (*function.Result, error) {
	return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{}, Body: []byte(c.Function + "/" + c.Invocation.Trigger)}, nil
}

func TestRoutesTheMoreSpecificWins(t *testing.T) {
	n := start(t, script(named))
	host := route("host", "GET", "/orders/{id}")
	host.Route.Host = "Shop.example"
	n.deploy("a", route("one", "GET", "/orders/{id}"), route("new", "GET", "/orders/new"), route("rest", "", "/orders/{rest...}"), host)
	n.deploy("b", route("post", "POST", "/orders/{id}"), route("exact", "", "/files/{$}"), route("dir", "", "/static/"))
	n.deploy("c", function.Trigger{Name: "topic-only", Topic: "events", Filter: []byte(`{"type":["a"]}`)})
	tests := []struct {
		method, path, host string
		status             int
		body               string // "" = an error
	}{
		{"GET", "/orders/7", "", 200, "a/one"},
		{"HEAD", "/orders/7", "", 200, "head"},
		{"GET", "/orders/new", "", 200, "a/new"},
		{"POST", "/orders/7", "", 200, "b/post"},
		{"DELETE", "/orders/7", "", 200, "a/rest"},
		{"GET", "/orders/7/lines", "", 200, "a/rest"},
		{"GET", "/orders/7", "shop.example", 200, "a/host"},
		{"GET", "/orders/7", "SHOP.example:8080", 200, "a/host"},
		{"GET", "/orders/new", "shop.example", 200, "a/host"},
		{"GET", "/orders/a%2Fb", "", 200, "a/one"},
		{"GET", "/static/x/y", "", 200, "b/dir"},
		{"GET", "/static", "", 307, ""},
		{"GET", "/orders//7", "", 307, ""},
		{"GET", "/a/../orders/7", "", 307, ""},
		{"GET", "/files/", "", 200, "b/exact"},
		{"GET", "/files/x", "", 404, ""},
		{"GET", "/", "", 404, ""},
		{"GET", "/_/", "", 404, ""},
		{"GET", "/_/orders/7", "", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.host+tt.path, func(t *testing.T) {
			header := []string{"Authorization", ""}
			if tt.host != "" {
				header = append(header, "Host", tt.host)
			}
			g := n.send(tt.method, tt.path, "", header...)
			want := tt.body
			if tt.method == "HEAD" {
				want = ""
			}
			if g.status != tt.status || (tt.body != "" && g.body != want) {
				t.Errorf("answer = %d %q, want %d %q", g.status, g.body, tt.status, want)
			}
			switch {
			case tt.status == 404:
				if f := g.fault(t); f.Kind != "not found" || f.Hint == "" || !strings.Contains(f.Message, "/") {
					t.Errorf("error = %+v, want one that names the path, and a hint", f)
				}
			case tt.status == 307 && !strings.HasPrefix(g.header.Get("Location"), "/"):
				t.Errorf("Location = %q, want the clean path", g.header.Get("Location"))
			}
		})
	}
}

func TestRouteOfAnotherMethod(t *testing.T) {
	n := start(t, script(named))
	n.deploy("a", route("get", "GET", "/pay"), route("put", "PUT", "/pay"))
	g := n.send("POST", "/pay", "x", "Authorization", "")
	if f := g.fault(t); g.status != 405 || g.header.Get("Allow") != "GET, HEAD, PUT" || !strings.Contains(f.Hint, "PUT") {
		t.Errorf("answer = %d %v %+v, want 405 and the methods allowed", g.status, g.header, f)
	}
	if g.header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type = %q, want JSON", g.header.Get("Content-Type"))
	}
}

func TestRoutesFollowTheCatalog(t *testing.T) {
	n := start(t, script(named))
	get := func(path string) int { return n.send("GET", path, "", "Authorization", "").status }
	if s := get("/a"); s != 404 {
		t.Errorf("before the deploy: %d, want 404", s)
	}
	n.deploy("f", route("web", "GET", "/a"))
	if s := get("/a"); s != 200 {
		t.Errorf("after the deploy: %d, want 200 at once", s)
	}
	n.deploy("f", route("web", "GET", "/b"))
	if a, b := get("/a"), get("/b"); a != 404 || b != 200 {
		t.Errorf("after the second version: /a %d, /b %d, want 404 and 200", a, b)
	}
	if _, err := n.catalog.Submit(t.Context(), catalog.Pause{Function: "f", Trigger: "web", Paused: true}); err != nil {
		t.Fatal(err)
	}
	if s := get("/b"); s != 404 {
		t.Errorf("while paused: %d, want 404", s)
	}
	if _, err := n.catalog.Submit(t.Context(), catalog.Pause{Function: "f", Trigger: "web"}); err != nil {
		t.Fatal(err)
	}
	if s := get("/b"); s != 200 {
		t.Errorf("after it goes on: %d, want 200", s)
	}
	if _, err := n.catalog.Submit(t.Context(), catalog.Remove{Function: "f"}); err != nil {
		t.Fatal(err)
	}
	if s := get("/b"); s != 404 {
		t.Errorf("after the removal: %d, want 404", s)
	}
}

// TestRoutesThatConflict: two nodes can accept conflicting routes at the same moment; the gateway must outlive it.
func TestRoutesThatConflict(t *testing.T) {
	n := start(t, script(named))
	n.deploy("a", route("web", "GET", "/x/{id}"))
	n.deploy("b", route("same", "GET", "/x/{other}"), route("malformed", "", "/y/{"), route("good", "", "/z"))
	if g := n.send("GET", "/x/1", "", "Authorization", ""); g.body != "a/web" {
		t.Errorf("GET /x/1 = %d %s, want the first by name", g.status, g.body)
	}
	if g := n.send("GET", "/z", "", "Authorization", ""); g.body != "b/good" {
		t.Errorf("GET /z = %d %s, want the route beside the bad ones", g.status, g.body)
	}
	for _, name := range []string{"same", "malformed"} {
		if !strings.Contains(n.said.String(), "trigger="+name) {
			t.Errorf("node's log = %s, want it to name trigger %s", n.said, name)
		}
	}
}

// TestConcurrentCallsAndDeploys is for the race detector, and counts: no call may be lost or mixed up.
func TestConcurrentCallsAndDeploys(t *testing.T) {
	n := start(t, script(mirror))
	n.deploy("f", route("web", "", "/f/{id}"))
	const clients, each = 8, 40
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("%d-%d", c, i)
				g := n.send("POST", "/f/"+body, body, "Authorization", "")
				if want := fmt.Sprintf("f||POST /f/%s /f/%s|%d %s|id=%s", body, body, len(body), body, body); g.status != 200 || g.body != want {
					t.Errorf("answer = %d %q, want %q", g.status, g.body, want)
				}
				if g := n.send("POST", "/_/events?type=a&id="+body, body); g.status != 202 {
					t.Errorf("event %s: %d %s", body, g.status, g.body)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 10 {
			n.deploy("f", route("web", "", "/f/{id}"), route("more", "", fmt.Sprintf("/g%d", i)))
		}
	})
	wg.Wait()
	ids := map[string]bool{}
	for _, q := range n.requests(clients * each) {
		ids[q.ID] = true
	}
	if len(ids) != clients*each {
		t.Errorf("record holds %d calls, want %d", len(ids), clients*each)
	}
	if es := n.events("events"); len(es) != clients*each {
		t.Errorf("topic events holds %d, want %d", len(es), clients*each)
	}
	n.holdsNothing(t)
}
