package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// provider is an issuer on loopback whose keys a test changes.
type provider struct {
	*httptest.Server

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	name     string // what it calls itself; "" = its address
	down     bool
	redirect bool // of the keys
	asked    int  // for keys
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		name := p.name
		if name == "" {
			name = p.URL
		}
		json.NewEncoder(w).Encode(map[string]string{"issuer": name, "jwks_uri": p.URL + "/keys"})
	case p.redirect && r.URL.Path == "/keys":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	default:
		p.asked++
		all := jose.JSONWebKeySet{}
		for _, k := range p.keys {
			all.Keys = append(all.Keys, k.Public())
		}
		json.NewEncoder(w).Encode(all)
	}
}

func (p *provider) set(change func(*provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *provider) newKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: k, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}
	p.set(func(p *provider) { p.keys = append(p.keys, key) })
	return key
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// good is what a token of p claims at a time; with changes, of which nil takes one away.
func (p *provider) good(now time.Time, changes map[string]any) map[string]any {
	claims := map[string]any{"iss": p.URL, "aud": "dalamb", "exp": now.Add(time.Minute).Unix(), "sub": "ann"}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func TestATokenIsHeldToItsIssuerAudienceAndTime(t *testing.T) {
	p, now := newProvider(t), time.Now()
	key := p.newKey(t, "one")
	stranger := newProvider(t).newKey(t, "one")
	i := New(Options{Issuer: p.URL, Audience: []string{"other", "dalamb"}})
	plain := func(head string) string {
		body, _ := json.Marshal(p.good(now, nil))
		return base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
	}
	public, err := key.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token   string
		refused bool
		expired bool
	}{
		"good":                         {token: signed(t, jose.ES256, key, p.good(now, nil))},
		"one audience of several":      {token: signed(t, jose.ES256, key, p.good(now, map[string]any{"aud": []string{"x", "other"}}))},
		"a clock that is a little off": {token: signed(t, jose.ES256, key, p.good(now, map[string]any{"exp": now.Add(-clockLeeway / 2).Unix()}))},
		"expired":                      {signed(t, jose.ES256, key, p.good(now, map[string]any{"exp": now.Add(-2 * clockLeeway).Unix()})), true, true},
		"without an end":               {signed(t, jose.ES256, key, p.good(now, map[string]any{"exp": nil})), true, false},
		"not yet":                      {signed(t, jose.ES256, key, p.good(now, map[string]any{"nbf": now.Add(2 * clockLeeway).Unix()})), true, false},
		"another audience":             {signed(t, jose.ES256, key, p.good(now, map[string]any{"aud": "shop"})), true, false},
		"no audience":                  {signed(t, jose.ES256, key, p.good(now, map[string]any{"aud": nil})), true, false},
		"another issuer":               {signed(t, jose.ES256, key, p.good(now, map[string]any{"iss": p.URL + "/"})), true, false},
		"a stranger's key of that id":  {signed(t, jose.ES256, stranger, p.good(now, nil)), true, false},
		"the public key as a secret":   {signed(t, jose.HS256, append(public, make([]byte, 32)...), p.good(now, nil)), true, false},
		"not signed":                   {plain(`{"alg":"none"}`), true, false},
		"not signed, but says so":      {plain(`{"alg":"ES256","kid":"one"}`), true, false},
		"too long":                     {signed(t, jose.ES256, key, p.good(now, map[string]any{"x": strings.Repeat("x", maxToken)})), true, false},
		"no token":                     {"ann", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			claims, err := i.Verify(t.Context(), c.token)
			var refused *Refused
			if c.refused != errors.As(err, &refused) || c.refused && refused.Expired != c.expired {
				t.Fatalf("Verify = %v, %v; want refused %v, expired %v", claims, err, c.refused, c.expired)
			}
			if !c.refused && (err != nil || claims["sub"] != "ann") {
				t.Errorf("Verify = %v, %v; want ann", claims, err)
			}
		})
	}
}

func TestAnIssuerIsBelievedWhenItIsTheOneThatWasNamed(t *testing.T) {
	for name, change := range map[string]func(*provider){
		"calls itself another":   func(p *provider) { p.name = "https://elsewhere.example" },
		"sends to another place": func(p *provider) { p.redirect = true },
		"is away":                func(p *provider) { p.down = true },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			key := p.newKey(t, "one")
			p.set(change)
			_, err := New(Options{Issuer: p.URL, Audience: []string{"dalamb"}}).Verify(t.Context(), signed(t, jose.ES256, key, p.good(time.Now(), nil)))
			var refused *Refused
			if err == nil || errors.As(err, &refused) {
				t.Errorf("Verify = %v, want that the keys cannot be had", err)
			}
		})
	}
}

// TestKeysAreAskedForAgainInTime follows an issuer that changes its key and then goes away.
func TestKeysAreAskedForAgainInTime(t *testing.T) {
	p, now := newProvider(t), time.Now()
	i := New(Options{Issuer: p.URL, Audience: []string{"dalamb"}, Now: func() time.Time { return now }})
	verify := func(what string, key jose.JSONWebKey, good bool, asked int) {
		t.Helper()
		_, err := i.Verify(t.Context(), signed(t, jose.ES256, key, p.good(now, nil)))
		p.set(func(p *provider) {
			if (err == nil) != good || p.asked != asked {
				t.Errorf("%s: Verify = %v after %d fetches, want good %v after %d", what, err, p.asked, good, asked)
			}
		})
	}
	old := p.newKey(t, "old")
	verify("the first token", old, true, 1)
	verify("the second", old, true, 1)
	p.set(func(p *provider) { p.keys = nil })
	young := p.newKey(t, "young")
	verify("a new key at once", young, false, 1)
	now = now.Add(keysPause)
	verify("a new key after the pause", young, true, 2)
	verify("the key that is gone", old, false, 2)
	now = now.Add(keysAge)
	verify("keys that are old", young, true, 3)
	p.set(func(p *provider) { p.down = true })
	now = now.Add(keysAge)
	verify("old keys of an issuer that is away", young, true, 3)
}
