package console

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// guarded is an API that knows one token, and counts what is changed.
type guarded struct {
	token   string
	changed int
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+g.token {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(wire.ErrorOf(fault.New(fault.Unauthenticated, "the token is missing or wrong")))
		return
	}
	if r.Method != http.MethodGet {
		g.changed++
	}
	if r.URL.Path == "/v1/self" {
		_, _ = w.Write([]byte(`{"type":"api_key","id":"ci","role":"admin"}`))
		return
	}
	_, _ = w.Write([]byte("{}"))
}

func TestTheTokenStaysOnTheNode(t *testing.T) {
	v := signedIn(t, &guarded{token: "secret-token"})
	c := v.cookie
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Name != "dalamb-console" || strings.Contains(c.Value, "secret-token") || len(c.Value) < 20 {
		t.Errorf("the session's cookie is %v", c)
	}
	if got := v.get("/functions"); got.Code != http.StatusOK || strings.Contains(got.Body.String(), "secret-token") {
		t.Errorf("a page = %d, or it has the token in it", got.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.TLS = &tls.ConnectionState{}
	if c := v.console.sessions.ways.cookie(r, "x"); !c.Secure || c.Name != "__Host-dalamb-console" {
		t.Errorf("by TLS the cookie is %v, want it secure and of this host alone", c)
	}
}

func TestNobodySeesAPageWithoutASession(t *testing.T) {
	v := signedIn(t, &guarded{token: "secret-token"})
	stranger := &testVisitor{t: t, console: v.console}
	for _, path := range everyPage() {
		if strings.HasPrefix(path, "/signin") {
			continue
		}
		got := stranger.get(path)
		if to := got.Header().Get("Location"); got.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/signin") {
			t.Errorf("GET %s without a session = %d to %q, want the form for the token", path, got.Code, to)
		}
	}
	for _, path := range []string{"/live", "/live/logs/f"} {
		if got := stranger.get(path); got.Code != http.StatusNoContent {
			t.Errorf("GET %s without a session = %d, want 204", path, got.Code)
		}
	}
	if got := stranger.send(http.MethodPost, "/signin", url.Values{"token": {"wrong"}}); got.Code != http.StatusUnauthorized || len(got.Result().Cookies()) != 0 {
		t.Errorf("sign in with a wrong token = %d with %v, want 401 and no session", got.Code, got.Result().Cookies())
	}
	stranger.cookie = &http.Cookie{Name: cookieName, Value: "guessed"}
	if got := stranger.get("/"); got.Code != http.StatusSeeOther {
		t.Errorf("with a name of no session = %d, want the form", got.Code)
	}
}

func TestOnlyOwnFormsChangeAnything(t *testing.T) {
	api := &guarded{token: "secret-token"}
	v := signedIn(t, api)
	act := url.Values{"function": {"f"}, "trigger": {"t"}}
	for name, send := range map[string]func() *httptest.ResponseRecorder{
		"without the session's field": func() *httptest.ResponseRecorder { return v.send(http.MethodPost, "/act/trigger-pause", act) },
		"with a field in the address": func() *httptest.ResponseRecorder {
			return v.send(http.MethodPost, "/act/trigger-pause?"+formField+"="+v.form, act)
		},
		"of another site": func() *httptest.ResponseRecorder {
			return v.from("Sec-Fetch-Site", "cross-site", act)
		},
		"of another port": func() *httptest.ResponseRecorder { return v.from("Sec-Fetch-Site", "same-site", act) },
		"of another origin, from an old browser": func() *httptest.ResponseRecorder {
			return v.from("Origin", "http://127.0.0.1:8080", act)
		},
	} {
		if got := send(); got.Code != http.StatusForbidden || api.changed != 0 {
			t.Errorf("a form %s = %d, %d changes; want 403 and none", name, got.Code, api.changed)
		}
	}
	act.Set(formField, v.form)
	if got := v.send(http.MethodPost, "/act/trigger-pause", act); got.Code != http.StatusSeeOther || api.changed != 1 {
		t.Errorf("the session's own form = %d, %d changes; want 303 and one", got.Code, api.changed)
	}
	if got := v.get("/functions").Body.String(); !strings.Contains(got, "Trigger t of f is paused.") {
		t.Errorf("the next page does not say what was done:\n%s", got)
	}
	if got := v.get("/functions").Body.String(); strings.Contains(got, "is paused") {
		t.Error("it is said again on the page after that")
	}
}

// from sends a form that has all that a form of the session's has, as a page elsewhere would.
func (v *testVisitor) from(header, value string, form url.Values) *httptest.ResponseRecorder {
	form = url.Values{"function": form["function"], "trigger": form["trigger"], formField: {v.form}}
	r := httptest.NewRequest(http.MethodPost, "/act/trigger-pause", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set(header, value)
	r.AddCookie(v.cookie)
	w := httptest.NewRecorder()
	v.console.ServeHTTP(w, r)
	return w
}

func TestASessionEnds(t *testing.T) {
	api := &guarded{token: "secret-token"}
	v := signedIn(t, api)
	if got := v.send(http.MethodPost, "/signout", url.Values{}); got.Code != http.StatusForbidden {
		t.Errorf("sign out without the session's field = %d, want 403", got.Code)
	}
	if got := v.send(http.MethodPost, "/signout", url.Values{formField: {v.form}}); got.Code != http.StatusSeeOther || got.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out = %d with %v", got.Code, got.Result().Cookies())
	}
	if got := v.get("/"); got.Code != http.StatusSeeOther {
		t.Errorf("after signing out a page = %d, want the form", got.Code)
	}

	v = signedIn(t, api)
	api.token = "another" // the one that was shown has ended
	if got := v.get("/functions"); got.Code != http.StatusSeeOther || len(v.console.sessions.all) != 0 {
		t.Errorf("with a token that has ended = %d and %d sessions, want the form and none", got.Code, len(v.console.sessions.all))
	}

	now := time.Now()
	s := newSessions(func() time.Time { return now }, ways{})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: s.begin("t", false)})
	for _, step := range []struct {
		after time.Duration
		lasts bool
	}{{sessionIdle - time.Minute, true}, {sessionIdle - time.Minute, true}, {sessionIdle + time.Second, false}} {
		now = now.Add(step.after)
		if got := s.of(r) != nil; got != step.lasts {
			t.Errorf("%s after its last use the session lasts: %v, want %v", step.after, got, step.lasts)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Now()
	s := newSessions(func() time.Time { return now }, ways{})
	first := s.begin("t", false)
	for i := range maxSessions + 5 {
		now = now.Add(time.Second)
		s.begin(strconv.Itoa(i), false)
	}
	if len(s.all) != maxSessions {
		t.Errorf("%d sessions, want %d", len(s.all), maxSessions)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: first})
	if s.of(r) != nil {
		t.Error("the session that was not used for the longest time is still there")
	}
}

func TestTheFormForTheTokenLeadsToThisConsoleAlone(t *testing.T) {
	for to, want := range map[string]string{
		"": "/", "/runs?state=dead": "/runs?state=dead", "https://evil.example/": "/", "https://evil.example/x": "/", "//evil.example/x": "/", "//evil.example/": "/", "/\\evil.example": "/",
		"javascript:alert(1)": "/", "runs": "/", "/a\r\nX: y": "/",
	} {
		if got := local(to); got != want {
			t.Errorf("local(%q) = %q, want %q", to, got, want)
		}
	}
}

func TestAPageSaysWhatABrowserMayDoWithIt(t *testing.T) {
	v := signedIn(t, &guarded{token: "secret-token"})
	for _, path := range []string{"/signin", "/functions", "/console/console.js", "/console/style.css"} {
		got := v.get(path)
		policy := got.Header().Get("Content-Security-Policy")
		if got.Code != http.StatusOK || !strings.Contains(policy, "default-src 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") || got.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s = %d with policy %q", path, got.Code, policy)
		}
	}
}
