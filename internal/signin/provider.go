package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// How a provider is asked.
const (
	askTimeout = 10 * time.Second
	// askPause is how long a provider that did not answer is not asked who it is again, whoever comes.
	askPause = 10 * time.Second
)

// Options of New. All but Scopes and Now are required.
type Options struct {
	Issuer string
	Client string // client_id
	Scopes []string
	Now    func() time.Time
}

// Provider is an OpenID provider and what this installation is called there. Safe for concurrent use.
type Provider struct {
	o      Options
	client *http.Client
	turn   chan struct{} // holds a value while a request asks who the provider is

	mu    sync.Mutex
	known *oidc.Provider
	tried time.Time
	err   error // of the last try
}

// New asks nobody: the first sign-in does.
func New(o Options) *Provider {
	if o.Now == nil {
		o.Now = time.Now
	}
	// A redirect could lead from https to anywhere.
	client := &http.Client{Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Provider{o: o, client: client, turn: make(chan struct{}, 1)}
}

// Pending is a sign-in that has begun. The browser keeps it, sealed.
type Pending struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Callback string `json:"c"` // the redirect URI
	Return   string `json:"r"` // where the browser wanted to go
	Until    int64  `json:"u"` // Unix seconds
}

// Refusal is what came of a sign-in that the provider, or its token, did not make good: it is for who signs in, and nobody's fault here.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// Begin is where a browser goes to sign in, and what it has to bring back.
func (p *Provider) Begin(ctx context.Context, callback string) (Pending, string, error) {
	known, err := p.discover(ctx)
	if err != nil {
		return Pending{}, "", err
	}
	b := Pending{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Callback: callback}
	c := p.config(known, "", callback)
	return b, c.AuthCodeURL(b.State, oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier)), nil
}

func (p *Provider) config(known *oidc.Provider, secret, callback string) *oauth2.Config {
	at := known.Endpoint()
	if secret == "" { // a public client, which says its name alone: RFC 6749, section 3.2.1
		at.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: p.o.Client, ClientSecret: secret, Endpoint: at, RedirectURL: callback,
		Scopes: append([]string{oidc.ScopeOpenID}, p.o.Scopes...),
	}
}

// SignedIn is who has signed in.
type SignedIn struct {
	Claims map[string]any
	Token  string // the ID token that says so
}

// Finish takes what the browser brings from the provider, and says who signed in. An error that is no Refusal says that it could not be found out.
func (p *Provider) Finish(ctx context.Context, b Pending, secret string, brought url.Values) (SignedIn, error) {
	text, err := p.exchange(ctx, b, secret, brought)
	if err != nil {
		return SignedIn{}, err
	}
	claims, err := p.verify(ctx, text, b.Nonce)
	return SignedIn{Claims: claims, Token: text}, err
}

// exchange gets the ID token for what the browser brings. Nothing of it is verified.
func (p *Provider) exchange(ctx context.Context, b Pending, secret string, brought url.Values) (string, error) {
	if subtle.ConstantTimeCompare([]byte(brought.Get("state")), []byte(b.State)) != 1 {
		return "", &Refusal{"the sign-in is another one than this browser has begun"}
	}
	if iss := brought.Get("iss"); iss != "" && iss != p.o.Issuer { // RFC 9207
		return "", &Refusal{"the answer is another issuer's"}
	}
	if said := brought.Get("error"); said != "" {
		return "", &Refusal{"the issuer did not sign you in: " + word(said)}
	}
	code := brought.Get("code")
	if code == "" {
		return "", &Refusal{"the issuer's answer has no code"}
	}
	known, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	limited = oidc.ClientContext(limited, p.client)
	token, err := p.config(known, secret, b.Callback).Exchange(limited, code, oauth2.VerifierOption(b.Verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
			return "", &Refusal{"the issuer does not know this sign-in any more"}
		}
		return "", fmt.Errorf("exchange the code with %s: %w", p.o.Issuer, err)
	}
	text, ok := token.Extra("id_token").(string)
	if !ok {
		return "", fmt.Errorf("exchange the code with %s: there is no ID token in its answer", p.o.Issuer)
	}
	return text, nil
}

// signatures are the algorithms that an ID token may be signed with: public keys alone. RFC 8725, section 3.1.
func signatures() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}
}

// verify checks an ID token: OpenID Connect Core 1.0, section 3.1.3.7.
func (p *Provider) verify(ctx context.Context, text, nonce string) (map[string]any, error) {
	known, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), askTimeout)
	defer cancel()
	v := known.Verifier(&oidc.Config{ClientID: p.o.Client, SupportedSigningAlgs: signatures(), Now: p.o.Now})
	token, err := v.Verify(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("verify the ID token of %s: %w", p.o.Issuer, err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return nil, &Refusal{"the issuer's token is of another sign-in"}
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return nil, fmt.Errorf("read the ID token of %s: %w", p.o.Issuer, err)
	}
	if azp, said := claims["azp"]; said && azp != p.o.Client || !said && len(token.Audience) > 1 {
		return nil, &Refusal{"the issuer's token is for another service"}
	}
	return claims, nil
}

// End is where a browser goes to be signed out at the provider too; "" = it does not say, or is not known yet.
func (p *Provider) End() string {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	var about struct {
		End string `json:"end_session_endpoint"`
	}
	if known == nil || known.Claims(&about) != nil {
		return ""
	}
	u, err := url.Parse(about.End)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.o.Client)
	u.RawQuery = q.Encode()
	return u.String()
}

// discover finds out where the provider has what, once; one request at a time asks.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	if known, err := p.state(); known != nil || err != nil {
		return known, err
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("discover issuer %s: %w", p.o.Issuer, ctx.Err())
	}
	defer func() { <-p.turn }()
	if known, err := p.state(); known != nil || err != nil { // another request has asked meanwhile
		return known, err
	}
	// Its keys are fetched later, by way of this context; so it has no end, and the client has a time-out.
	known, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.o.Issuer)
	if err == nil {
		if e := known.Endpoint(); strings.HasPrefix(p.o.Issuer, "https://") && !(strings.HasPrefix(e.AuthURL, "https://") && strings.HasPrefix(e.TokenURL, "https://")) {
			known, err = nil, errors.New("not all of it is at https")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known, p.tried, p.err = known, p.o.Now(), err
	if err != nil {
		p.err = fmt.Errorf("discover issuer %s: %w", p.o.Issuer, err)
	}
	return known, p.err
}

// state is what is known, or that it could not be had a moment ago; neither = ask.
func (p *Provider) state() (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil && p.err != nil && p.o.Now().Sub(p.tried) < askPause {
		return nil, p.err
	}
	return p.known, nil
}

// word leaves of what the provider said what an error code of OAuth 2.0 can be.
func word(s string) string {
	if len(s) > 64 || len(s) == 0 {
		return "an error"
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && c != '_' {
			return "an error"
		}
	}
	return s
}
