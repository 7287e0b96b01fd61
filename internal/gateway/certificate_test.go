package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestARouteWithCertificates(t *testing.T) {
	now, gone := time.Unix(1_800_000_000, 0), false
	n := start(t, script(shown), hold(nil, func() time.Time { return now }), func(o *Options) { o.Clients = func([][]*x509.Certificate) bool { return !gone } })
	serve := func(rule function.CertificateAuth, state *tls.ConnectionState) *httptest.ResponseRecorder {
		t.Helper()
		n.deploy("f", guarded(&function.Auth{Certificate: &rule}, nil))
		r := httptest.NewRequest("GET", "/x", nil)
		r.TLS = state
		r.Header.Set("Dalamb-Auth-Id", "boss")
		w := httptest.NewRecorder()
		n.ServeHTTP(w, r)
		return w
	}
	leaf := func(change func(*x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{
			Subject: pkix.Name{CommonName: "partner", Organization: []string{"Acme"}}, NotAfter: now.Add(time.Hour),
			DNSNames: []string{"a.example", "b.example"}, EmailAddresses: []string{"ops@a.example"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "a.example", Path: "/pay"}},
		}
		change(c)
		return c
	}
	same := func(*x509.Certificate) {}
	for _, c := range []struct {
		name   string
		rule   function.CertificateAuth
		leaf   *x509.Certificate
		status int
		body   string
	}{
		{"by its common name", function.CertificateAuth{}, leaf(same), 200, "service_account partner,"},
		{"by its subject", function.CertificateAuth{Identity: "subject"}, leaf(same), 200, "service_account CN=partner,O=Acme,"},
		{"by its host", function.CertificateAuth{Identity: "dns"}, leaf(same), 200, "service_account a.example,"},
		{"by its mail address", function.CertificateAuth{Identity: "email"}, leaf(same), 200, "service_account ops@a.example,"},
		{"by its URI", function.CertificateAuth{Identity: "uri"}, leaf(same), 200, "service_account spiffe://a.example/pay,"},
		{"one of those that are named", function.CertificateAuth{Names: []string{"other", "partner"}}, leaf(same), 200, "partner"},
		{"none of those that are named", function.CertificateAuth{Names: []string{"other"}}, leaf(same), 403, `this route is not for \"partner\"`},
		{"without a name", function.CertificateAuth{Identity: "uri"}, leaf(func(c *x509.Certificate) { c.URIs = nil }), 401, "does not say whose it is"},
		{"with a name that is another header", function.CertificateAuth{}, leaf(func(c *x509.Certificate) { c.Subject.CommonName = "a\r\nDalamb-Auth-Type: user" }), 401, "does not say whose it is"},
		{"with a name that is a book", function.CertificateAuth{}, leaf(func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("a", maxIdentity+1) }), 401, "does not say whose it is"},
		{"expired while the connection was open", function.CertificateAuth{}, leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), 401, "has expired"},
	} {
		w := serve(c.rule, &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{c.leaf}}})
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: answer = %d %s, want %d with %s", c.name, w.Code, w.Body, c.status, c.body)
		}
		if c.status != 200 && w.Header().Get(runHeader) != "" {
			t.Errorf("%s: the function was called", c.name)
		}
	}
	gone = true
	w := serve(function.CertificateAuth{}, &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf(same)}}})
	if w.Code != 401 || !strings.Contains(w.Body.String(), "not believed any more") || w.Header().Get("Connection") != "close" || w.Header().Get(runHeader) != "" {
		t.Errorf("its authority was taken out while the connection was open: answer = %d %v %s, want 401, and the connection closed", w.Code, w.Header(), w.Body)
	}
	gone = false
	for name, state := range map[string]*tls.ConnectionState{
		"no TLS": nil, "no certificate": {}, "one that nobody has checked": {PeerCertificates: []*x509.Certificate{leaf(same)}},
	} {
		if w := serve(function.CertificateAuth{}, state); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Certificate" {
			t.Errorf("%s: answer = %d %v, want 401", name, w.Code, w.Header())
		}
	}
	shut := start(t, script(shown))
	shut.deploy("f", guarded(&function.Auth{Certificate: &function.CertificateAuth{}}, nil))
	if g := shut.send("GET", "/x", ""); g.status != 503 || !strings.Contains(shut.said.String(), "--tls-client-ca") {
		t.Errorf("on a node without authorities: answer = %d, want 503 and a line in the log:\n%s", g.status, shut.said)
	}
}
