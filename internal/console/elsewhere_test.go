package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestABrowserAtAWrongAddressGetsAPage(t *testing.T) {
	v := signedIn(t, &guarded{token: "secret-token"})
	const inBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	elsewhere := v.console.Elsewhere(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, c := range []struct {
		method, path, accept string
		cookie, page         bool
	}{
		{"GET", "/nope", inBrowser, true, true},
		{"HEAD", "/nope", inBrowser, true, true},
		{"GET", "/nope", inBrowser, false, true},
		{"GET", "/<script>alert(1)</script>", inBrowser, true, true},
		{"GET", "/nope", "", true, false},
		{"GET", "/nope", "*/*", true, false},
		{"GET", "/nope", "application/json", true, false},
		{"GET", "/v1/nope", inBrowser, true, false},
		{"POST", "/nope", inBrowser, true, false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.URL.Path = c.path
		r.Header.Set("Accept", c.accept)
		if c.cookie {
			r.AddCookie(v.cookie)
		}
		w := httptest.NewRecorder()
		elsewhere.ServeHTTP(w, r)
		if !c.page {
			if w.Code != http.StatusTeapot {
				t.Errorf("%s %s, Accept %q = %d, want the API's answer", c.method, c.path, c.accept, w.Code)
			}
			continue
		}
		body := w.Body.String()
		if w.Code != http.StatusNotFound || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Vary") != "Accept" ||
			w.Header().Get("Content-Security-Policy") == "" || !strings.Contains(body, `<a href="/">`) || strings.Contains(body, "<script>alert") {
			t.Errorf("%s %s, signed in %v = %d %v %s, want a page with a way back", c.method, c.path, c.cookie, w.Code, w.Header(), body)
		}
	}
}
