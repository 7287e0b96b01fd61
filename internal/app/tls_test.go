package app

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestPlainHTTPIsSentOnToTheSameURL(t *testing.T) {
	for _, c := range []struct{ port, host, target, want string }{
		{"443", "shop.example", "/a%2Fb?c=d&e", "https://shop.example/a%2Fb?c=d&e"},
		{"443", "shop.example:80", "/", "https://shop.example/"},
		{"8443", "shop.example:8080", "/", "https://shop.example:8443/"},
		{"443", "[2001:db8::1]:80", "/", "https://[2001:db8::1]:443/"},
		{"443", "shop.example", "//evil.example/", "https://shop.example//evil.example/"},
		{"443", "shop.example", "http://shop.example/x", "https://shop.example/x"},
		{"443", "my_shop.example", "/", "https://my_shop.example/"}, // no host name of RFC 952, and common
		{"443", "evil.example/@shop", "/", ""},
		{"443", "a b", "/", ""},
		{"443", "user@evil.example", "/", ""},
		{"443", "", "/", ""},
	} {
		u, err := url.ParseRequestURI(c.target) // as net/http reads the first line of a request
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: http.MethodPost, URL: u, Host: c.host}
		w := httptest.NewRecorder()
		toHTTPS(c.port).ServeHTTP(w, r)
		if c.want == "" {
			if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
				t.Errorf("%q: answer = %d to %q, want 400", c.host, w.Code, w.Header().Get("Location"))
			}
			continue
		}
		if got := w.Header().Get("Location"); w.Code != http.StatusPermanentRedirect || got != c.want {
			t.Errorf("%s%s: answer = %d to %s, want 308 to %s", c.host, c.target, w.Code, got, c.want)
		}
	}
}
