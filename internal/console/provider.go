package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/signin"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	callbackPath = "/signin/callback"
	signinTime   = 10 * time.Minute // for a person at the provider
	// maxReturn bounds the page that a browser is led back to, in bytes: it is in a cookie meanwhile.
	maxReturn = 2 << 10
)

// Provider is an OpenID provider with which people sign in, and by which way.
type Provider struct {
	*signin.Provider
	Issuer string                 // its URL, for people
	Secret func() (string, error) // the client secret; "" = there is none
	Origin string                 // by which browsers reach this listener; "" = as they say
}

// host is what people know it by.
func (p *Provider) host() string {
	if u, err := url.Parse(p.Issuer); err == nil && u.Host != "" {
		return u.Host
	}
	return p.Issuer
}

// desk is what the console keeps for signing people in with a provider. A sign-in that has begun is in the browser, sealed for this process: sessions are
// of this process, too.
type desk struct {
	*Provider
	secret []byte
}

func newDesk(p *Provider) *desk {
	if p == nil {
		return nil
	}
	return &desk{Provider: p, secret: []byte(rand.Text() + rand.Text())}
}

func (d *desk) seal(r *http.Request) signin.Seal {
	return signin.Seal{Secret: d.secret, Purpose: "console sign-in", Place: r.Host}
}

// origin is the scheme and host that a browser has the console at.
func (d *desk) origin(r *http.Request) string {
	if d.Origin != "" {
		return d.Origin
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// waysOf is by which browsers come to a console where people sign in with a provider.
func waysOf(p *Provider) ways {
	return ways{secure: p != nil && strings.HasPrefix(p.Origin, "https://")}
}

// pendingCookie has a name of its own for each sign-in, so that two at a time do not end each other. It is sent when a browser comes from the provider,
// unlike the session's.
func (w ways) pendingCookie(r *http.Request, state, value string, lasts time.Duration) *http.Cookie {
	sum := sha256.Sum256([]byte(state))
	c := &http.Cookie{
		Name: cookieName + "-signin-" + hex.EncodeToString(sum[:8]), Value: value, Path: callbackPath, MaxAge: int(lasts.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: w.by(r),
	}
	if w.by(r) {
		c.Name = "__Secure-" + c.Name // RFC 6265bis, section 4.1.3.1
	}
	return c
}

// toProvider sends a browser to the provider. OpenID Connect Core 1.0, section 3.1.
func (c *Console) toProvider(w http.ResponseWriter, r *http.Request) {
	to := local(r.URL.Query().Get("to"))
	if c.desk == nil {
		c.refuse(w, to, fault.New(fault.NotFound, "no provider is configured here").WithHint("sign in with a token; docs/access.md says how signin.issuer is set"))
		return
	}
	origin := c.desk.origin(r)
	if u, err := url.Parse(origin); err != nil || u.Scheme != "https" && !onThisMachine(u.Host) {
		c.refuse(w, to, fault.New(fault.Denied, "people sign in by https alone").WithHint("give the node a certificate (docs/tls.md), or say signin.origin where something before it has one"))
		return
	}
	pending, at, err := c.desk.Begin(r.Context(), origin+callbackPath)
	if err != nil {
		c.refuse(w, to, c.unreachable(err))
		return
	}
	if pending.Return = to; len(to) > maxReturn {
		pending.Return = "/"
	}
	pending.Until = c.now().Add(signinTime).Unix()
	text, err := c.desk.seal(r).Close(pending)
	if err != nil {
		c.refuse(w, to, err)
		return
	}
	http.SetCookie(w, c.sessions.ways.pendingCookie(r, pending.State, text, signinTime))
	http.Redirect(w, r, at, http.StatusSeeOther)
}

// fromProvider takes a browser that comes back. The ID token is the session's token: the API says each time what it allows, and when it has ended.
func (c *Console) fromProvider(w http.ResponseWriter, r *http.Request) {
	pending, err := c.pending(r)
	if err != nil {
		c.refuse(w, "/", err)
		return
	}
	http.SetCookie(w, c.sessions.ways.pendingCookie(r, pending.State, "", -time.Second))
	secret, err := c.desk.Secret()
	if err != nil {
		c.refuse(w, pending.Return, c.unreachable(err))
		return
	}
	who, err := c.desk.Finish(r.Context(), pending, secret, r.URL.Query())
	if refusal, is := errors.AsType[*signin.Refusal](err); is {
		c.refuse(w, pending.Return, fault.New(fault.Denied, "%s", refusal.Reason).WithHint("sign in again"))
		return
	}
	if err != nil {
		c.refuse(w, pending.Return, c.unreachable(err))
		return
	}
	asked, err := c.client(who.Token)
	if err == nil {
		_, err = asked.Self(r.Context())
	}
	if err != nil {
		c.refuse(w, pending.Return, err)
		return
	}
	c.sessions.end(r)
	http.SetCookie(w, c.sessions.ways.cookie(r, c.sessions.begin(who.Token, true)))
	// The browser comes from another site, and would not send the cookie with what this answer leads it to; with what a page of this site leads to, it does.
	c.write(w, http.StatusOK, frame{Page: "signedin", Title: "Signed in", Next: pending.Return, Body: pending.Return})
}

// pending is the sign-in that a browser has begun here.
func (c *Console) pending(r *http.Request) (p signin.Pending, err error) {
	notBegun := fault.New(fault.Invalid, "this browser has not begun to sign in here, or took too long").WithHint("sign in again")
	if c.desk == nil {
		return p, notBegun
	}
	kept, err := r.Cookie(c.sessions.ways.pendingCookie(r, r.URL.Query().Get("state"), "", 0).Name)
	if err != nil || c.desk.seal(r).Open(kept.Value, &p) != nil || c.now().Unix() >= p.Until {
		return p, notBegun
	}
	return p, nil
}

// unreachable is what a person is told where the provider, or what it needs, cannot be had; the log says why.
func (c *Console) unreachable(err error) error {
	c.logger.Warn("people cannot sign in", "err", err)
	return fault.New(fault.Unavailable, "%s did not sign you in: it cannot be reached, or does not know this installation", c.desk.host()).WithHint("try again in a moment; the node's log says why")
}

// refuse shows the form with what was wrong.
func (c *Console) refuse(w http.ResponseWriter, to string, err error) {
	c.showSignIn(w, wire.Status(fault.KindOf(err)), signInPage{Error: err.Error(), Hint: fault.HintOf(err), To: to})
}

// onThisMachine says whether a host with a port is a loopback one, to which nobody listens in between.
func onThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
