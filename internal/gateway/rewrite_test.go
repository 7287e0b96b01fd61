package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestRedirects: a client is sent where the route says, and by no request elsewhere.
func TestRedirects(t *testing.T) {
	n := start(t, says("the function ran"))
	to := func(name, path, to string, status int) function.Trigger {
		t := route(name, "", path)
		t.Route.Redirect = &function.Redirect{To: to, Status: status}
		return t
	}
	n.deploy("f", to("a", "/old/{path...}", "/{path...}", 0), to("b", "/item/{id}", "https://shop.example/i/{id}", 301), to("c", "/q", "/new?fixed=1", 308))
	for _, c := range []struct {
		path, want string
		status     int
	}{
		{"/old/a/b?x=1&y", "/a/b?x=1&y", 307},
		{"/old/a%20b/%C3%A9", "/a%20b/%C3%A9", 307},
		{"/old/%2Fevil.example/x", "", 400},
		{"/old/x/%2e%2e/y", "", 400},
		{"/item/%2e%2e", "", 400},
		{"/old/%5Cevil.example", "/%5Cevil.example", 307},
		{"/old/x%0d%0aSet-Cookie:a", "/x%0D%0ASet-Cookie:a", 307},
		{"/old/", "/", 307},
		{"/item/7", "https://shop.example/i/7", 301},
		{"/item/7%2f8%3f", "https://shop.example/i/7%2F8%3F", 301},
		{"/q?x=1", "/new?fixed=1", 308},
	} {
		g := n.send("POST", c.path, "body", "Authorization", "")
		if g.status != c.status || g.header.Get("Location") != c.want || (g.body != "") != (c.status == 400) {
			t.Errorf("%s = %d to %q %s, want %d to %q", c.path, g.status, g.header.Get("Location"), g.body, c.status, c.want)
		}
	}
	if len(n.records(function.TopicRequests)) != 0 {
		t.Error("a redirect is in the record of calls")
	}
}

// TestTheFunctionSeesAnotherRequest: the record has the one that the client sent.
func TestTheFunctionSeesAnotherRequest(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		r := c.Invocation.Request
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte(r.Host + " " + r.RequestURI + " " + r.URL.Path + "?" + r.URL.RawQuery)}, nil
	}))
	as := func(name, path string, w function.Rewrite) function.Trigger {
		t := route(name, "", path)
		t.Route.Rewrite = &w
		return t
	}
	n.deploy("f",
		as("a", "/api/v1/{path...}", function.Rewrite{StripPrefix: "/api/v1"}),
		as("b", "/item/{id}", function.Rewrite{Path: "/v2/{id}/view", Host: "inner.example"}),
		as("c", "/api/v1", function.Rewrite{StripPrefix: "/api/v1"}),
	)
	for path, want := range map[string]string{
		"/api/v1/x/y?q=1": "a.example /x/y?q=1 /x/y?q=1",
		"/api/v1/":        "a.example / /?",
		"/api/v1":         "a.example / /?",
		"/%61pi/v1/x%2Fy": "a.example /x%2Fy /x/y?",
		"/item/7%2F8":     "inner.example /v2/7%2F8/view /v2/7/8/view?",
		"/item/a%3Fb":     "inner.example /v2/a%3Fb/view /v2/a?b/view?",
	} {
		if g := n.send("GET", path, "", "Host", "a.example"); g.status != 200 || g.body != want {
			t.Errorf("GET %s: the function saw %d %s, want %s", path, g.status, g.body, want)
		}
	}
	if g := n.send("GET", "/item/%2e%2e", ""); g.status != 400 {
		t.Errorf("a path that climbs out of the route's: %d %s, want 400", g.status, g.body)
	}
	for _, q := range n.requests(6) {
		if !strings.HasPrefix(q.Path, "/api/") && !strings.HasPrefix(q.Path, "/%61pi/") && !strings.HasPrefix(q.Path, "/item/") {
			t.Errorf("the record says %s, want what the client wrote", q.Path)
		}
	}
}

// TestARouteTakesBodiesOfSoManyBytes, whether they say how long they are or not, and asks nobody to send more.
func TestARouteTakesBodiesOfSoManyBytes(t *testing.T) {
	small := route("small", "", "/small")
	small.Route.Body = &function.BodyLimit{Max: 10}
	taken := func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		up, is := c.Invocation.Request.Body.(function.Upload)
		if !is {
			return mirror(ctx, c)
		}
		up.Open()
		b, err := io.ReadAll(up)
		if err != nil {
			return &function.Result{Outcome: function.Failed, Abandoned: true}, nil
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: b}, nil
	}
	for name, f := range map[string]Fleet{"whole": script(mirror), "as it comes": taking(taken)} {
		t.Run(name, func(t *testing.T) {
			n := start(t, f)
			n.deploy("f", small, route("large", "", "/large"))
			for _, c := range []struct {
				path   string
				size   int
				hidden bool
				status int
			}{
				{"/small", 10, false, 200}, {"/small", 10, true, 200}, {"/small", 11, false, 413}, {"/small", 11, true, 413}, {"/small", 100_000, true, 413}, {"/large", 11, true, 200},
			} {
				var body io.Reader = strings.NewReader(strings.Repeat("x", c.size))
				if c.hidden {
					body = io.MultiReader(body)
				}
				req, err := http.NewRequest("POST", n.url+c.path, body)
				if err != nil {
					t.Fatal(err)
				}
				if g := n.do(req); g.status != c.status || c.status == 413 && !strings.Contains(g.fault(t).Message, "10 bytes") {
					t.Errorf("%s: %d bytes, length hidden %v: %d %s, want %d", c.path, c.size, c.hidden, g.status, g.body, c.status)
				}
			}
			if g := n.raw(t, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"); g.status != 413 {
				t.Errorf("who asks first: %d, want 413", g.status)
			}
			n.holdsNothing(t)
		})
	}
}
