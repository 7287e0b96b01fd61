package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// shown is a fleet whose functions answer with who they think calls them.
func shown(_ context.Context, c fleet.Call) (*function.Result, error) {
	h := c.Invocation.Request.Header
	text := fmt.Sprintf("%s %s, password %q", h.Get("Dalamb-Auth-Type"), h.Get("Dalamb-Auth-Id"), h.Get("Authorization"))
	return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(text)}, nil
}

func guarded(auth *function.Auth, limit *function.RateLimit) function.Trigger {
	t := route("r", "", "/x")
	t.Route.Auth, t.Route.Limit = auth, limit
	return t
}

// hold gives a gateway the secrets of a test, and a clock.
func hold(secrets map[string]string, now func() time.Time) func(*Options) {
	return func(o *Options) {
		o.Now = now
		o.Secret = func(name string) ([]byte, int64, error) {
			text, ok := secrets[name]
			if !ok {
				return nil, 0, fault.New(fault.NotFound, "no secret %s", name)
			}
			return []byte(text), int64(len(text)), nil
		}
	}
}

// deploySecrets tells the catalog of secrets, whose text is the test's own.
func (n *node) deploySecrets(names ...string) {
	n.t.Helper()
	for _, name := range names {
		if _, err := n.catalog.Submit(context.Background(), catalog.SetSecret{Name: name}); err != nil {
			n.t.Fatal(err)
		}
	}
}

func TestARouteWithATokenTakesThoseThatItNames(t *testing.T) {
	n := start(t, script(shown))
	for name, token := range map[string]string{"partner": "p-token", "other": "o-token"} {
		if _, err := n.catalog.Submit(context.Background(), catalog.AddToken{Name: name, Hash: sha256.Sum256([]byte(token))}); err != nil {
			t.Fatal(err)
		}
	}
	n.deploy("f", guarded(&function.Auth{Token: &function.TokenAuth{Names: []string{"partner"}}}, nil))
	for _, c := range []struct {
		header []string
		status int
		body   string
	}{
		{[]string{"Authorization", "Bearer p-token"}, 200, `api_key partner, password ""`},
		{[]string{"Authorization", "bearer p-token"}, 200, `api_key partner, password ""`},
		{[]string{"Authorization", "Bearer p-token", "Dalamb-Auth-Id", "boss", "Dalamb-Auth-Type", "user"}, 200, `api_key partner, password ""`},
		{[]string{"Authorization", "Bearer o-token"}, 401, "none that this route takes"},
		{[]string{"Authorization", "Bearer " + testToken}, 401, "none that this route takes"},
		{[]string{"Authorization", "Basic p-token"}, 401, "none that this route takes"},
		{[]string{"Authorization", ""}, 401, "wants a token"},
	} {
		g := n.send("GET", "/x", "", c.header...)
		if g.status != c.status || !strings.Contains(g.body, c.body) {
			t.Errorf("%q: answer = %d %s, want %d with %s", c.header, g.status, g.body, c.status, c.body)
		}
		if challenge := g.header.Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(challenge, `Bearer realm="f"`) {
			t.Errorf("%q: WWW-Authenticate = %q", c.header, challenge)
		}
	}
	n.requests(3)
	for _, e := range n.events(function.TopicRequests) {
		if e.Extensions[event.ExtAuthType] != "api_key" || e.Extensions[event.ExtAuthID] != "partner" {
			t.Errorf("the record says %v of who called, want partner by a key", e.Extensions)
		}
	}
}

func TestNobodyPretendsToBeSomebodyOnAnOpenRoute(t *testing.T) {
	n := start(t, script(shown))
	n.deploy("f", guarded(nil, nil))
	for _, path := range []string{"/x", "/_/fn/f"} {
		g := n.send("GET", path, "", "Dalamb-Auth-Id", "boss", "Dalamb-Auth-Type", "user")
		if g.body != ` , password ""` {
			t.Errorf("%s: the function was told %s", path, g.body)
		}
	}
}

func TestARouteWithPasswords(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"users": "# who may\n\nalice:" + string(hash) + "\n:" + string(hash) + "\nbroken\n"}
	n := start(t, script(shown), hold(secrets, nil))
	n.deploySecrets("users")
	n.deploy("f", guarded(&function.Auth{Basic: &function.BasicAuth{Users: "users", Realm: "the shop"}}, nil))
	send := func(user, password string) got {
		req, err := http.NewRequest("GET", n.url+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(user, password)
		return n.do(req)
	}
	for range 2 { // computed, then remembered
		if g := send("alice", "open sesame"); g.status != 200 || g.body != `user alice, password ""` {
			t.Errorf("the right password: %d %s", g.status, g.body)
		}
	}
	for _, c := range [][2]string{{"alice", "open"}, {"alice", ""}, {"bob", "open sesame"}, {"", "open sesame"}, {"# who may", ""}, {"broken", ""}, {"alice", strings.Repeat("x", 100)}} {
		g := send(c[0], c[1])
		if g.status != 401 || g.header.Get("WWW-Authenticate") != `Basic realm="the shop", charset="UTF-8"` || strings.Contains(g.body, "alice") {
			t.Errorf("%q: answer = %d %s %v, want 401 and the same words for all", c, g.status, g.body, g.header)
		}
	}
	long := strings.Repeat("x", 72)
	if hash, err = bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost); err != nil {
		t.Fatal(err)
	}
	secrets["users"] = "alice:" + string(hash)
	if g := send("alice", long+"y"); g.status != 401 {
		t.Errorf("a password that is right as far as bcrypt looks: %d, want 401", g.status)
	}
	secrets["users"] = "bob:" + string(hash)
	if g := send("alice", "open sesame"); g.status != 401 {
		t.Errorf("a user who is not there any more: %d, want 401", g.status)
	}
	delete(secrets, "users")
	if g := send("bob", long); g.status != 503 || !strings.Contains(n.said.String(), "no secret users") {
		t.Errorf("without the secret: %d, want 503, and the reason in the log", g.status)
	}
}

func TestARouteWithASignature(t *testing.T) {
	const body, key = `{"n":1}`, "k3y"
	now := time.Unix(1_800_000_000, 0)
	sign := func(text string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	long := hmac.New(sha512.New, []byte(key))
	long.Write([]byte(body))
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	plain := &function.SignatureAuth{Secret: "key", Header: "X-Sig", Prefix: "sha256="}
	timed := &function.SignatureAuth{Secret: "key", Header: "X-Sig", Timestamp: "X-At"}
	big := &function.SignatureAuth{Secret: "key", Header: "X-Sig", Hash: function.HashSHA512}
	for _, c := range []struct {
		name   string
		rule   *function.SignatureAuth
		header []string
		status int
	}{
		{"right", plain, []string{"X-Sig", "sha256=" + sign(body)}, 200},
		{"in capitals", plain, []string{"X-Sig", "sha256=" + strings.ToUpper(sign(body))}, 200},
		{"in base64", big, []string{"X-Sig", base64.StdEncoding.EncodeToString(long.Sum(nil))}, 200},
		{"of another body", plain, []string{"X-Sig", "sha256=" + sign(body+" ")}, 401},
		{"without its prefix", plain, []string{"X-Sig", sign(body)}, 401},
		{"empty", plain, []string{"X-Sig", "sha256="}, 401},
		{"cut", plain, []string{"X-Sig", "sha256=" + sign(body)[:32]}, 401},
		{"of another hash", big, []string{"X-Sig", sign(body)}, 401},
		{"none", plain, nil, 401},
		{"with its time", timed, []string{"X-At", at(0), "X-Sig", sign(at(0) + "." + body)}, 200},
		{"with a time not long ago", timed, []string{"X-At", at(-5 * time.Minute), "X-Sig", sign(at(-5*time.Minute) + "." + body)}, 200},
		{"sent again later", timed, []string{"X-At", at(-6 * time.Minute), "X-Sig", sign(at(-6*time.Minute) + "." + body)}, 401},
		{"of the future", timed, []string{"X-At", at(6 * time.Minute), "X-Sig", sign(at(6*time.Minute) + "." + body)}, 401},
		{"with another time", timed, []string{"X-At", at(time.Second), "X-Sig", sign(at(0) + "." + body)}, 401},
		{"without a time", timed, []string{"X-Sig", sign("." + body)}, 401},
		{"with words for a time", timed, []string{"X-At", "now", "X-Sig", sign("now." + body)}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, script(shown), hold(map[string]string{"key": key + "\n"}, func() time.Time { return now }))
			n.deploySecrets("key")
			n.deploy("f", guarded(&function.Auth{Signature: c.rule}, nil))
			g := n.send("POST", "/x", body, c.header...)
			if g.status != c.status || c.status == 200 && g.body != `api_key key, password ""` {
				t.Errorf("answer = %d %s, want %d", g.status, g.body, c.status)
			}
		})
	}
}

// TestALimitHoldsEachClient spends bursts, waits, and deploys something in between: what is spent stays spent.
func TestALimitHoldsEachClient(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	n := start(t, script(named), hold(nil, func() time.Time { return now }))
	n.deploy("f", guarded(nil, &function.RateLimit{Rate: function.Rate{Count: 60, Per: time.Minute}, Burst: 2, By: function.LimitByHeader, Header: "X-Key"}))
	expect := func(key string, status int, limit string) {
		t.Helper()
		g := n.send("GET", "/x", "", "X-Key", key)
		if g.status != status || g.header.Get("RateLimit") != limit || g.header.Get("RateLimit-Policy") != `"r";q=2;w=2` {
			t.Errorf("%s: answer = %d, RateLimit %s, policy %s; want %d, %s", key, g.status, g.header.Get("RateLimit"), g.header.Get("RateLimit-Policy"), status, limit)
		}
		if retry := g.header.Get("Retry-After"); (status == 429) != (retry == "1") {
			t.Errorf("%s: Retry-After = %q at status %d", key, retry, status)
		}
	}
	expect("a", 200, `"r";r=1;t=1`)
	n.deploy("another", route("other", "", "/other"))
	expect("a", 200, `"r";r=0;t=2`)
	expect("a", 429, `"r";r=0;t=2`)
	expect("b", 200, `"r";r=1;t=1`)
	now = now.Add(time.Second)
	expect("a", 200, `"r";r=0;t=2`)
	expect("a", 429, `"r";r=0;t=2`)
	if g := n.send("GET", "/_/fn/f", ""); g.status != 200 || g.header.Get("RateLimit") != "" {
		t.Errorf("by name: %d, RateLimit %q; want 200 and no limit", g.status, g.header.Get("RateLimit"))
	}
}

// TestABurstThatTakesAgesToFillHoldsToo has a bucket that is full again after a hundred thousand years.
func TestABurstThatTakesAgesToFillHoldsToo(t *testing.T) {
	l := newRateLimit("r", &function.RateLimit{Rate: function.Rate{Count: 1, Per: time.Hour}, Burst: 1e9})
	now := time.Unix(1_800_000_000, 0)
	h := http.Header{}
	for range 2 {
		l.take(client{}, now, h)
	}
	if got := h.Get("RateLimit"); !strings.HasPrefix(got, `"r";r=999999998;`) {
		t.Errorf("after two requests RateLimit = %s, want two less than the burst", got)
	}
}

func TestWhoAClientIs(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"192.0.2.1:1", "192.0.2.1:2"}, {"[::ffff:192.0.2.1]:1", "192.0.2.1:2"}, {"[2001:db8::1]:1", "[2001:db8::2:3:4]:1"}, {"[fe80::1%eth0]:1", "[fe80::2%eth1]:1"},
	} {
		if clientNetwork(c.a) != clientNetwork(c.b) {
			t.Errorf("%s and %s are two clients: %s, %s", c.a, c.b, clientNetwork(c.a), clientNetwork(c.b))
		}
	}
	if a, b := clientNetwork("[2001:db8:0:1::1]:1"), clientNetwork("[2001:db8::1]:1"); a == b {
		t.Errorf("two networks are one client: %s", a)
	}
	who := func(by function.LimitBy, id *function.Identity) client {
		l := newRateLimit("r", &function.RateLimit{Rate: function.Rate{Count: 1, Per: time.Second}, By: by})
		return l.client(&Call{Identity: id, Request: &http.Request{RemoteAddr: "192.0.2.1:1", Header: http.Header{}}})
	}
	alice, again, key := &function.Identity{Type: "user", ID: "alice"}, &function.Identity{Type: "user", ID: "alice"}, &function.Identity{Type: "api_key", ID: "alice"}
	if who(function.LimitByIdentity, alice) == who(function.LimitByIdentity, key) || who(function.LimitByIdentity, alice) != who(function.LimitByIdentity, again) {
		t.Error("a user and a key of one name are one client, or a user is two")
	}
	if who(function.LimitByRoute, alice) != who(function.LimitByRoute, key) {
		t.Error("by route there are two clients")
	}
}

func TestPagesOfOtherOrigins(t *testing.T) {
	own := http.Header{"Access-Control-Allow-Origin": {"*"}, "Vary": {"Accept"}}
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: own, Body: []byte("x")}, nil
	}))
	get, put, open := route("get", "GET", "/x"), route("put", "PUT", "/x"), route("open", "", "/open")
	get.Route.CORS = &function.CORS{Origins: []string{"https://shop.example", "https://*.shop.example"}, Headers: []string{"X-Key"}, Expose: []string{"X-Seen"}, Credentials: true, MaxAge: function.Duration(time.Minute)}
	get.Route.Limit = &function.RateLimit{Rate: function.Rate{Count: 3, Per: time.Hour}}
	n.deploy("f", get, put, open)
	own.Set("X-Own", "1")
	const page = "https://shop.example"
	ask := func(path, origin, method, field string) got {
		return n.send("OPTIONS", path, "", "Authorization", "", "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", field)
	}
	for _, c := range []struct {
		name, origin, method, field string
		allowed                     bool
	}{
		{"a page of the shop", page, "GET", "x-key", true},
		{"a page below it", "https://m.shop.example", "GET", "", true},
		{"another's page", "https://evil.example", "GET", "", false},
		{"a page that looks like it", "https://shop.example.evil.example", "GET", "", false},
		{"by plain http", "http://shop.example", "GET", "", false},
		{"with another field", page, "GET", "x-other", false},
	} {
		g := ask("/x", c.origin, c.method, c.field)
		if g.status != 204 || (g.header.Get("Access-Control-Allow-Origin") == c.origin) != c.allowed || g.header.Get("Vary") == "" {
			t.Errorf("%s asks: answer = %d %v, want 204, allowed %v", c.name, g.status, g.header, c.allowed)
		}
		if c.allowed && (g.header.Get("Access-Control-Max-Age") != "60" || g.header.Get("Access-Control-Allow-Credentials") != "true") {
			t.Errorf("%s asks: answer = %v", c.name, g.header)
		}
	}
	if g := ask("/x", page, "PUT", ""); g.status != 405 || g.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("asked of a route without rules: %d %v, want 405 and no permission", g.status, g.header)
	}
	if g := ask("/open", page, "GET", ""); g.status != 200 || g.body != "x" {
		t.Errorf("asked of a route that takes OPTIONS itself: %d %s, want the function's answer", g.status, g.body)
	}

	all := route("all", "", "/all")
	all.Route.CORS = &function.CORS{Origins: []string{page}}
	n.deploy("g", all)
	if g := n.send("OPTIONS", "/all", "", "Access-Control-Request-Method", "GET"); g.status != 204 || g.header.Get("X-Own") != "" {
		t.Errorf("a question of no page: %d %v, want 204 and no call", g.status, g.header)
	}
	if g := n.send("OPTIONS", "/all", ""); g.status != 200 || g.header.Get("X-Own") != "1" {
		t.Errorf("OPTIONS that is no question: %d %v, want the function's answer", g.status, g.header)
	}

	call := func(origin string) got { return n.send("GET", "/x", "", "Authorization", "", "Origin", origin) }
	g := call(page)
	if vary := g.header.Values("Vary"); g.status != 200 || len(vary) != 2 || len(g.header.Values("Access-Control-Allow-Origin")) != 1 || g.header.Get("Access-Control-Allow-Origin") != page || g.header.Get("Access-Control-Expose-Headers") != "X-Seen" {
		t.Errorf("a call by the page: %d %v; want it allowed by the route's rules, and what both say it varies with", g.status, g.header)
	}
	if g := call("https://evil.example"); g.status != 200 || g.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a call by another's page: %v; the function's own permission must not hold", g.header)
	}
	call(page)
	if g := call(page); g.status != 429 || g.header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("a refused call: %d %v; want 429, which the page may read", g.status, g.header)
	}
	if g := n.send("GET", "/open", ""); g.header.Get("Access-Control-Allow-Origin") != "*" || len(g.header.Values("Vary")) != 1 {
		t.Errorf("without rules the function's own hold; answer = %v", g.header)
	}
}
