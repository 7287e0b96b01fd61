package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/signin"
)

func TestPeopleSignInByHTTPSAlone(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"issuer":"` + server.URL + `","authorization_endpoint":"` + server.URL + `/a","token_endpoint":"` + server.URL + `/t","jwks_uri":"` + server.URL + `/k"}`))
	})
	defer server.Close()
	for _, tt := range []struct {
		host, origin string
		leads        string // to the provider, with this redirect URI; "" = it is refused
	}{
		{"127.0.0.1:8081", "", "http%3A%2F%2F127.0.0.1%3A8081%2Fsignin%2Fcallback"},
		{"localhost:8081", "", "http%3A%2F%2Flocalhost%3A8081%2Fsignin%2Fcallback"},
		{"console.example", "", ""},
		{"10.0.0.1:8081", "", ""},
		{"10.0.0.1:8081", "https://console.example", "https%3A%2F%2Fconsole.example%2Fsignin%2Fcallback"},
	} {
		c, err := New(Options{API: &guarded{}, Provider: &Provider{
			Provider: signin.New(signin.Options{Issuer: server.URL, Client: "dalamb"}), Issuer: server.URL, Origin: tt.origin,
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/signin/provider?to=https://evil.example/", nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		to := w.Header().Get("Location")
		if tt.leads == "" && (w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "by https alone")) {
			t.Errorf("at %s: %d to %q, want it refused", tt.host, w.Code, to)
		}
		if tt.leads != "" && (w.Code != http.StatusSeeOther || !strings.HasPrefix(to, server.URL+"/a?") || !strings.Contains(to, "redirect_uri="+tt.leads) || !strings.Contains(to, "code_challenge_method=S256")) {
			t.Errorf("at %s: %d to %q, want it led to the provider and back to %s", tt.host, w.Code, to, tt.leads)
		}
		byHTTPS := tt.origin != "" // the part of the way that ends here is plain in all cases
		for _, one := range append(w.Result().Cookies(), c.sessions.ways.cookie(r, "x")) {
			if one.Secure != byHTTPS || strings.HasPrefix(one.Name, "__") != byHTTPS {
				t.Errorf("at %s with the origin %q the cookie is %v", tt.host, tt.origin, one)
			}
		}
	}
}

func TestWithoutAProviderThereIsATokenAlone(t *testing.T) {
	v := signedIn(t, &guarded{token: "secret-token"})
	for path, want := range map[string]int{"/signin/provider": http.StatusNotFound, callbackPath + "?state=x&code=y": http.StatusBadRequest} {
		if got := v.get(path); got.Code != want {
			t.Errorf("GET %s = %d, want %d", path, got.Code, want)
		}
	}
	if page := v.get("/signin").Body.String(); strings.Contains(page, "Sign in with") {
		t.Error("the form offers a provider")
	}
}
