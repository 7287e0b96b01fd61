package function

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// routeOf parses a manifest of one function with one route that has this beside its path.
func routeOf(t *testing.T, more string) (*Spec, error) {
	t.Helper()
	m, err := ParseManifest("dalamb.yaml", []byte("name: pay\nentry: {type: lambda, command: [./a]}\ntriggers:\n- {name: r, route: {path: /x, "+more+"}}\n"))
	if err != nil {
		return nil, err
	}
	return &m.Functions[0].Spec, nil
}

func TestRoutesThatAreGuarded(t *testing.T) {
	if _, err := routeOf(t, "cors: {origins: ['https://shop.example:8443', 'https://*.shop.example', 'http://localhost:3000'], headers: ['*']}"); err != nil {
		t.Error(err)
	}
	s, err := routeOf(t, "auth: {signature: {secret: key, header: X-Sig, timestamp: X-At}}, limit: {rate: 90/m, by: identity}")
	if err != nil {
		t.Fatal(err)
	}
	r := s.Triggers[0].Route
	if got := *r.Limit; got != (RateLimit{Rate: Rate{90, time.Minute}, By: LimitByIdentity}) || got.AtOnce() != 90 {
		t.Errorf("limit = %+v with %d at once, want 90 a minute, 90 at once", got, got.AtOnce())
	}
	if got := *r.Auth.Signature; got != (SignatureAuth{Secret: "key", Header: "X-Sig", Timestamp: "X-At"}) {
		t.Errorf("signature = %+v", got)
	}
	if got := s.SecretNames(); !slices.Equal(got, []string{"key"}) {
		t.Errorf("SecretNames = %v, want the route's", got)
	}
	placed := s.Place("staging", func(string) bool { return false })
	if got := placed.SecretNames(); !slices.Equal(got, []string{"staging.key"}) || r.Auth.Signature.Secret != "key" {
		t.Errorf("in an environment SecretNames = %v, and the manifest's own secret is %q now", got, r.Auth.Signature.Secret)
	}
	if _, plain := placed.Unplace(); plain.Triggers[0].Route.Auth.Signature.Secret != "key" {
		t.Errorf("back from there it is %q", plain.Triggers[0].Route.Auth.Signature.Secret)
	}
}

func TestGuardsThatNameOthers(t *testing.T) {
	for more, want := range map[string]string{
		"auth: {function: door}":                         "staging.door",
		"auth: {function: {name: door, timeout: 300ms}}": "staging.door",
	} {
		s, err := routeOf(t, more)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		placed := s.Place("staging", func(string) bool { return false })
		if got := placed.Triggers[0].Route.Auth.AuthFunction(); got != want || s.Triggers[0].Route.Auth.AuthFunction() != "door" {
			t.Errorf("%s: in an environment it asks %q, want %q", more, got, want)
		}
		if _, plain := placed.Unplace(); plain.Triggers[0].Route.Auth.AuthFunction() != "door" {
			t.Errorf("%s: back from there it asks %q", more, plain.Triggers[0].Route.Auth.AuthFunction())
		}
	}
	s, err := routeOf(t, "auth: {oidc: {issuer: 'https://id.example', client: shop, secret: client}}")
	if err != nil {
		t.Fatal(err)
	}
	if o := s.Triggers[0].Route.Auth.OIDC; o.Lasting() != DefaultSession || o.IdentityClaim() != "sub" {
		t.Errorf("oidc = %+v", o)
	}
	if got := s.Place("staging", func(string) bool { return false }).SecretNames(); !slices.Equal(got, []string{"staging.client"}) {
		t.Errorf("in an environment SecretNames = %v", got)
	}
}

func TestGuardsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"auth: {}": "auth: says 0 ways to prove who calls, not one",
		"auth: {token: {names: [a]}, basic: {users: u}}":                                         "auth: says 2 ways",
		"auth: {certificate: {identity: name}}":                                                  `auth.certificate.identity: "name" is not known`,
		"auth: {certificate: {names: [a, a]}}":                                                   `auth.certificate.names[1]: "a" stands there twice`,
		"auth: {certificate: {names: ['']}}":                                                     `auth.certificate.names[0]: "" is nobody's name`,
		"auth: {function: {}}":                                                                   "auth.function.name",
		"auth: {function: A b}":                                                                  `auth.function.name: "A b"`,
		"auth: {function: {name: door, ttl: 1m}}":                                                "auth.function.headers: with ttl they have to be said",
		"auth: {function: {name: door, ttl: 2h, headers: [A]}}":                                  "auth.function.ttl",
		"auth: {function: {name: door, timeout: 1m}}":                                            "auth.function.timeout",
		"auth: {function: {name: door, headers: ['a b', A, a]}}":                                 `auth.function.headers[2]: "a" stands there twice`,
		"auth: {oidc: {issuer: 'http://id.example', client: c, secret: s}}":                      "auth.oidc.issuer",
		"auth: {oidc: {issuer: 'https://id.example', client: '', secret: s}}":                    "auth.oidc.client: is required",
		"auth: {oidc: {issuer: 'https://id.example', client: c, secret: S}}":                     "auth.oidc.secret",
		"auth: {oidc: {issuer: 'https://id.example', client: c, secret: s, scopes: ['a b']}}":    `auth.oidc.scopes[0]: "a b" is no scope`,
		"auth: {oidc: {issuer: 'https://id.example', client: c, secret: s, session: 1s}}":        "auth.oidc.session",
		"auth: {oidc: {issuer: 'https://id.example', client: c, secret: s, claims: {exp: '1'}}}": `auth.oidc.claims: "exp" cannot be asked for`,
		"auth: {token: {}}":                                                       "auth.token.names: names no token",
		"auth: {token: {names: [A]}}":                                             `auth.token.names[0]: "A" is no name for a token`,
		"auth: {token: {names: [a, b, a]}}":                                       `auth.token.names[2]: "a" stands there twice`,
		"auth: {basic: {}}":                                                       "auth.basic.users: a secret needs a name",
		"auth: {basic: {users: u, realm: 'a\"b'}}":                                "auth.basic.realm",
		"auth: {signature: {secret: k, header: 'X Sig'}}":                         `auth.signature.header: "X Sig" is no name for a header`,
		"auth: {signature: {secret: k, header: X, hash: md5}}":                    `auth.signature.hash: "md5" is not known`,
		"auth: {signature: {secret: k, header: X, prefix: \"a b\"}}":              "auth.signature.prefix",
		"auth: {signature: {secret: k, header: X, tolerance: 1m}}":                "auth.signature.tolerance: there is no time",
		"auth: {signature: {secret: k, header: X, timestamp: \"\\n\"}}":           "auth.signature.timestamp",
		"auth: {signature: {secret: k, header: X, timestamp: T, tolerance: 30h}}": "auth.signature.tolerance: 30h is out of range",
		"cors: {}":                                                                                  "cors.origins: names no origin",
		"cors: {origins: [shop.example]}":                                                           `cors.origins[0]: "shop.example" is no origin`,
		"cors: {origins: ['https://shop.example/']}":                                                "cors.origins[0]",
		"cors: {origins: ['https://a.*.example']}":                                                  "cors.origins[0]",
		"cors: {origins: ['https://Shop.example']}":                                                 "cors.origins[0]",
		"cors: {origins: ['null']}":                                                                 "cors.origins[0]",
		"cors: {origins: ['*', 'https://a.example']}":                                               "makes the others needless",
		"cors: {origins: ['*'], credentials: true}":                                                 "cors.credentials: any page of the internet",
		"cors: {origins: ['*'], expose: ['*']}":                                                     "cors.expose[0]",
		"cors: {origins: ['*'], headers: ['a b']}":                                                  "cors.headers[0]",
		"cors: {origins: ['*'], maxAge: 2d}":                                                        "cors.maxAge: 2d is out of range",
		"auth: {jwt: {issuer: 'https://id.example'}}":                                               "auth.jwt.audience: names nobody",
		"auth: {jwt: {issuer: 'http://id.example', audience: [a]}}":                                 "auth.jwt.issuer: \"http://id.example\" is not encrypted",
		"auth: {jwt: {issuer: id.example, audience: [a]}}":                                          "auth.jwt.issuer",
		"auth: {jwt: {issuer: 'https://id.example', keys: 'https://id.example/?k', audience: [a]}}": "auth.jwt.keys",
		"auth: {jwt: {issuer: 'https://id.example', audience: [a], claims: {iss: b}}}":              `auth.jwt.claims: "iss" cannot be asked for`,
		"auth: {jwt: {}}":                                                                           "auth.jwt",
		"auth: token":                                                                               "auth",
		"limit: {}":                                                                                 "limit.rate: such as 100/s|limit.rate: is required",
		"limit: {rate: fast}":                                                                       `limit.rate: "fast" is not a rate`,
		"limit: {rate: 0/s}":                                                                        `limit.rate: "0/s" is not a rate`,
		"limit: {rate: 1/s, burst: -1}":                                                             "limit.burst: -1 is out of range",
		"limit: {rate: 1/s, by: user}":                                                              `limit.by: "user" is not known`,
		"limit: {rate: 1/s, by: identity}":                                                          "limit.by: without auth nobody has an identity",
		"limit: {rate: 1/s, by: header}":                                                            "limit.header: by: header and the name of one belong together",
		"limit: {rate: 1/s, header: X-Key}":                                                         "limit.header: by: header and the name of one belong together",
		"limit: {rate: 1/s, by: header, header: \"X Key\"}":                                         `limit.header: "X Key" is no name`,
	} {
		_, err := routeOf(t, text)
		if err == nil || !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool { return strings.Contains(err.Error(), w) }) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}
