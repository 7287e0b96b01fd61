package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// provider is an OpenID provider that signs with one key. People sign in at its page /authorize; see signin_test.go.
type provider struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	begun  map[string]url.Values // code -> what the browser was sent with
	people map[string]func() map[string]any
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, begun: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":%q,"token_endpoint":%q,"end_session_endpoint":%q,"id_token_signing_alg_values_supported":["ES256"]}`,
			p.url, p.url+"/keys", p.url+"/authorize", p.url+"/token", p.url+"/end")
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /end", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<!doctype html><p>bye") })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // another site than the node's
	return p
}

// sign makes a token; claims that are given are stronger than those of a good one.
func (p *provider) sign(key *ecdsa.PrivateKey, claims map[string]any) string {
	p.t.Helper()
	all := map[string]any{"iss": p.url, "aud": "dalamb", "sub": "jane", "exp": time.Now().Add(time.Hour).Unix()}
	for name, v := range claims {
		all[name] = v
	}
	g, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(all)
	if err != nil {
		p.t.Fatal(err)
	}
	signed, err := g.Sign(b)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// People of an OpenID provider may what their groups may, and the control log names them.
func TestPeopleSignInByTheirGroups(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	n := start(t, t.TempDir(), "signin.issuer="+p.url, "signin.client=dalamb", "signin.groups=Devs=viewer,Platform=admin,Acme=deployer@acme,AcmeOps=operator@acme,Beta=viewer@beta")
	control, _ := n.client.Address()
	ask := func(method, path, body, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, control+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const list, make = "GET /v1/tokens", "POST /v1/tokens"
	for _, c := range []struct {
		name, ask string
		token     string
		status    int
		says      string
	}{
		{"a viewer reads", list, p.sign(p.key, map[string]any{"groups": []string{"Devs"}}), 200, ""},
		{"a viewer changes", make, p.sign(p.key, map[string]any{"groups": []string{"Devs"}}), 403, "the user jane has the role viewer, which may not administer"},
		{"an admin changes", make, p.sign(p.key, map[string]any{"groups": []string{"other", "Devs", "Platform"}}), 201, "dle_"},
		{"a group as one word", list, p.sign(p.key, map[string]any{"groups": "Devs"}), 200, ""},
		{"who he is of an environment", "GET /v1/self", p.sign(p.key, map[string]any{"groups": []string{"Acme", "AcmeOps"}}), 200, `"role":"operator","environment":"acme"`},
		{"what is of the installation", list, p.sign(p.key, map[string]any{"groups": "Acme"}), 403, "is for environment acme, and this is of the whole installation"},
		{"what is another's", "GET /v1/topics/events", p.sign(p.key, map[string]any{"groups": "Acme"}), 404, "there is no such thing in this environment"},
		{"an environment and all", list, p.sign(p.key, map[string]any{"groups": []string{"AcmeOps", "Devs"}}), 200, ""},
		{"two environments", list, p.sign(p.key, map[string]any{"groups": []string{"Acme", "Beta"}}), 403, "is in groups for several environments (acme, beta)"},
		{"another case", list, p.sign(p.key, map[string]any{"groups": []string{"devs"}}), 403, "in no group that has a role here"},
		{"no group", list, p.sign(p.key, nil), 403, "in no group that has a role here"},
		{"groups that are none", list, p.sign(p.key, map[string]any{"groups": map[string]any{"Platform": true}}), 403, "in no group"},
		{"expired", list, p.sign(p.key, map[string]any{"groups": "Devs", "exp": time.Now().Add(-time.Hour).Unix()}), 401, "the token has expired"},
		{"for another service", list, p.sign(p.key, map[string]any{"groups": "Devs", "aud": "mail"}), 401, "none of the issuer's"},
		{"of another issuer", list, p.sign(p.key, map[string]any{"groups": "Devs", "iss": "https://evil.example"}), 401, "none of the issuer's"},
		{"of another key", list, p.sign(stranger, map[string]any{"groups": "Devs"}), 401, "none of the issuer's"},
		{"without an end", list, p.sign(p.key, map[string]any{"groups": "Devs", "exp": nil}), 401, "none of the issuer's"},
		{"of nobody", list, p.sign(p.key, map[string]any{"groups": "Devs", "sub": ""}), 401, "does not say whose it is"},
		{"of a line break", list, p.sign(p.key, map[string]any{"groups": "Devs", "sub": "jane\nnode"}), 401, "does not say whose it is"},
		{"of no algorithm", list, "eyJhbGciOiJub25lIn0.e30.", 401, ""},
		{"no token of the issuer's", list, "dle_x", 401, "missing or wrong"},
	} {
		method, path, _ := strings.Cut(c.ask, " ")
		if status, body := ask(method, path, `{"name":"made"}`, c.token); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, status, body, c.status, c.says)
		}
	}
	found := false
	for at, err := range n.client.Events(t.Context(), client.EventQuery{Topic: function.TopicControl}) {
		if err != nil {
			t.Fatal(err)
		}
		e := new(event.Event)
		if err := json.Unmarshal(at.Event, e); err != nil {
			t.Fatal(err)
		}
		if e.Type == event.TypeTokenCreated {
			found = e.Extensions[event.ExtAuthType] == "user" && e.Extensions[event.ExtAuthID] == "jane"
		}
	}
	if !found {
		t.Error("the control log does not say that the user jane made the token")
	}
}
