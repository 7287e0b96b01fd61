package config

import (
	"strings"
	"testing"
)

func TestTLSIsToldAsAWhole(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"tls: {cert: a.pem}", "tls.cert and tls.key go together; one of them is missing"},
		{"tls: {key: a.key}", "tls.cert and tls.key go together; one of them is missing"},
		{"tls: {cert: a.pem, key: a.key}\nacme: {domains: [a.example]}", "tls.cert and acme.domains exclude each other"},
		{"tls: {clients: a.pem}", "tls.clients takes a listener that speaks TLS"},
		{"tls: {redirect: \":80\"}", "tls.redirect takes a listener that speaks TLS"},
		{"tls: {cert: a.pem, key: a.key, redirect: \"80\"}", "tls.redirect is \"80\", not host:port"},
		{"tls: {insecure: perhaps}", "\"perhaps\" is neither true nor false"},
		{"acme: {domains: [192.0.2.7]}", "acme.domains has \"192.0.2.7\""},
		{"acme: {domains: [\"*.a.example\"]}", "acme.domains has \"*.a.example\""},
		{"acme: {domains: [a.example], directory: http://a}", "acme.directory is \"http://a\""},
	} {
		if _, err := Load(Source{File: file(t, c.text)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Load = %v, want %s", c.text, err, c.want)
		}
	}
	n, err := Load(Source{File: file(t, "tls: {redirect: \":80\", insecure: true}\nacme: {domains: [A.example, b.example]}")})
	if err != nil || !n.TLS.On() || !n.TLS.Insecure || strings.Join(n.TLS.ACME.Domains, " ") != "a.example b.example" {
		t.Errorf("Load = %+v, %v", n, err)
	}
}
