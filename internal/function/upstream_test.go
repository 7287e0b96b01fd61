package function

import (
	"strings"
	"testing"
	"time"
)

func TestARoutesUpstream(t *testing.T) {
	s, err := routeOf(t, `upstream: {static: ["http://10.0.0.7:8080", {address: "https://b.internal", weight: 2}], balance: hash, by: "header:X-User", check: {path: /healthz}, eject: {}, requests: 10, host: rewrite}`)
	if err != nil {
		t.Fatal(err)
	}
	u := s.Triggers[0].Route.Upstream
	if len(u.Static) != 2 || u.Static[1].Weight != 2 || u.Check.Every != Duration(10*time.Second) || u.Check.Unhealthy != 3 || u.Eject.Failures != 5 || u.Eject.Max != 50 || u.Algorithm() != "hash" {
		t.Errorf("upstream = %+v", u)
	}
	if scheme, address, err := u.Static[1].Server(); scheme != UpstreamHTTPS || address != "b.internal:443" || err != nil {
		t.Errorf("the second server = %s %s %v", scheme, address, err)
	}
	for text, want := range map[string]string{
		"upstream: {}": "route.upstream: has 0 sources",
		"upstream: {service: search, static: [http://h:1]}":                "route.upstream: has 2 sources",
		"upstream: {static: []}":                                           "route.upstream: has 0 sources",
		"upstream: {static: [10.0.0.7]}":                                   `static[0]: "10.0.0.7" is no address`,
		"upstream: {static: [http://h/path]}":                              `static[0]: "http://h/path" is no address`,
		"upstream: {static: [http://u:p@h]}":                               `static[0]`,
		"upstream: {static: [http://h:0]}":                                 `static[0]: "http://h:0" is no address that can be connected to`,
		"upstream: {static: [http://0.0.0.0:1]}":                           `static[0]`,
		"upstream: {static: [ftp://h]}":                                    `static[0]: "ftp" is not known`,
		"upstream: {static: [http://h, http://h]}":                         `static[1]: "http://h" stands there twice`,
		"upstream: {static: [{address: http://h, weight: 1001}]}":          "static[0].weight: 1001 is out of range",
		"upstream: {service: Search}":                                      `upstream.service: "Search" is no name`,
		"upstream: {dns: {name: 'a b'}}":                                   `upstream.dns.name: "a b" is no name`,
		"upstream: {dns: {name: a, type: MX}}":                             `upstream.dns.type: "MX"`,
		"upstream: {dns: {name: a, type: SRV, port: 80}}":                  "upstream.dns.port: SRV says itself",
		"upstream: {dns: {name: a, port: 70000}}":                          "upstream.dns.port: 70000 is out of range",
		"upstream: {dns: {name: a, resolver: ns.internal}}":                `upstream.dns.resolver: "ns.internal" is no IP:PORT`,
		"upstream: {consul: {url: 'h:8500', service: a}}":                  `upstream.consul.url: "h:8500" is no URL`,
		"upstream: {consul: {url: 'http://h', service: ''}}":               "upstream.consul.service",
		"upstream: {consul: {url: 'http://h', service: a, token: A}}":      "upstream.consul.token",
		"upstream: {etcd: {url: 'http://u:p@h', prefix: a}}":               "upstream.etcd.url",
		"upstream: {etcd: {url: 'http://h', prefix: ''}}":                  "upstream.etcd.prefix",
		"upstream: {kubernetes: {service: ''}}":                            `upstream.kubernetes.service: "" is no name for a service`,
		"upstream: {kubernetes: {service: 'a/../../b'}}":                   `upstream.kubernetes.service: "a/../../b" is no name`,
		"upstream: {kubernetes: {service: 'a,b'}}":                         `upstream.kubernetes.service: "a,b" is no name`,
		"upstream: {kubernetes: {service: a, namespace: 'b?watch'}}":       `upstream.kubernetes.namespace: "b?watch" is no name for a namespace`,
		"upstream: {kubernetes: {service: a, port: 70000}}":                "upstream.kubernetes.port: 70000 is out of range",
		"upstream: {kubernetes: {service: a, port: 'Web!'}}":               `upstream.kubernetes.port: "Web!" is no port`,
		"upstream: {kubernetes: {service: a, token: t}}":                   "upstream.kubernetes: without url the node asks its own cluster",
		"upstream: {kubernetes: {service: a, url: 'h:6443'}}":              `upstream.kubernetes.url: "h:6443" is no URL`,
		"upstream: {kubernetes: {service: a, url: 'http://h', token: t}}":  "upstream.kubernetes.url: token and ca take https",
		"upstream: {kubernetes: {service: a, url: 'https://h', token: T}}": "upstream.kubernetes.token",
		"upstream: {kubernetes: {service: a, url: 'https://h', ca: x}}":    "upstream.kubernetes.ca: has no certificate",
		"upstream: {service: a, scheme: ftp}":                              `upstream.scheme: "ftp"`,
		"upstream: {static: [http://h], scheme: https}":                    "upstream.scheme: the addresses in static say it",
		"upstream: {service: a, balance: best}":                            `upstream.balance: "best"`,
		"upstream: {service: a, balance: hash}":                            "upstream.by: is required by hash",
		"upstream: {service: a, by: ip}":                                   "upstream.by: belongs to hash",
		"upstream: {service: a, balance: hash, by: header}":                `upstream.by: "header" makes no key`,
		"upstream: {service: a, balance: hash, by: 'cookie:a b'}":          `upstream.by: "cookie:a b" makes no key`,
		"upstream: {service: a, requests: 0}":                              "upstream.requests: 0 is out of range",
		"upstream: {service: a, check: {path: x}}":                         `upstream.check.path: "x" is no path`,
		"upstream: {service: a, check: {path: /, every: 1ms}}":             "upstream.check.every: 1ms is out of range",
		"upstream: {service: a, check: {path: /, healthy: 0}}":             "upstream.check.healthy: 0 is out of range",
		"upstream: {service: a, eject: {max: 0%}}":                         "upstream.eject.max",
		"upstream: {service: a, eject: {for: 2h}}":                         "upstream.eject.for: 2h is out of range",
		"upstream: {service: a, tls: {name: b}}":                           "upstream.tls: no server is spoken to by https",
		"upstream: {service: a, scheme: https, tls: {}}":                   "upstream.tls: says nothing",
		"upstream: {service: a, scheme: https, tls: {ca: x}}":              "upstream.tls.ca: has no certificate",
		"upstream: {service: a, scheme: https, tls: {name: B}}":            `upstream.tls.name: "B" is no name`,
		"upstream: {service: a, host: mine}":                               `upstream.host: "mine"`,
		"upstream: {service: a}, redirect: {to: /x}":                       "route.redirect: is about the function",
		"upstream: {service: a}, async: true":                              "route.async: is about the function",
		"upstream: {service: a}, sticky: {cookie: a}":                      "route.sticky: is about the function",
		"upstream: {service: a, weights: 1}":                               "upstream.weights: unknown field",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
	const emits = "name: pay\nentry: {type: lambda, command: [./a]}\ntriggers:\n- {name: r, emit: {topic: a}, route: {path: /x, upstream: {service: a}}}\n"
	if _, err := ParseManifest("dalamb.yaml", []byte(emits)); err == nil || !strings.Contains(err.Error(), "route.upstream: what an upstream answers are no events") {
		t.Errorf("an upstream of a route that emits: error = %v", err)
	}
}

// TestTheSecretOfAnUpstream has the environment's name, and has to be there at the deploy.
func TestTheSecretOfAnUpstream(t *testing.T) {
	for _, source := range []string{"consul: {url: 'http://h:8500', service: a, token: one}", "kubernetes: {url: 'https://h:6443', service: a, port: 8080, token: one}"} {
		s, err := routeOf(t, "upstream: {"+source+"}")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.SecretNames(); len(got) != 1 || got[0] != "one" {
			t.Errorf("%s: SecretNames = %v", source, got)
		}
		placed := s.Place("staging", func(string) bool { return false })
		if got, was := placed.SecretNames(), s.SecretNames(); len(got) != 1 || got[0] != "staging.one" || was[0] != "one" {
			t.Errorf("%s: SecretNames in staging = %v, and where it came from %v", source, got, was)
		}
		if _, back := placed.Unplace(); back.Triggers[0].Route.Upstream.SecretName() != "one" || placed.SecretNames()[0] != "staging.one" {
			t.Errorf("%s: the way back is another", source)
		}
	}
}
