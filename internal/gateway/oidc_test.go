package gateway

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/forwarded"
	"github.com/dalamb/dalamb/internal/function"
)

const clientSecret = "a-client-secret-of-this-test"

// provider is an OpenID provider that listens on loopback: it gives codes to whom the test says, and tokens for codes.
type provider struct {
	*signer
	t    *testing.T
	key  *rsa.PrivateKey
	now  func() time.Time
	mu   sync.Mutex
	open map[string]url.Values // code -> what the browser was sent with
	wrap func(claims map[string]any) string
}

func newProvider(t *testing.T, now func() time.Time) *provider {
	t.Helper()
	p := &provider{signer: &signer{t: t, keys: map[string]any{}}, t: t, now: now, open: map[string]url.Values{}}
	p.key = p.rsa("k1")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if p.sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":%q,"token_endpoint":%q,"end_session_endpoint":%q,"id_token_signing_alg_values_supported":["RS256"]}`,
			p.url, p.url+"/keys", p.url+"/authorize", p.url+"/token", p.url+"/end")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		k := jose.JSONWebKey{Key: p.key.Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}
		text, err := k.MarshalJSON()
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"keys":[%s]}`, text)
	})
	mux.HandleFunc("POST /token", p.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// token exchanges a code, once, for who has the verifier and the client's secret.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	sent, ok := p.open[r.FormValue("code")]
	delete(p.open, r.FormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	w.Header().Set("Content-Type", "application/json")
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != sent.Get("code_challenge") || sent.Get("redirect_uri") != r.FormValue("redirect_uri") || id != "shop" || secret != clientSecret {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	now := p.now()
	claims := map[string]any{"iss": p.url, "aud": "shop", "sub": "alice", "groups": []string{"staff"}, "nonce": sent.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	text := ""
	if p.wrap != nil {
		text = p.wrap(claims)
	} else {
		text = sign(p.t, jose.RS256, p.key, "k1", claims)
	}
	fmt.Fprintf(w, `{"access_token":"x","token_type":"Bearer","expires_in":60,"id_token":%q}`, text)
}

// consent is what a person does at the provider: it gives the code with which the browser is sent back.
func (p *provider) consent(to string) (code string, sent url.Values) {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, p.url+"/authorize?") {
		p.t.Fatalf("the browser was sent to %q: %v", to, err)
	}
	code = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[code] = u.Query()
	return code, u.Query()
}

// browser keeps cookies, and follows nothing.
type browser struct {
	n       *node
	cookies map[string]string
	header  []string
}

func (n *node) browser(header ...string) *browser {
	return &browser{n: n, cookies: map[string]string{}, header: append([]string{"Authorization", "", "Accept", "text/html,*/*"}, header...)}
}

func (b *browser) open(method, path string) got {
	b.n.t.Helper()
	var line []string
	for name, value := range b.cookies {
		line = append(line, name+"="+value)
	}
	g := b.n.send(method, path, "", append(b.header, "Cookie", strings.Join(line, "; "))...)
	for _, c := range (&http.Response{Header: g.header}).Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != strings.HasPrefix(c.Name, "__") {
			b.n.t.Errorf("cookie %s", c.Raw)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return g
}

// signIn goes all the way, and returns the last answer.
func (b *browser) signIn(p *provider, path string) got {
	b.n.t.Helper()
	g := b.open("GET", path)
	if g.status != 303 {
		b.n.t.Fatalf("%s: answer = %d %s, want the way to the issuer", path, g.status, g.body)
	}
	code, sent := p.consent(g.header.Get("Location"))
	return b.open("GET", signinPath+"?"+url.Values{"code": {code}, "state": {sent.Get("state")}, "iss": {p.url}}.Encode())
}

func oidcRoute(p *provider, change func(*function.OIDCAuth)) function.Trigger {
	o := &function.OIDCAuth{Issuer: p.url, Client: "shop", Secret: "client", Scopes: []string{"email"}, Session: function.Duration(time.Hour)}
	if change != nil {
		change(o)
	}
	t := route("r", "", "/{rest...}")
	t.Route.Auth = &function.Auth{OIDC: o}
	return t
}

// signing starts a node whose routes people sign in for, with a clock.
func signing(t *testing.T, change ...func(*Options)) (*node, *provider, *time.Time) {
	t.Helper()
	now := new(time.Unix(1_800_000_000, 0))
	clock := func() time.Time { return *now }
	p := newProvider(t, clock)
	n := start(t, script(shown), append([]func(*Options){hold(map[string]string{"client": clientSecret + "\n"}, clock)}, change...)...)
	n.deploySecrets("client")
	return n, p, now
}

func TestPeopleSignIn(t *testing.T) {
	n, p, now := signing(t)
	n.deploy("f", oidcRoute(p, func(o *function.OIDCAuth) { o.Claims = map[string]string{"groups": "staff"} }))
	b := n.browser()
	g := b.open("GET", "/orders?page=2")
	_, sent := p.consent(g.header.Get("Location"))
	if sent.Get("client_id") != "shop" || sent.Get("scope") != "openid email" || sent.Get("code_challenge_method") != "S256" || sent.Get("redirect_uri") != n.url+"/_/signin" || sent.Get("nonce") == "" {
		t.Errorf("the issuer was asked with %v", sent)
	}
	if g.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the way to the issuer may be kept: %v", g.header)
	}
	g = b.signIn(p, "/orders?page=2")
	if g.status != 303 || g.header.Get("Location") != "/orders?page=2" {
		t.Fatalf("after the issuer: %d to %q %s, want back to the page", g.status, g.header.Get("Location"), g.body)
	}
	b.cookies["theme"] = "dark"
	if g = b.open("GET", "/orders?page=2"); g.status != 200 || g.body != `user alice, password ""` {
		t.Errorf("signed in: %d %s, want alice", g.status, g.body)
	}
	if g = b.open("POST", "/orders"); g.status != 200 {
		t.Errorf("a form of a page: %d %s", g.status, g.body)
	}
	if c := n.requests(2)[1].Header["Cookie"]; len(c) != 1 || c[0] != redactedValue {
		t.Errorf("the record has the cookies %q", c)
	}
	for _, header := range [][]string{{"Accept", "application/json"}, {"Sec-Fetch-Mode", "cors"}, {"Upgrade", "websocket", "Connection", "Upgrade"}} {
		if g := n.browser(header...).open("GET", "/orders"); g.status != 401 || !strings.HasPrefix(g.header.Get("WWW-Authenticate"), "Session") {
			t.Errorf("a script, %v: answer = %d %v, want 401", header, g.status, g.header)
		}
	}
	if g := n.browser().open("POST", "/orders"); g.status != 401 {
		t.Errorf("a form without a session: answer = %d, want 401", g.status)
	}
	if g := b.open("GET", signoutPath); g.status != 405 || len(b.cookies) < 2 {
		t.Errorf("signing out by a link: %d, want 405", g.status)
	}
	kept := maps.Clone(b.cookies)
	if g := b.open("POST", signoutPath); g.status != 303 || g.header.Get("Location") != p.url+"/end?client_id=shop" {
		t.Errorf("signing out: %d to %s", g.status, g.header.Get("Location"))
	}
	if g := b.open("GET", "/orders"); g.status != 303 {
		t.Errorf("signed out: %d, want the way to the issuer", g.status)
	}
	b.cookies = kept
	*now = now.Add(59 * time.Minute)
	if g := b.open("GET", "/orders"); g.status != 200 {
		t.Errorf("within the session's time: %d", g.status)
	}
	*now = now.Add(time.Minute)
	if g := b.open("GET", "/orders"); g.status != 303 {
		t.Errorf("after the session's time: %d, want the way to the issuer", g.status)
	}
}

func TestAFunctionGetsNoneOfTheSessionsCookies(t *testing.T) {
	n, p, _ := signing(t, func(o *Options) {
		o.Fleet = script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
			return ok(c.Function + " got " + strings.Join(c.Invocation.Request.Header["Cookie"], "|")), nil
		})
	})
	n.deploy("f", oidcRoute(p, nil))
	n.deploy("open", route("r", "", "/open"))
	n.deploy("attempts", attempted())
	b := n.browser()
	b.signIn(p, "/")
	b.cookies["theme"] = "dark"
	for path, name := range map[string]string{"/": "f", "/open": "open", "/attempts": "attempts"} {
		if g := b.open("POST", path); g.body != name+" got theme=dark" {
			t.Errorf("%s: answer = %d %s, want no cookie but theme", path, g.status, g.body)
		}
	}
	b.header = nil // with the node's token
	if g := b.open("POST", fnPrefix+"open"); g.body != "open got theme=dark" {
		t.Errorf("by name: answer = %d %s, want no cookie but theme", g.status, g.body)
	}
}

// attempted is a route whose function is asked with copies of a request.
func attempted() function.Trigger {
	t := route("r", "", "/attempts")
	t.Route.Fallback = &function.Fallback{Function: "open"}
	return t
}

func TestCookiesOfSessionsAreTakenOut(t *testing.T) {
	for given, want := range map[string]string{
		"dalamb-0011=a": "",
		"dalamb-console=a; __Host-dalamb-console=b":  "",
		"a=1; __Host-dalamb-0011=b; c=2":             "a=1; c=2",
		"__Secure-dalamb-signin-00=x;a=1":            "a=1",
		"a=dalamb-1; notdalamb-2=3":                  "a=dalamb-1; notdalamb-2=3",
		" dalamb-1 = x ;; dalamb-2=y; b=\"dalamb-\"": "; b=\"dalamb-\"",
	} {
		h := http.Header{"Cookie": {given}}
		if dropCookies(h); h.Get("Cookie") != want {
			t.Errorf("of %q the function gets %q, want %q", given, h.Get("Cookie"), want)
		}
	}
}

func TestBySecureWaysCookiesAreOfThisHostAlone(t *testing.T) {
	trust := func(o *Options) {
		o.Proxies = forwarded.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	}
	n, p, _ := signing(t, trust)
	n.deploy("f", oidcRoute(p, nil))
	by := func(host string) *browser {
		return n.browser("X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https", "X-Forwarded-Host", host)
	}
	b := by("shop.example")
	if g := b.signIn(p, "/"); g.status != 303 || g.header.Get("Location") != "/" {
		t.Fatalf("sign in: %d %s", g.status, g.body)
	}
	if len(b.cookies) != 1 {
		t.Errorf("kept: %v", b.cookies)
	}
	for name := range b.cookies {
		if !strings.HasPrefix(name, "__Host-dalamb-") {
			t.Errorf("the session's cookie is called %s", name)
		}
	}
	if g := b.open("GET", "/"); g.status != 200 {
		t.Errorf("signed in: %d", g.status)
	}
	other := by("evil.example")
	other.cookies = b.cookies
	if g := other.open("GET", "/"); g.status != 303 {
		t.Errorf("a session of another host: %d, want the way to the issuer", g.status)
	}
	plain := n.browser("X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "shop.example")
	if g := plain.open("GET", "/"); g.status != 403 || !strings.Contains(g.body, "https alone") {
		t.Errorf("by plain HTTP: %d %s, want 403", g.status, g.body)
	}
}

func TestSessionsThatAreNotThisRoutes(t *testing.T) {
	n, p, _ := signing(t)
	n.deploy("f", oidcRoute(p, nil))
	b := n.browser()
	b.signIn(p, "/")
	name, value := "", ""
	for name, value = range b.cookies {
	}
	try := func(n *node, name, value string) int {
		other := n.browser()
		other.cookies[name] = value
		return other.open("GET", "/").status
	}
	if got := try(n, name, value); got != 200 {
		t.Fatalf("the session itself: %d", got)
	}
	for what, forged := range map[string]string{
		"nothing": "", "no text": "%%%", "cut": value[:len(value)-2], "a bit more": value + "AA", "made up": base64.RawURLEncoding.EncodeToString([]byte(`{"w":"alice","u":9999999999}`)),
		"changed": value[:20] + string('A'+(value[20]-'A'+1)%26) + value[21:], "a book": strings.Repeat("A", 10<<10),
	} {
		if got := try(n, name, forged); got != 303 {
			t.Errorf("%s: %d, want the way to the issuer", what, got)
		}
	}
	// A sign-in that is pending is no session, whatever it is called.
	pending := n.browser()
	pending.open("GET", "/")
	for _, v := range pending.cookies {
		_, sealed, _ := strings.Cut(v, ".")
		if got := try(n, name, sealed); got != 303 {
			t.Errorf("a pending sign-in: %d, want the way to the issuer", got)
		}
	}
	// Nor is one of other settings, of another function, or of another installation, whose client secret is another.
	n.deploy("f", oidcRoute(p, func(o *function.OIDCAuth) { o.Claims = map[string]string{"groups": "admin"} }))
	fresh := n.browser()
	fresh.open("GET", "/")
	for _, v := range fresh.cookies {
		scope, _, _ := strings.Cut(v, ".")
		if got := try(n, "dalamb-"+scope, value); got != 303 {
			t.Errorf("a session of other settings: %d, want the way to the issuer", got)
		}
	}
	foreign, _, _ := signing(t, func(o *Options) {
		o.Secret = func(string) ([]byte, int64, error) { return []byte("another-client-secret"), 1, nil }
	})
	foreign.deploy("f", oidcRoute(p, nil))
	if got := try(foreign, name, value); got != 303 {
		t.Errorf("a session of another installation: %d, want the way to the issuer", got)
	}
}

func TestSignInsThatAreNotWhatTheySeem(t *testing.T) {
	n, p, now := signing(t)
	n.deploy("f", oidcRoute(p, func(o *function.OIDCAuth) { o.Claims = map[string]string{"groups": "staff"} }))
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs := func(change func(map[string]any)) func(map[string]any) string {
		return func(c map[string]any) string {
			change(c)
			return sign(t, jose.RS256, p.key, "k1", c)
		}
	}
	for what, c := range map[string]struct {
		wrap   func(map[string]any) string
		query  func(url.Values)
		status int
		body   string
	}{
		"the person says no":         {nil, func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, 403, "access_denied"},
		"an error with a script":     {nil, func(q url.Values) { q.Set("error", "<script>") }, 403, "did not sign you in: an error"},
		"no code":                    {nil, func(q url.Values) { q.Del("code") }, 403, "has no code"},
		"a code of nobody's":         {nil, func(q url.Values) { q.Set("code", "guess") }, 403, "does not know this sign-in"},
		"another issuer mixes in":    {nil, func(q url.Values) { q.Set("iss", "https://evil.example") }, 403, "another issuer's"},
		"another state":              {nil, func(q url.Values) { q.Set("state", rand.Text()) }, 400, "has not begun"},
		"no state":                   {nil, func(q url.Values) { q.Del("state") }, 400, "has not begun"},
		"the algorithm none":         {func(c map[string]any) string { return unsigned(t, c) }, nil, 503, "cannot check"},
		"another key":                {func(c map[string]any) string { return sign(t, jose.RS256, other, "k1", c) }, nil, 503, "cannot check"},
		"a shared key":               {func(c map[string]any) string { return sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), "k1", c) }, nil, 503, "cannot check"},
		"no token":                   {func(map[string]any) string { return "" }, nil, 503, "cannot check"},
		"another issuer's token":     {rs(func(c map[string]any) { c["iss"] = "https://evil.example" }), nil, 503, "cannot check"},
		"a token for another client": {rs(func(c map[string]any) { c["aud"] = "till" }), nil, 503, "cannot check"},
		"a token for several":        {rs(func(c map[string]any) { c["aud"] = []string{"shop", "till"} }), nil, 403, "for another service"},
		"authorized for another":     {rs(func(c map[string]any) { c["azp"] = "till" }), nil, 403, "for another service"},
		"a token that has expired":   {rs(func(c map[string]any) { c["exp"] = now.Unix() - 1 }), nil, 503, "cannot check"},
		"a token of another sign-in": {rs(func(c map[string]any) { c["nonce"] = "old" }), nil, 403, "of another sign-in"},
		"a token without a nonce":    {rs(func(c map[string]any) { delete(c, "nonce") }), nil, 403, "of another sign-in"},
		"not of the group":           {rs(func(c map[string]any) { c["groups"] = []string{"guests"} }), nil, 403, "of groups"},
		"nobody":                     {rs(func(c map[string]any) { c["sub"] = "" }), nil, 503, ""},
		"somebody with a line break": {rs(func(c map[string]any) { c["sub"] = "a\r\nb" }), nil, 403, "who you are"},
	} {
		p.wrap = c.wrap
		b := n.browser()
		code, sent := p.consent(b.open("GET", "/x").header.Get("Location"))
		q := url.Values{"code": {code}, "state": {sent.Get("state")}}
		if c.query != nil {
			c.query(q)
		}
		g := b.open("GET", signinPath+"?"+q.Encode())
		if c.status == 503 && c.body == "" {
			c.status = g.status // whether such a token is one is its verifier's to say; no session is what counts
		}
		if g.status != c.status || !strings.Contains(g.body, c.body) || g.header.Get("Location") != "" {
			t.Errorf("%s: answer = %d %s, want %d with %s", what, g.status, g.body, c.status, c.body)
		}
		if g := b.open("GET", "/x"); g.status != 303 {
			t.Errorf("%s: the browser is signed in", what)
		}
	}
	p.wrap = nil
	// A sign-in is of the browser that has begun it, is good once, and has its time.
	b, stranger := n.browser(), n.browser()
	code, sent := p.consent(b.open("GET", "/x").header.Get("Location"))
	back := signinPath + "?" + url.Values{"code": {code}, "state": {sent.Get("state")}}.Encode()
	if g := stranger.open("GET", back); g.status != 400 {
		t.Errorf("another browser: %d, want 400", g.status)
	}
	if g := b.open("GET", back); g.status != 303 {
		t.Errorf("the browser itself: %d", g.status)
	}
	if g := b.open("GET", back); g.status != 400 {
		t.Errorf("again: %d, want 400", g.status)
	}
	late := n.browser()
	code, sent = p.consent(late.open("GET", "/x").header.Get("Location"))
	*now = now.Add(signinTime)
	if g := late.open("GET", signinPath+"?"+url.Values{"code": {code}, "state": {sent.Get("state")}}.Encode()); g.status != 400 || !strings.Contains(g.body, "took too long") {
		t.Errorf("late: %d %s, want 400", g.status, g.body)
	}
}

// unsigned is a token of the algorithm none.
func unsigned(t *testing.T, claims map[string]any) string {
	t.Helper()
	signed := sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), "k1", claims)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(signed, ".")[1] + "."
}

func TestABrowserIsSentBackToThisHostAlone(t *testing.T) {
	for target, want := range map[string]string{
		"/":                             "/",
		"/orders?page=2&x=%2F":          "/orders?page=2&x=%2F",
		"/a%2Fb":                        "/a%2Fb",
		"//evil.example/":               "/",
		"/\\evil.example":               "/%5Cevil.example",
		"/%5Cevil.example":              "/%5Cevil.example",
		"/?to=https://evil.example":     "/?to=https://evil.example",
		"/" + strings.Repeat("a", 3000): "/",
		"http://evil.example/x":         "/x",
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		if got := returnTo(&http.Request{URL: u}); got != want {
			t.Errorf("%s: back to %s, want %s", target, got, want)
		}
	}
	n, p, _ := signing(t)
	n.deploy("f", oidcRoute(p, nil))
	if g := n.browser().signIn(p, "/%5Cevil.example/%2e%2e"); !strings.HasPrefix(g.header.Get("Location"), "/%5C") {
		t.Errorf("back to %s", g.header.Get("Location"))
	}
}

func TestAProviderThatIsNotThere(t *testing.T) {
	n, p, now := signing(t)
	n.deploy("f", oidcRoute(p, nil))
	p.sick.Store(true)
	if g := n.browser().open("GET", "/"); g.status != 503 || !strings.Contains(n.said.String(), "discover issuer") {
		t.Errorf("answer = %d %s, want 503 and a line in the log", g.status, g.body)
	}
	p.sick.Store(false)
	if g := n.browser().open("GET", "/"); g.status != 503 {
		t.Errorf("within the pause: %d, want 503", g.status)
	}
	*now = now.Add(time.Minute)
	if g := n.browser().open("GET", "/"); g.status != 303 {
		t.Errorf("once it is back: %d, want the way to it", g.status)
	}
	short, q, _ := signing(t, func(o *Options) { o.Secret = func(string) ([]byte, int64, error) { return []byte("short"), 1, nil } })
	short.deploy("f", oidcRoute(q, nil))
	if g := short.browser().open("GET", "/"); g.status != 503 || !strings.Contains(short.said.String(), "could be forged") {
		t.Errorf("with a short secret: %d, want 503 and a line in the log", g.status)
	}
}
