package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func (n *node) alias(fn, alias string) {
	n.t.Helper()
	if _, err := n.catalog.Submit(context.Background(), catalog.Shift{Function: fn, Alias: function.Alias{Name: alias, Primary: 1}}); err != nil {
		n.t.Fatalf("shift: %v", err)
	}
}

func TestParseAddress(t *testing.T) {
	n := start(t, script(nil))
	n.deploy("pay")
	n.alias("pay", "preview/x/deep")
	n.alias("pay", "canary")
	view := n.catalog.View()
	for path, want := range map[string]address{
		"pay":                               {"pay", "", 0, "/"},
		"pay/":                              {"pay", "", 0, "/"},
		"pay/a:b/c":                         {"pay", "", 0, "/a:b/c"},
		"pay/a%2Fb":                         {"pay", "", 0, "/a%2Fb"},
		"pay:canary":                        {"pay", "canary", 0, "/"},
		"pay:canary/":                       {"pay", "canary", 0, "/"},
		"pay:canary/a/b":                    {"pay", "canary", 0, "/a/b"},
		"pay:3/a":                           {"pay", "", 3, "/a"},
		"pay:0":                             {"pay", "0", 0, "/"}, // no version, and no alias has such a name
		"pay:preview/x/deep":                {"pay", "preview/x/deep", 0, "/"},
		"pay:preview/x/deep/":               {"pay", "preview/x/deep", 0, "/"},
		"pay:preview/x/deep/a%20b":          {"pay", "preview/x/deep", 0, "/a%20b"},
		"pay:preview%2Fx%2Fdeep/a":          {"pay", "preview/x/deep", 0, "/a"},
		"pay%3Acanary/a":                    {"pay", "canary", 0, "/a"},
		"pay:preview/x":                     {"pay", "preview", 0, "/x"}, // there is none: the error names the first part
		"pay:preview//x/deep":               {"pay", "preview", 0, "//x/deep"},
		"pay:" + strings.Repeat("a/", 5000): {"pay", "a", 0, "/" + strings.Repeat("a/", 4999)},
	} {
		if got, err := parseAddress(view, path); err != nil || got != want {
			t.Errorf("parseAddress(%.60q) = %+v, %v, want %+v", path, got, err, want)
		}
	}
	for _, path := range []string{"", "/", "/a", "%zz", "pay:", ":0", ":canary"} {
		if got, err := parseAddress(view, path); fault.KindOf(err) != fault.Invalid {
			t.Errorf("parseAddress(%q) = %+v, %v, want invalid", path, got, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"pay", "pay/a", "pay:canary/a", "pay:3", "pay:preview%2Fx/a", ":0", "pay:a/b/c", "%2F:%2F/%2F"} {
		f.Add(seed)
	}
	n := start(f, script(nil))
	n.deploy("pay")
	n.alias("pay", "preview/x")
	view := n.catalog.View()
	f.Fuzz(func(t *testing.T, path string) {
		a, err := parseAddress(view, path)
		if err != nil {
			return
		}
		if a.function == "" || !strings.HasPrefix(a.path, "/") || a.alias != "" && a.version != 0 || !strings.HasSuffix(path, strings.TrimPrefix(a.path, "/")) {
			t.Errorf("parseAddress(%q) = %+v", path, a)
		}
	})
}

// calls remembers what the fleet was asked.
type calls struct {
	mu   sync.Mutex
	list []fleet.Call
}

func (c *calls) Invoke(_ context.Context, call fleet.Call) (*function.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, call)
	return &function.Result{Outcome: function.Succeeded, Status: 200}, nil
}

func (c *calls) last() fleet.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list[len(c.list)-1]
}

func TestARequestsKeyIsWhatTheRouteNames(t *testing.T) {
	c := &calls{}
	n := start(t, c)
	byCookie, byHeader := route("c", "GET", "/c"), route("h", "GET", "/h")
	byCookie.Route.Sticky, byHeader.Route.Sticky = &function.Sticky{Cookie: "sid"}, &function.Sticky{Header: "X-Customer"}
	n.deploy("pay", byCookie, byHeader, route("n", "GET", "/n"))
	for _, tc := range []struct {
		path   string
		header []string
		want   string
	}{
		{"/c", []string{"Cookie", "sid=s1"}, "s1"},
		{"/c", nil, ""},
		{"/c", []string{"Dalamb-Key", "k"}, ""}, // a route's clients have no say
		{"/h", []string{"X-Customer", "c1"}, "c1"},
		{"/n", []string{"Cookie", "sid=s1", "X-Customer", "c1"}, ""},
		{"/_/fn/pay", []string{"Dalamb-Key", "k"}, "k"},
		{"/_/fn/pay", []string{"Cookie", "sid=s1"}, ""},
	} {
		n.send("GET", tc.path, "", tc.header...)
		got := c.last()
		if got.Key != tc.want {
			t.Errorf("GET %s with %v: key %q, want %q", tc.path, tc.header, got.Key, tc.want)
		}
		if strings.HasPrefix(tc.path, fnPrefix) && got.Invocation.Request.Header.Get(keyHeader) != "" {
			t.Error("the function sees the header of the key")
		}
	}
}

func TestAPathAndAHeaderMayNotNameTwoAliases(t *testing.T) {
	c := &calls{}
	n := start(t, c)
	n.deploy("pay")
	n.alias("pay", "canary")
	for alias, status := range map[string]int{"canary": http.StatusOK, "live": http.StatusBadRequest} {
		if g := n.send("GET", "/_/fn/pay:canary/a", "", "Dalamb-Alias", alias); g.status != status {
			t.Errorf("with the header %s: status %d, want %d", alias, g.status, status)
		}
	}
	if g := n.send("GET", "/_/fn/pay:1/a", "", "Dalamb-Alias", "live"); g.status != http.StatusBadRequest {
		t.Errorf("a version and an alias: status %d, want 400", g.status)
	}
	if got := c.last(); got.Alias != "canary" || got.Invocation.Request.URL.Path != "/a" {
		t.Errorf("the call is %+v", got)
	}
}
