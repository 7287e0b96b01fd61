package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestTheRoutesAsOneDocument(t *testing.T) {
	dir := codeOf(t, map[string]string{"openapi.yaml": orders})
	n := start(t, says("ran"), shows(map[string]string{"sha256:00": dir}))
	protected := route("files", "GET", "/files/{name}")
	protected.Route.Auth = &function.Auth{JWT: &function.JWTAuth{Issuer: "https://id.example", Audience: []string{"a"}}}
	protected.Route.Limit = &function.RateLimit{Rate: function.Rate{Count: 1, Per: time.Second}}
	n.deploy("shop", documented(function.RouteValidate{Requests: true}))
	n.deploy("files", protected)
	n.deploy("staging.shop", route("home", "GET", "/staged"))

	get := func(host string) map[string]any {
		t.Helper()
		g := n.send("GET", openapiPath, "", "Host", host)
		var d struct {
			Paths, Components map[string]any
		}
		if err := json.Unmarshal([]byte(g.body), &d); err != nil || g.status != 200 || g.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v %s: %v", g.status, g.header, g.body, err)
		}
		for path := range d.Paths {
			if strings.HasPrefix(path, "/staged") != (host == "staging.example") {
				t.Errorf("%s is in the document of %s", path, host)
			}
		}
		return d.Paths
	}
	paths := get("example")
	text, _ := json.Marshal(paths["/files/{name}"])
	if want := `{"get":{"parameters":[{"in":"path","name":"name","required":true,"schema":{"type":"string"}}],"responses":{"401":{"$ref":"#/components/responses/dalamb_Error"},"429":{"$ref":"#/components/responses/dalamb_Error"},"default":{"description":"the function's answer"}},"security":[{"jwt":[]}],"x-dalamb":{"function":"files","route":"files"}}}`; string(text) != want {
		t.Errorf("a route without a document:\n%s, want\n%s", text, want)
	}
	if text, _ := json.Marshal(paths["/orders"]); !strings.Contains(string(text), `"name":"limit"`) || !strings.Contains(string(text), `"post"`) {
		t.Errorf("a route with one: %s", text)
	}
	get("staging.example")
	if only := string(n.OpenAPI("", "files")); strings.Contains(only, "/orders") || !strings.Contains(only, `"title":"files"`) {
		t.Errorf("of one function: %s", only)
	}
	for _, c := range []struct {
		method, token string
		status        int
	}{{"GET", "", 401}, {"GET", "Bearer wrong", 401}, {"HEAD", "Bearer " + testToken, 200}, {"POST", "Bearer " + testToken, 405}} {
		if g := n.send(c.method, openapiPath, "", "Authorization", c.token); g.status != c.status || c.status != 200 && strings.Contains(g.body, "/orders") {
			t.Errorf("%s with the token %q: %d %s, want %d", c.method, c.token, g.status, g.body, c.status)
		}
	}
}
