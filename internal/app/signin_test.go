package app_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/need"
)

// consoleSecret is what the provider has given the console.
const consoleSecret = "a secret that the provider gave"

// authorize is the page on which a person says who he is. OpenID Connect Core 1.0, section 3.1.2.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != "dalamb" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("scope") != "openid groups" {
		p.t.Errorf("the browser comes with %v", q)
	}
	fmt.Fprint(w, "<!doctype html><title>id</title>")
	for name := range p.people {
		code := name + "." + rand.Text()
		p.mu.Lock()
		p.begun[code] = q
		p.mu.Unlock()
		to := q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
		fmt.Fprintf(w, `<p><a id="%s" href="%s">I am %s</a>`, name, html.EscapeString(to), name)
	}
}

// token gives an ID token for a code, once. RFC 6749, section 4.1.3; RFC 7636, section 4.6.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	code := r.FormValue("code")
	p.mu.Lock()
	begun := p.begun[code]
	delete(p.begun, code)
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	w.Header().Set("Content-Type", "application/json")
	if begun == nil || base64.RawURLEncoding.EncodeToString(sum[:]) != begun.Get("code_challenge") || begun.Get("redirect_uri") != r.FormValue("redirect_uri") || id != "dalamb" || secret != url.QueryEscape(consoleSecret) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	who, _, _ := strings.Cut(code, ".")
	claims := map[string]any{"sub": who, "iat": time.Now().Unix(), "nonce": begun.Get("nonce")}
	for name, v := range p.people[who]() {
		claims[name] = v
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": p.sign(p.key, claims)})
}

// withPeople is a node whose console people sign in to.
func withPeople(t *testing.T) (*provider, *node) {
	t.Helper()
	p := newProvider(t)
	groups := func(all ...string) func() map[string]any {
		return func() map[string]any { return map[string]any{"groups": all} }
	}
	p.people = map[string]func() map[string]any{
		"jane":  groups("Devs"),
		"kim":   groups("Platform"),
		"guest": groups("Others"),
		"short": func() map[string]any {
			return map[string]any{"groups": "Platform", "exp": time.Now().Add(4 * time.Second).Unix()}
		},
		"replayed": func() map[string]any { return map[string]any{"groups": "Platform", "nonce": "of another sign-in"} },
		"other":    func() map[string]any { return map[string]any{"groups": "Platform", "aud": "mail"} },
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(consoleSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, t.TempDir(), "signin.issuer="+p.url, "signin.client=dalamb", "signin.secret="+file, "signin.scopes=groups", "signin.groups=Devs=viewer,Platform=admin")
	return p, n
}

// TestPeopleSignInAtABrowser goes through it in a real one, whose provider is another site.
func TestPeopleSignInAtABrowser(t *testing.T) {
	need.Chromium(t)
	_, n := withPeople(t)
	n.deploy(directory(t, map[string]string{"f.sh": "cat >/dev/null\n"}), "name: pay\nentry: {type: stdio, command: [/bin/sh, f.sh]}\ntriggers:\n  - {name: on-order, topic: events}\n")
	control, _ := n.client.Address()
	b := openBrowser(t, control)
	buttons := func() int {
		t.Helper()
		got, err := told[int](b, `document.querySelectorAll('main a[href*="/act/"], main form[method=post]').length`)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	b.look("signin-provider", "/functions/pay")
	b.open("/functions/pay")
	b.press(`a[href^="/signin/provider"]`, "I am jane")
	b.press("#jane", "Triggers")
	if at, err := told[string](b, "location.pathname + document.cookie"); err != nil || at != "/functions/pay" {
		t.Errorf("after signing in the browser is at %q (%v)", at, err)
	}
	b.shows("jane viewer")
	if got := buttons(); got != 0 {
		t.Errorf("a viewer has %d buttons", got)
	}
	b.look("function-viewer", "/functions/pay")
	b.press("header form button", "You are signed out here")
	b.press(`a[href*="/end"]`, "bye")
	b.open("/functions/pay")
	b.press(`a[href^="/signin/provider"]`, "I am kim")
	b.press("#kim", "kim admin")
	if got := buttons(); got < 3 {
		t.Errorf("an admin has %d buttons", got)
	}
	b.press(`#triggers a[href*="trigger-pause"][href*="on-order"]`, "Pause a trigger of pay, on-order?")
	b.press("main form button", "Trigger on-order of pay is paused.")
	b.press("header form button", "You are signed out here")
	b.open("/functions/pay")
	b.press(`a[href^="/signin/provider"]`, "I am short")
	b.press("#short", "short admin")
	b.shows("Sign in with") // by itself, when the token ends
	if at, err := told[string](b, "location.pathname + location.search"); err != nil || at != "/signin?to=%2Ffunctions%2Fpay" {
		t.Errorf("when the token has ended the browser is at %q (%v)", at, err)
	}
}

// Who is not whom the provider says, for this console and this sign-in, gets no session.
func TestWhoDoesNotSignIn(t *testing.T) {
	t.Parallel()
	_, n := withPeople(t)
	control, _ := n.client.Address()
	for _, c := range []struct {
		name, person string
		change       func(callback *url.URL, jar http.CookieJar)
		status       int
		says         string
	}{
		{"a good one", "kim", nil, 200, "You are signed in"},
		{"in no group", "guest", nil, 403, "in no group that has a role here"},
		{"a token of another sign-in", "replayed", nil, 403, "the issuer&#39;s token is of another sign-in"},
		{"a token for another service", "other", nil, 503, "did not sign you in"},
		{"another state", "kim", func(u *url.URL, _ http.CookieJar) { with(u, "state", "guessed") }, 400, "has not begun to sign in here"},
		{"a code of nobody's", "kim", func(u *url.URL, _ http.CookieJar) { with(u, "code", "kim.guessed") }, 403, "does not know this sign-in"},
		{"refused by the person", "kim", func(u *url.URL, _ http.CookieJar) { with(u, "error", "access_denied") }, 403, "access_denied"},
		{"another issuer's answer", "kim", func(u *url.URL, _ http.CookieJar) { with(u, "iss", "https://evil.example") }, 403, "another issuer"},
		{"another browser", "kim", func(u *url.URL, jar http.CookieJar) {
			for _, one := range jar.Cookies(u) {
				jar.SetCookies(u, []*http.Cookie{{Name: one.Name, Value: "x", Path: "/signin/callback"}})
			}
		}, 400, "has not begun to sign in here"},
	} {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := &http.Client{Jar: jar}
		first := page(t, browser, control+"/signin/provider?to=/runs", 200)
		_, rest, _ := strings.Cut(first, `id="`+c.person+`" href="`)
		text, _, _ := strings.Cut(rest, `"`)
		back, err := url.Parse(html.UnescapeString(text))
		if err != nil {
			t.Fatal(err)
		}
		if c.change != nil {
			c.change(back, jar)
		}
		got := page(t, browser, back.String(), c.status)
		if !strings.Contains(got, c.says) {
			t.Errorf("%s: the page does not say %q but:\n%s", c.name, c.says, got)
		}
		session := false
		for _, one := range jar.Cookies(back) {
			session = session || one.Name == "dalamb-console"
		}
		if session != (c.status == 200) {
			t.Errorf("%s: there is a session: %v", c.name, session)
		}
		if c.status == 200 && !strings.Contains(got, `content="0;url=/runs"`) {
			t.Errorf("%s: the browser is not led to where it wanted:\n%s", c.name, got)
		}
		if again := page(t, browser, back.String(), 400); c.status == 200 && !strings.Contains(again, "has not begun") {
			t.Errorf("%s: the same answer is taken again", c.name)
		}
	}
}

func with(u *url.URL, name, value string) {
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
}

// page gives a page, whose status has to be as wanted.
func page(t *testing.T, browser *http.Client, address string, status int) string {
	t.Helper()
	resp, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Errorf("GET %s = %d (%v), want %d:\n%s", address, resp.StatusCode, err, status, b)
	}
	return string(b)
}
