package gateway

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/signin"
)

// Paths of signing in and out, on every host.
const (
	signinPath  = "/_/signin"
	signoutPath = "/_/signout"
)

const (
	signinTime = 10 * time.Minute // for a person at the issuer
	maxReturn  = 2 << 10          // bytes of the URL that a browser is sent back to
	maxCookies = 4                // of one name that are looked at
)

// cookieName begins the names of all cookies of dalamb's; prefixes hold browsers to their rules: RFC 6265bis, section 4.1.3.
const cookieName = "dalamb-"

// desk signs people at browsers in. Routes of one function with the same settings share their sessions; no others do.
type desk struct {
	g        *Gateway
	rule     *function.OIDCAuth
	whose    string // the function
	scope    string // of a session, in hex
	provider *signin.Provider
}

func newDesk(g *Gateway, rule *function.OIDCAuth, whose string) *desk {
	text, err := json.Marshal(rule)
	if err != nil { // settings are what a manifest says
		panic(fmt.Sprintf("encode %T: %v", rule, err))
	}
	sum := sha256.Sum256([]byte(whose + "\x00" + string(text)))
	return &desk{
		g: g, rule: rule, whose: whose, scope: hex.EncodeToString(sum[:12]),
		provider: signin.New(signin.Options{Issuer: rule.Issuer, Client: rule.Client, Scopes: rule.Scopes, Now: g.now}),
	}
}

// session is what a signed-in browser keeps, sealed.
type session struct {
	Who   string `json:"w"`
	Until int64  `json:"u"` // Unix seconds
}

// admit finds out who sends a request, by its session. Without one a browser that opens a page is sent to the issuer: answered is true then.
func (d *desk) admit(x *exchange, r *http.Request) (who *function.Identity, answered bool, err error) {
	secret, err := d.secret()
	if err != nil {
		return nil, false, err
	}
	if s, ok := d.current(r, secret); ok {
		return &function.Identity{Type: function.AuthUser, ID: s.Who}, false, nil
	}
	if !opensPage(r) {
		return nil, false, refuse(x, `Session realm="`+d.whose+`"`, "this route wants somebody who has signed in").WithHint("open it in a browser, which is sent to %s", d.rule.Issuer)
	}
	return nil, true, d.begin(x, r, secret)
}

// secret is the client secret, by which sessions are sealed too.
func (d *desk) secret() ([]byte, error) {
	text, _, err := d.g.secret(d.rule.Secret)
	if err == nil {
		if text = []byte(strings.TrimRight(string(text), "\r\n")); len(text) < minClientSecret {
			err = fmt.Errorf("secret %s has fewer than %d characters: sessions that it seals could be forged", d.rule.Secret, minClientSecret)
		}
	}
	if err != nil {
		return nil, closed(d.whose, err)
	}
	return text, nil
}

// minClientSecret is the least that an issuer gives: RFC 6749, section 10.10, wants more.
const minClientSecret = 16

func (d *desk) seal(secret []byte, purpose string, r *http.Request) signin.Seal {
	return signin.Seal{Secret: secret, Purpose: purpose + " " + d.scope, Place: r.Host}
}

func (d *desk) current(r *http.Request, secret []byte) (session, bool) {
	all := r.CookiesNamed(sessionCookie(r, d.scope))
	for _, c := range all[:min(len(all), maxCookies)] {
		var s session
		if d.seal(secret, "session", r).Open(c.Value, &s) == nil && s.Who != "" && d.g.now().Unix() < s.Until {
			return s, true
		}
	}
	return session{}, false
}

// begin sends a browser to the issuer.
func (d *desk) begin(x *exchange, r *http.Request, secret []byte) error {
	if !secure(r) && !onThisMachine(r.Host) {
		return fault.New(fault.Denied, "this route signs people in by https alone").WithHint("open https://%s", r.Host)
	}
	pending, to, err := d.provider.Begin(r.Context(), r.URL.Scheme+"://"+r.Host+signinPath)
	if err != nil {
		return closed(d.whose, err)
	}
	pending.Return, pending.Until = returnTo(r), d.g.now().Add(signinTime).Unix()
	text, err := d.seal(secret, "sign-in", r).Close(pending)
	if err != nil {
		return err
	}
	c := d.cookie(r, signinCookie(r, pending.State), d.scope+"."+text, signinTime)
	c.Path = signinPath
	sendOn(x, to, c)
	return nil
}

// finish is called when a browser comes back from the issuer.
func (d *desk) finish(x *exchange, r *http.Request, sealed string) error {
	secret, err := d.secret()
	if err != nil {
		return err
	}
	var pending signin.Pending
	if d.seal(secret, "sign-in", r).Open(sealed, &pending) != nil || d.g.now().Unix() >= pending.Until {
		return errNotBegun()
	}
	done := d.cookie(r, signinCookie(r, pending.State), "", -time.Second)
	done.Path = signinPath
	http.SetCookie(x, done)
	signed, err := d.provider.Finish(r.Context(), pending, string(secret), r.URL.Query())
	if refused, is := errors.AsType[*signin.Refusal](err); is {
		return fault.New(fault.Denied, "%s", refused.Reason).WithHint("open the page again")
	}
	if err != nil {
		return closed(d.whose, err)
	}
	for name, want := range d.rule.Claims {
		if !claims(signed.Claims[name], want) {
			return fault.New(fault.Denied, "the issuer does not say what this route wants of %s", name)
		}
	}
	who, _ := signed.Claims[d.rule.IdentityClaim()].(string)
	if who == "" || !sayable(who) {
		return fault.New(fault.Denied, "the issuer does not say who you are").WithHint("its token has no claim %s", d.rule.IdentityClaim())
	}
	lasts := d.rule.Lasting()
	text, err := d.seal(secret, "session", r).Close(session{Who: who, Until: d.g.now().Add(lasts).Unix()})
	if err != nil {
		return err
	}
	sendOn(x, pending.Return, d.cookie(r, sessionCookie(r, d.scope), text, lasts))
	return nil
}

func errNotBegun() error {
	return fault.New(fault.Invalid, "this browser has not begun to sign in here, or took too long").WithHint("open the page again")
}

// cookie is one that no script reads, and that no form of another page sends.
func (d *desk) cookie(r *http.Request, name, value string, lasts time.Duration) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(lasts.Seconds()), Secure: secure(r), HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// sendOn answers with a redirect that nobody keeps, and that does not tell where the browser was.
func sendOn(x *exchange, to string, c *http.Cookie) {
	http.SetCookie(x, c)
	h := x.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", to)
	x.WriteHeader(http.StatusSeeOther)
}

func secure(r *http.Request) bool { return r.URL.Scheme == "https" }

func sessionCookie(r *http.Request, scope string) string {
	if secure(r) {
		return "__Host-" + cookieName + scope
	}
	return cookieName + scope
}

// signinCookie has a name of its own for each sign-in, so that two that are open at a time do not end each other.
func signinCookie(r *http.Request, state string) string {
	sum := sha256.Sum256([]byte(state))
	name := cookieName + "signin-" + hex.EncodeToString(sum[:8])
	if secure(r) {
		return "__Secure-" + name
	}
	return name
}

// ownCookie says whether a cookie is dalamb's.
func ownCookie(name string) bool {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
	return strings.HasPrefix(name, cookieName)
}

// dropCookies takes dalamb's cookies out of a request: a function could come in elsewhere with them. Browsers send them to each function of a host.
func dropCookies(h http.Header) {
	var kept []string
	for _, line := range h["Cookie"] {
		parts := strings.Split(line, ";")
		parts = slices.DeleteFunc(parts, func(part string) bool {
			name, _, _ := strings.Cut(part, "=")
			return ownCookie(strings.TrimSpace(name))
		})
		if line = strings.TrimSpace(strings.Join(parts, ";")); line != "" {
			kept = append(kept, line)
		}
	}
	if h["Cookie"] = kept; kept == nil {
		delete(h, "Cookie")
	}
}

// opensPage says whether a person opens a page, which can be sent elsewhere; a script's call cannot.
func opensPage(r *http.Request) bool {
	if r.Method != http.MethodGet || r.Header["Upgrade"] != nil {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// returnTo is where a browser goes back to: a path of this host, and nothing that a browser would take for another host.
func returnTo(r *http.Request) string {
	to := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	if len(to) > maxReturn || !strings.HasPrefix(to, "/") || len(to) > 1 && (to[1] == '/' || to[1] == '\\') || strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return "/"
	}
	return to
}

func onThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// desk finds the one that a session or a sign-in is of, among the routes of now.
func (rs *routes) desk(scope string) *desk {
	for _, state := range rs.shelf.now {
		if a, ok := state.(*authenticator); ok && a.desk != nil && a.desk.scope == scope {
			return a.desk
		}
	}
	return nil
}

// serveSignin takes browsers that come back from an issuer.
func (g *Gateway) serveSignin(x *exchange, r *http.Request) {
	if r.Method != http.MethodGet {
		g.methodNotAllowed(x, r, http.MethodGet)
		return
	}
	x.Header().Set("Cache-Control", "no-store")
	c, err := r.Cookie(signinCookie(r, r.URL.Query().Get("state")))
	if err != nil {
		g.fail(x, errNotBegun())
		return
	}
	scope, sealed, _ := strings.Cut(c.Value, ".")
	d := g.routesNow().desk(scope)
	if d == nil {
		g.fail(x, errNotBegun())
		return
	}
	if err := d.finish(x, r, sealed); err != nil {
		g.fail(x, err)
	}
}

// serveSignout ends the sessions that a browser has on this host. It takes POST alone: browsers send these cookies with no form of another host's.
func (g *Gateway) serveSignout(x *exchange, r *http.Request) {
	if r.Method != http.MethodPost {
		g.methodNotAllowed(x, r, http.MethodPost)
		return
	}
	to := ""
	for _, c := range r.Cookies() {
		if !ownCookie(c.Name) {
			continue
		}
		scope := c.Name[strings.LastIndexByte(c.Name, '-')+1:]
		if d := g.routesNow().desk(scope); d != nil {
			to = cmp.Or(to, d.provider.End())
		}
		http.SetCookie(x, &http.Cookie{Name: c.Name, Path: "/", MaxAge: -1, Secure: secure(r), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	h := x.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Location", cmp.Or(to, "/"))
	x.WriteHeader(http.StatusSeeOther)
}
