package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/kubernetes"
	"github.com/dalamb/dalamb/internal/wire"
)

// cluster is a real Kubernetes API with a namespace, and an account there that may read the endpoints in it.
type cluster struct {
	t *testing.T
	*kubernetes.API
}

const shopSlices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t, need.Kubernetes(t)}
	c.do("POST", "/api/v1/namespaces", `{"metadata":{"name":"shop"}}`)
	c.do("POST", "/api/v1/namespaces/shop/serviceaccounts", `{"metadata":{"name":"dalamb"}}`)
	c.do("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles", `{"metadata":{"name":"dalamb"},"rules":[{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list","watch"]}]}`)
	c.do("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings", `{"metadata":{"name":"dalamb"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"dalamb"},"subjects":[{"kind":"ServiceAccount","name":"dalamb"}]}`)
	return c
}

// do asks the API as its administrator.
func (c *cluster) do(method, path, body string) []byte {
	c.t.Helper()
	var sent any
	if body != "" {
		sent = json.RawMessage(body)
	}
	said, err := c.Call(c.t.Context(), method, path, sent)
	if err != nil {
		c.t.Fatal(err)
	}
	return said
}

// account is a new token of the account, which holds until forget is called.
func (c *cluster) account(name string) (token string, forget func()) {
	c.t.Helper()
	c.do("POST", "/api/v1/namespaces/shop/secrets", fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
	said := c.do("POST", "/api/v1/namespaces/shop/serviceaccounts/dalamb/token", fmt.Sprintf(`{"spec":{"expirationSeconds":3600,"boundObjectRef":{"kind":"Secret","apiVersion":"v1","name":%q}}}`, name))
	var got struct{ Status struct{ Token string } }
	if err := json.Unmarshal(said, &got); err != nil || got.Status.Token == "" {
		c.t.Fatalf("a token: %v in %s", err, said)
	}
	return got.Status.Token, func() {
		c.t.Helper()
		c.do("DELETE", "/api/v1/namespaces/shop/secrets/"+name, "")
	}
}

// slice is the text of an EndpointSlice of the service search.
func (c *cluster) slice(name, server string, ready bool) string {
	c.t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf(`{"metadata":{"name":%q,"labels":{"kubernetes.io/service-name":"search"}},"addressType":"IPv4","endpoints":[{"addresses":[%q],"conditions":{"ready":%t},"zone":"a"}],
		"ports":[{"name":"http","protocol":"TCP","port":%s},{"name":"metrics","protocol":"TCP","port":9}]}`, name, host, ready, port)
}

// answering is a server at an address of the machine, which is not loopback, that says its name.
func answering(t *testing.T, name string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(need.Address(t).String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) }))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

// answers are those that some requests in a row get, each once.
func (n *node) answers(path string) string {
	n.t.Helper()
	var all []string
	for range 4 {
		res, err := http.Get(n.gateway + path)
		if err != nil {
			n.t.Fatal(err)
		}
		said, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			n.t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			said = fmt.Append(nil, res.StatusCode)
		}
		all = append(all, string(said))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// upstream is how the node sees those of a route.
func (n *node) upstream(route string) wire.Upstream {
	n.t.Helper()
	all, err := n.client.Upstreams(n.t.Context(), "shop")
	if err != nil {
		n.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(u wire.Upstream) bool { return u.Route == route })
	if i < 0 {
		n.t.Fatalf("no upstream of %s in %+v", route, all)
	}
	return all[i]
}

// TestServersAreEndpointsInKubernetes: a real API is followed by the node's own account and by a token in a secret, while slices come, go and are not ready, the API
// is killed, and the tokens change.
func TestServersAreEndpointsInKubernetes(t *testing.T) {
	t.Parallel()
	one, two, three := answering(t, "one"), answering(t, "two"), answering(t, "three")
	c := newCluster(t)
	first, forget := c.account("first")
	account := directory(t, map[string]string{"token": first + "\n", "ca.crt": string(c.CA)})
	n := start(t, t.TempDir(), "kubernetes.url="+c.URL, "kubernetes.account="+account)
	if _, err := n.client.SetSecret(t.Context(), "kube", []byte(first)); err != nil {
		t.Fatal(err)
	}
	ca, err := json.Marshal(string(c.CA))
	if err != nil {
		t.Fatal(err)
	}
	n.deploy(directory(t, map[string]string{"f.sh": ""}), fmt.Sprintf(`
name: shop
code: .
entry: {type: stdio, command: [/bin/sh, f.sh]}
triggers:
  - {name: own, route: {path: /own, upstream: {kubernetes: {service: search, namespace: shop, port: http}}}}
  - {name: named, route: {path: /named, upstream: {kubernetes: {service: search, namespace: shop, port: http, url: "%s", token: kube, ca: %s}}}}
  - {name: denied, route: {path: /denied, upstream: {kubernetes: {service: kubernetes}}}}
  - {name: unsaid, route: {path: /unsaid, upstream: {kubernetes: {service: search, namespace: shop}}}}
`, c.URL, ca))
	both := func(want string) {
		t.Helper()
		for _, path := range []string{"/own", "/named"} {
			got := ""
			until(t, path+" to be answered by "+want, func() bool {
				was := got
				if got = n.answers(path); got != was {
					t.Logf("%s is answered by %s", path, got)
				}
				return got == want
			})
		}
	}
	lost := func(want string) {
		t.Helper()
		for _, route := range []string{"own", "named"} {
			until(t, route+" to be lost: "+want, func() bool {
				why := n.upstream(route).Lost
				return (why == "") == (want == "") && strings.Contains(why, want)
			})
		}
	}
	both("503")
	until(t, "what is denied to be told", func() bool {
		return strings.Contains(n.upstream("denied").Lost, `cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "default"`)
	})

	c.do("POST", shopSlices, c.slice("a", one, true))
	both("one")
	c.do("POST", shopSlices, c.slice("b", two, true))
	both("one two")
	until(t, "the port that is not said to be told", func() bool {
		return strings.Contains(n.upstream("unsaid").Lost, "does not have one port of TCP but http ")
	})
	c.do("PUT", shopSlices+"/a", c.slice("a", one, false))
	both("two")
	if s := n.upstream("own").Servers; len(s) != 2 || !slices.ContainsFunc(s, func(s wire.UpstreamServer) bool {
		return s.Address == "http://"+one && s.State == "unhealthy" && s.Reason == "it is not ready in Kubernetes"
	}) {
		t.Errorf("servers = %+v, want the one that is not ready", s)
	}
	c.do("PUT", shopSlices+"/a", c.slice("a", one, true))
	both("one two")
	c.do("DELETE", shopSlices+"/a", "")
	both("two")

	// What it named last holds while it is away, and while the token is over; a new token is found by itself, and all is followed on.
	second, _ := c.account("second")
	forget()
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	lost("Kubernetes")
	both("two")
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost("it answered 401 Unauthorized")
	both("two")
	if err := os.WriteFile(filepath.Join(account, "token"), []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.SetSecret(t.Context(), "kube", []byte(second)); err != nil {
		t.Fatal(err)
	}
	lost("")
	c.do("POST", shopSlices, c.slice("c", three, true))
	both("three two")
	c.do("DELETE", shopSlices+"/b", "")
	both("three")

	n.stop()
	for _, token := range []string{first, second} {
		if strings.Contains(n.log.String(), token) {
			t.Error("a token is in the node's log")
		}
	}
}
