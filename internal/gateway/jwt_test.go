package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dalamb/dalamb/internal/function"
)

// signer is an issuer of tokens that listens on loopback.
type signer struct {
	t     *testing.T
	url   string
	keys  map[string]any // key id -> private key
	asked atomic.Int64   // for its keys
	sick  atomic.Bool
	hang  atomic.Pointer[chan struct{}] // until it is closed nothing is answered
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{t: t, keys: map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.url, s.url+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		if hang := s.hang.Load(); hang != nil {
			<-*hang
		}
		if s.sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		set := map[string][]any{"keys": {map[string]any{"kty": "of the future", "kid": "k0"}, "no key"}}
		for id, k := range s.keys {
			one := jose.JSONWebKey{Key: k, KeyID: id, Use: "sig"}
			set["keys"] = append(set["keys"], one.Public())
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *signer) rsa(id string) *rsa.PrivateKey {
	s.t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys[id] = k
	return k
}

// sign makes a token with a key that the issuer may or may not have shown.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	g, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := g.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestARouteWithAJSONWebToken(t *testing.T) {
	s := newSigner(t)
	key := s.rsa("k1")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.keys["k2"] = curve
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	n := start(t, script(shown), hold(nil, func() time.Time { return now }))
	n.deploy("f", guarded(&function.Auth{JWT: &function.JWTAuth{Issuer: s.url, Audience: []string{"api", "app"}, Claims: map[string]string{"role": "admin", "level": "3"}}}, nil))

	good := map[string]any{"iss": s.url, "aud": []string{"x", "api"}, "sub": "ann", "exp": now.Unix() + 60, "role": []string{"user", "admin"}, "level": 3}
	with := func(change map[string]any) map[string]any {
		c := maps.Clone(good)
		for k, v := range change {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	public, err := json.Marshal(key.N.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	raw := base64.RawURLEncoding
	body := raw.EncodeToString(mustJSON(t, good))
	for _, c := range []struct {
		name, token string
		status      int
		says        string
	}{
		{"right", sign(t, jose.RS256, key, "k1", good), 200, `user ann, password ""`},
		{"by a curve", sign(t, jose.ES256, curve, "k2", good), 200, "ann"},
		{"without a key's name", sign(t, jose.ES256, curve, "", good), 200, "ann"},
		{"a role in words", sign(t, jose.RS256, key, "k1", with(map[string]any{"role": "user admin"})), 200, "ann"},
		{"just over, by another clock", sign(t, jose.RS256, key, "k1", with(map[string]any{"exp": now.Unix() - 20})), 200, "ann"},
		{"expired", sign(t, jose.RS256, key, "k1", with(map[string]any{"exp": now.Unix() - 60})), 401, "has expired"},
		{"for ever", sign(t, jose.RS256, key, "k1", with(map[string]any{"exp": nil})), 401, "none that this route takes"},
		{"of the future", sign(t, jose.RS256, key, "k1", with(map[string]any{"nbf": now.Unix() + 60})), 401, "none that this route takes"},
		{"issued in the future", sign(t, jose.RS256, key, "k1", with(map[string]any{"iat": now.Unix() + 60})), 401, "none that this route takes"},
		{"of another issuer", sign(t, jose.RS256, key, "k1", with(map[string]any{"iss": "https://id.example"})), 401, "none that this route takes"},
		{"for another audience", sign(t, jose.RS256, key, "k1", with(map[string]any{"aud": "shop"})), 401, "none that this route takes"},
		{"for nobody", sign(t, jose.RS256, key, "k1", with(map[string]any{"aud": nil})), 401, "none that this route takes"},
		{"another's key by this one's name", sign(t, jose.RS256, other, "k1", good), 401, "none that this route takes"},
		{"another's key by a name of its own", sign(t, jose.RS256, other, "k9", good), 401, "none that this route takes"},
		{"the public key as a password", sign(t, jose.HS256, public, "k1", good), 401, "none that this route takes"},
		{"unsigned", raw.EncodeToString([]byte(`{"alg":"none"}`)) + "." + body + ".", 401, "none that this route takes"},
		{"no token", "abc", 401, "none that this route takes"},
		{"a giant", strings.Repeat("a", 20<<10), 401, "none that this route takes"},
		{"of nobody", sign(t, jose.RS256, key, "k1", with(map[string]any{"sub": nil})), 401, "whose it is"},
		{"without the role", sign(t, jose.RS256, key, "k1", with(map[string]any{"role": "administrator"})), 403, "what this route wants of role"},
		{"of another level", sign(t, jose.RS256, key, "k1", with(map[string]any{"level": 30})), 403, "what this route wants of level"},
	} {
		g := n.send("GET", "/x", "", "Authorization", "Bearer "+c.token)
		if g.status != c.status || !strings.Contains(g.body, c.says) {
			t.Errorf("%s: answer = %d %s, want %d with %s", c.name, g.status, g.body, c.status, c.says)
		}
		if challenge := g.header.Get("WWW-Authenticate"); (c.status != 200) != strings.HasPrefix(challenge, `Bearer realm="f", error="`) {
			t.Errorf("%s: WWW-Authenticate = %q", c.name, challenge)
		}
	}
	if g := n.send("GET", "/x", "", "Authorization", ""); g.status != 401 || g.header.Get("WWW-Authenticate") != `Bearer realm="f"` {
		t.Errorf("without a token: %d %v", g.status, g.header)
	}
	if got := s.asked.Load(); got != 1 {
		t.Errorf("the issuer was asked for its keys %d times, want once in half a minute", got)
	}

	// The issuer changes its keys, then goes away: what it said last holds.
	next := s.rsa("k3")
	now = now.Add(time.Minute)
	renewed := with(map[string]any{"exp": now.Unix() + 1e6})
	if g := n.send("GET", "/x", "", "Authorization", "Bearer "+sign(t, jose.RS256, next, "k3", renewed)); g.status != 200 {
		t.Errorf("a new key: %d %s, want 200", g.status, g.body)
	}
	s.sick.Store(true)
	now = now.Add(2 * time.Hour)
	if g := n.send("GET", "/x", "", "Authorization", "Bearer "+sign(t, jose.RS256, next, "k3", renewed)); g.status != 200 {
		t.Errorf("a known key of an issuer that is away: %d %s, want 200", g.status, g.body)
	}
}

func TestARouteWhoseIssuerIsAwayStaysClosed(t *testing.T) {
	s := newSigner(t)
	key := s.rsa("k1")
	s.sick.Store(true)
	now := time.Unix(1_800_000_000, 0)
	n := start(t, script(shown), hold(nil, func() time.Time { return now }))
	n.deploy("f", guarded(&function.Auth{JWT: &function.JWTAuth{Issuer: s.url, Audience: []string{"api"}}}, nil))
	token := "Bearer " + sign(t, jose.RS256, key, "k1", map[string]any{"iss": s.url, "aud": "api", "sub": "ann", "exp": now.Unix() + 600})
	for range 3 {
		if g := n.send("GET", "/x", "", "Authorization", token); g.status != 503 || !strings.Contains(n.said.String(), "status 500") {
			t.Errorf("answer = %d %s, want 503, and why in the log: %s", g.status, g.body, n.said)
		}
	}
	if got := s.asked.Load(); got != 1 {
		t.Errorf("the issuer was asked %d times, want once in half a minute", got)
	}
	s.sick.Store(false)
	now = now.Add(time.Minute)
	if g := n.send("GET", "/x", "", "Authorization", token); g.status != 200 {
		t.Errorf("when it is back: %d %s, want 200", g.status, g.body)
	}
}

// TestAnIssuerThatHangsHoldsUpNobodyWhoseKeyIsKnown asks for keys that have become old.
func TestAnIssuerThatHangsHoldsUpNobodyWhoseKeyIsKnown(t *testing.T) {
	s := newSigner(t)
	key := s.rsa("k1")
	var clock atomic.Int64
	clock.Store(1_800_000_000)
	n := start(t, script(shown), hold(nil, func() time.Time { return time.Unix(clock.Load(), 0) }))
	n.deploy("f", guarded(&function.Auth{JWT: &function.JWTAuth{Issuer: s.url, Audience: []string{"api"}}}, nil))
	token := "Bearer " + sign(t, jose.RS256, key, "k1", map[string]any{"iss": s.url, "aud": "api", "sub": "ann", "exp": clock.Load() + 1e6})
	if g := n.send("GET", "/x", "", "Authorization", token); g.status != 200 {
		t.Fatalf("the first token: %d %s", g.status, g.body)
	}
	hang := make(chan struct{})
	s.hang.Store(&hang)
	clock.Add(7200)
	asks := make(chan got)
	go func() { asks <- n.send("GET", "/x", "", "Authorization", token) }()
	for s.asked.Load() < 2 {
		select {
		case g := <-asks:
			t.Fatalf("the keys are old, and nobody asked for them: %d %s", g.status, g.body)
		case <-time.After(time.Millisecond):
		}
	}
	if g := n.send("GET", "/x", "", "Authorization", token); g.status != 200 {
		t.Errorf("while the issuer is asked: %d %s, want 200", g.status, g.body)
	}
	close(hang)
	if g := <-asks; g.status != 200 {
		t.Errorf("the one who asks: %d %s, want 200", g.status, g.body)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
