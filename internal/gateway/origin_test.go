package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/forwarded"
	"github.com/dalamb/dalamb/internal/function"
)

// located is a fleet whose functions answer with where they think the request comes from, and what it says of that itself.
func located(_ context.Context, c fleet.Call) (*function.Result, error) {
	r := c.Invocation.Request
	said := 0
	for name := range r.Header {
		if strings.Contains(name, "Forwarded") || name == "X-Real-Ip" {
			said++
		}
	}
	text := fmt.Sprintf("%s %s %s, said %d, id %s", r.RemoteAddr, r.URL.Scheme, r.Host, said, r.Header.Get("X-Request-Id"))
	return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"X-Request-Id": {"the function's own"}}, Body: []byte(text)}, nil
}

func TestWhoIsBelievedOnWhereARequestComesFrom(t *testing.T) {
	said := []string{
		"X-Forwarded-For", "198.51.100.7:99", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "Shop.example", "Forwarded", "for=127.0.0.1", "X-Real-Ip", "127.0.0.1",
		"X-Forwarded-Prefix", "/x", "X-Request-Id", "one-1", "Host", "inner.example",
	}
	loopback := forwarded.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, c := range []struct {
		name  string
		trust forwarded.Trust
		want  string
	}{
		{"nobody", forwarded.Trust{}, " http inner.example, said 0, id one-1"},
		{"another proxy", forwarded.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, " http inner.example, said 0, id one-1"},
		{"this one", loopback, "198.51.100.7:99 https shop.example, said 0, id one-1"},
	} {
		n := start(t, script(located), func(o *Options) { o.Proxies = c.trust })
		n.deploy("f", route("r", "", "/x"))
		g := n.send("GET", "/x", "", said...)
		if g.status != 200 || !strings.HasSuffix(g.body, c.want) {
			t.Errorf("%s: the function was told %q, want %q", c.name, g.body, c.want)
		}
		if remote := n.requests(1)[0].Remote; !strings.HasPrefix(g.body, remote) {
			t.Errorf("%s: the record has %q, the function %q", c.name, remote, g.body)
		}
	}
	n := start(t, script(located), func(o *Options) { o.Proxies = loopback })
	r := route("r", "", "/x")
	r.Route.Limit = &function.RateLimit{Rate: function.Rate{Count: 1, Per: time.Hour}}
	r.Route.Host = "shop.example"
	n.deploy("f", r)
	for from, want := range map[string]int{"198.51.100.1": 200, "198.51.100.2": 200, "127.0.0.9, 198.51.100.3": 200} {
		for _, status := range []int{want, 429} {
			if g := n.send("GET", "/x", "", "X-Forwarded-For", from, "X-Forwarded-Host", "shop.example"); g.status != status {
				t.Errorf("from %s: answer = %d, want %d", from, g.status, status)
			}
		}
	}
	if g := n.send("GET", "/x", "", "X-Forwarded-For", "198.51.100.4, 198.51.100.1", "X-Forwarded-Host", "shop.example"); g.status != 429 {
		t.Errorf("a client that says that it is another: answer = %d, want 429", g.status)
	}
}

// A program that makes variables of fields, as CGI does, takes both spellings for one.
func TestNoFieldIsLikeOneOfTheNodesButForAnUnderscore(t *testing.T) {
	names := script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		var with []string
		for name := range c.Invocation.Request.Header {
			if strings.Contains(name, "_") {
				with = append(with, name)
			}
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte(strings.Join(with, " "))}, nil
	})
	n := start(t, names)
	n.deploy("f", route("r", "", "/x"))
	g := n.send("GET", "/x", "", "Dalamb_Auth_Id", "root", "dalamb-auth_type", "user", "X_Forwarded_For", "10.0.0.1", "x_real_ip", "10.0.0.1", "X_Request_Id", "a", "My_Own", "kept")
	if g.status != 200 || g.body != "My_own" {
		t.Errorf("the function was told %q, want its own field alone", g.body)
	}
}

func TestACacheTellsSchemesApartAsTheFunctionDoes(t *testing.T) {
	n := start(t, script(located), func(o *Options) {
		o.Proxies = forwarded.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	})
	n.deploy("f", cached(function.Cache{TTL: minutes(1)}))
	for _, scheme := range []string{"http", "https"} {
		g := n.get("/x", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", scheme)
		if g.status != 200 || !strings.Contains(g.body, " "+scheme+" ") {
			t.Errorf("by %s: answer = %d %q, which is another scheme's", scheme, g.status, g.body)
		}
	}
}

func TestEveryRequestHasAnID(t *testing.T) {
	n := start(t, script(located))
	n.deploy("f", route("r", "", "/x"))
	for _, c := range []struct {
		given string
		kept  bool
	}{
		{"0190-aB_z.9:/+=@~", true},
		{strings.Repeat("a", maxRequestID), true},
		{"", false},
		{strings.Repeat("a", maxRequestID+1), false},
		{"a b", false},
		{`a"b`, false},
		{"<script>", false},
		{"ä", false},
	} {
		g := n.send("GET", "/x", "", "X-Request-Id", c.given)
		id := g.header.Get("X-Request-Id")
		if kept := id == c.given; kept != c.kept || len(g.header["X-Request-Id"]) != 1 || !validRequestID(id) {
			t.Errorf("%q: the answer says %q, want it kept: %v", c.given, g.header["X-Request-Id"], c.kept)
		}
		if !strings.HasSuffix(g.body, "id "+id) {
			t.Errorf("%q: the function was told %s, the client %s", c.given, g.body, id)
		}
	}
	for _, given := range []string{"", "mine"} { // the client's own is of its connection, and the node's is not
		g := n.send("GET", "/x", "", "X-Request-Id", given, "Connection", "X-Request-Id")
		if id := g.header.Get("X-Request-Id"); id == given || !strings.HasSuffix(g.body, "id "+id) {
			t.Errorf("Connection names the id %q: the answer has %q, the function said %s", given, id, g.body)
		}
	}
	if got := n.requests(1)[0].Header["X-Request-Id"]; len(got) != 1 || got[0] != "0190-aB_z.9:/+=@~" {
		t.Errorf("the record has the id %q", got)
	}
	for _, path := range []string{"/nowhere", "/_/health", "/_/events"} {
		if g := n.send("GET", path, "", "X-Request-Id", "mine"); g.header.Get("X-Request-Id") != "mine" {
			t.Errorf("%s: the answer, %d, has the id %q", path, g.status, g.header.Get("X-Request-Id"))
		}
	}
}
