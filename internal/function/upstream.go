package function

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Upstream are servers that are no functions and answer a route in the function's place. Exactly one of its sources says which they are.
type Upstream struct {
	Static     []UpstreamServer    `json:"static,omitempty"`
	Service    string              `json:"service,omitempty"` // one that registers itself with dalamb
	DNS        *UpstreamDNS        `json:"dns,omitempty"`
	Consul     *UpstreamConsul     `json:"consul,omitempty"`
	Etcd       *UpstreamEtcd       `json:"etcd,omitempty"`
	Kubernetes *UpstreamKubernetes `json:"kubernetes,omitempty"`

	Scheme   UpstreamScheme `json:"scheme,omitempty"`   // "" = http; those of Static say it themselves
	Balance  Balance        `json:"balance,omitempty"`  // "" = roundRobin
	By       HashBy         `json:"by,omitempty"`       // of BalanceHash
	Requests int            `json:"requests,omitempty"` // at a time for one server; 0 = no bound
	Check    *UpstreamCheck `json:"check,omitempty"`
	Eject    *UpstreamEject `json:"eject,omitempty"`
	TLS      *UpstreamTLS   `json:"tls,omitempty"`
	Host     UpstreamHost   `json:"host,omitempty"` // "" = pass
}

// UpstreamScheme says how a server is spoken to.
type UpstreamScheme string

// Values of UpstreamScheme.
const (
	UpstreamHTTP  UpstreamScheme = "http"
	UpstreamHTTPS UpstreamScheme = "https"
	UpstreamH2C   UpstreamScheme = "h2c" // HTTP/2 without TLS
)

func upstreamSchemes() []UpstreamScheme {
	return []UpstreamScheme{UpstreamHTTP, UpstreamHTTPS, UpstreamH2C}
}

// Balance says which server gets a request.
type Balance string

// Values of Balance.
const (
	BalanceRoundRobin  Balance = "roundRobin"
	BalanceRandom      Balance = "random"
	BalanceLeastLoaded Balance = "leastLoaded" // of two that are drawn
	BalanceWeighted    Balance = "weighted"    // in turn, by weight
	BalanceHash        Balance = "hash"        // requests with the same key stay on one server
)

func balances() []Balance {
	return []Balance{BalanceRoundRobin, BalanceRandom, BalanceLeastLoaded, BalanceWeighted, BalanceHash}
}

// HashBy is what makes the key of BalanceHash: path, ip, header:NAME or cookie:NAME.
type HashBy string

// Values of HashBy; the others begin with HashByHeader or HashByCookie.
const (
	HashByPath   HashBy = "path"
	HashByIP     HashBy = "ip"
	HashByHeader        = "header:"
	HashByCookie        = "cookie:"
)

// UpstreamHost says which host a server is asked for.
type UpstreamHost string

// Values of UpstreamHost.
const (
	UpstreamHostPass    UpstreamHost = "pass"    // the client's
	UpstreamHostRewrite UpstreamHost = "rewrite" // the server's own
)

// UpstreamCheck asks each server now and then whether it is well.
type UpstreamCheck struct {
	Path      string   `json:"path"`
	Every     Duration `json:"every"`
	Timeout   Duration `json:"timeout"`
	Healthy   int      `json:"healthy"`   // good answers in a row after which a server is taken again
	Unhealthy int      `json:"unhealthy"` // bad ones after which it is left out
}

// UpstreamEject leaves a server out for a while that fails the requests themselves.
type UpstreamEject struct {
	Failures int      `json:"failures"` // in a row
	For      Duration `json:"for"`      // the first time; soon after that twice as long, up to ten times
	Max      Percent  `json:"max"`      // of all servers, at most
}

// UpstreamTLS says how https servers prove who they are.
type UpstreamTLS struct {
	Name string `json:"name,omitempty"` // that their certificate has to be for; "" = the host of the address
	CA   string `json:"ca,omitempty"`   // PEM; "" = the authorities of the machine
}

// Bounds of an Upstream.
const (
	MaxUpstreamServers = 1000
	maxUpstreamCA      = 64 << 10
	maxEjection        = Duration(time.Hour)
)

func defaultUpstreamCheck() UpstreamCheck {
	return UpstreamCheck{Every: Duration(10 * time.Second), Timeout: Duration(2 * time.Second), Healthy: 2, Unhealthy: 3}
}

func defaultUpstreamEject() UpstreamEject {
	return UpstreamEject{Failures: 5, For: Duration(30 * time.Second), Max: 50}
}

func upstreamValue() value[Upstream] {
	return object(nil, append(upstreamSources(),
		field("scheme", "How the servers are spoken to, where static does not say it: http, https, or h2c (HTTP/2 without TLS). Default: http.", text(upstreamSchemes()...), func(u *Upstream) *UpstreamScheme { return &u.Scheme }),
		field("balance", "Which server gets a request: the next one (roundRobin), any (random), the one of two with fewer requests under way (leastLoaded), the next one by weight (weighted), or the one that the request's key stays on (hash). Default: roundRobin.", text(balances()...), func(u *Upstream) *Balance { return &u.Balance }),
		field("by", "hash only: what the key is: path, ip, header:NAME or cookie:NAME.", text[HashBy](), func(u *Upstream) *HashBy { return &u.By }),
		field("requests", "How many requests one server gets at a time, from each node; where all have so many the answer is 503. Default: no bound.", count(), func(u *Upstream) *int { return &u.Requests }),
		field("check", "Ask each server now and then whether it is well. Default: no.", pointer(upstreamCheckValue(), defaultUpstreamCheck), func(u *Upstream) **UpstreamCheck { return &u.Check }),
		field("eject", "Leave a server out for a while that fails requests. Default: no.", pointer(upstreamEjectValue(), defaultUpstreamEject), func(u *Upstream) **UpstreamEject { return &u.Eject }),
		field("tls", "https only: how the servers prove who they are.", pointer(object(nil,
			field("name", "The name that their certificate has to be for. Default: the host of the address.", text[string](), func(t *UpstreamTLS) *string { return &t.Name }),
			field("ca", "The certificates of the authorities that are believed, in PEM. Default: those of the node's machine.", text[string](), func(t *UpstreamTLS) *string { return &t.CA }),
		), none[UpstreamTLS]), func(u *Upstream) **UpstreamTLS { return &u.TLS }),
		field("host", "The host that a server is asked for: the client's (pass), or that of its own address (rewrite). Default: pass.", text(UpstreamHostPass, UpstreamHostRewrite), func(u *Upstream) *UpstreamHost { return &u.Host }),
	)...)
}

func upstreamCheckValue() value[UpstreamCheck] {
	return object([]string{"path"},
		field("path", "Which answers 2xx to GET where the server is well.", text[string](), func(c *UpstreamCheck) *string { return &c.Path }),
		field("every", "Default: 10s.", duration(), func(c *UpstreamCheck) *Duration { return &c.Every }),
		field("timeout", "How long an answer may take. Default: 2s.", duration(), func(c *UpstreamCheck) *Duration { return &c.Timeout }),
		field("healthy", "So many good answers in a row, and a server that was left out gets requests again. Default: 2.", whole(), func(c *UpstreamCheck) *int { return &c.Healthy }),
		field("unhealthy", "So many bad ones in a row, and it gets none. Default: 3.", whole(), func(c *UpstreamCheck) *int { return &c.Unhealthy }),
	)
}

func upstreamEjectValue() value[UpstreamEject] {
	return object(nil,
		field("failures", "So many requests in a row that were answered 500 and above, or not at all. Default: 5.", whole(), func(e *UpstreamEject) *int { return &e.Failures }),
		field("for", "How long it is left out the first time; soon after that twice as long, then three times, up to ten times. Default: 30s.", duration(), func(e *UpstreamEject) *Duration { return &e.For }),
		field("max", "How many of the servers may be left out so at a time. Default: 50%.", percent(), func(e *UpstreamEject) *Percent { return &e.Max }),
	)
}

func (c *checker) upstream(at string, t *Trigger) {
	u, r := t.Route.Upstream, t.Route
	if u == nil {
		return
	}
	for _, f := range []struct {
		given bool
		name  string
	}{
		{r.Redirect != nil, ".redirect"}, {r.Static != nil, ".static"}, {r.Async != "", ".async"}, {r.Sticky != nil, ".sticky"}, {r.Scatter != nil, ".scatter"},
	} {
		if f.given {
			c.add(at+f.name, "remove it, or make a second route", "is about the function, and the route is answered by an upstream")
		}
	}
	at += ".upstream"
	if t.Emit != nil {
		c.add(at, "leave out emit, or upstream", "what an upstream answers are no events")
	}
	c.upstreamSource(at, u)
	if u.Scheme != "" {
		oneOf(c, at+".scheme", u.Scheme, upstreamSchemes())
		if u.Static != nil {
			c.add(at+".scheme", "write it before each address", "the addresses in static say it themselves")
		}
	}
	if u.Balance != "" {
		oneOf(c, at+".balance", u.Balance, balances())
	}
	c.hashBy(at+".by", u)
	if u.Requests != 0 {
		between(c.at(at+".requests"), u.Requests, 1, 100_000)
	}
	c.upstreamHealth(at, u)
	c.upstreamTLS(at+".tls", u)
	if u.Host != "" {
		oneOf(c, at+".host", u.Host, []UpstreamHost{UpstreamHostPass, UpstreamHostRewrite})
	}
}

func (c *checker) hashBy(at string, u *Upstream) {
	by := string(u.By)
	name, named := strings.CutPrefix(by, HashByHeader)
	if !named {
		name, named = strings.CutPrefix(by, HashByCookie)
	}
	const hint = "path, ip, header:NAME or cookie:NAME"
	switch {
	case u.Balance != BalanceHash && by != "":
		c.add(at, "balance: hash", "belongs to hash")
	case u.Balance == BalanceHash && by == "":
		c.add(at, hint, "is required by hash: it says which requests stay on one server")
	case by == "", u.By == HashByPath, u.By == HashByIP:
	case !named || !validToken.MatchString(name):
		c.add(at, hint, "%q makes no key", clip(by))
	}
}

func (c *checker) upstreamHealth(at string, u *Upstream) {
	if k := u.Check; k != nil {
		if !strings.HasPrefix(k.Path, "/") || len(k.Path) > maxServiceText || strings.ContainsFunc(k.Path, func(x rune) bool { return x <= ' ' || x == 0x7f }) {
			c.add(at+".check.path", "such as /healthz", "%q is no path", clip(k.Path))
		}
		between(c.at(at+".check.every"), k.Every, Duration(100*time.Millisecond), Duration(time.Hour))
		between(c.at(at+".check.timeout"), k.Timeout, Duration(10*time.Millisecond), Duration(time.Minute))
		between(c.at(at+".check.healthy"), k.Healthy, 1, 100)
		between(c.at(at+".check.unhealthy"), k.Unhealthy, 1, 100)
	}
	if e := u.Eject; e != nil {
		between(c.at(at+".eject.failures"), e.Failures, 1, 1000)
		between(c.at(at+".eject.for"), e.For, Duration(100*time.Millisecond), maxEjection)
		between(c.at(at+".eject.max"), float64(e.Max), 1, 100)
	}
}

func (c *checker) upstreamTLS(at string, u *Upstream) {
	t := u.TLS
	if t == nil {
		return
	}
	https := u.Scheme == UpstreamHTTPS
	for _, s := range u.Static {
		https = https || strings.HasPrefix(s.Address, string(UpstreamHTTPS)+"://")
	}
	switch {
	case !https:
		c.add(at, "https:// before the addresses, or scheme: https", "no server is spoken to by https")
	case *t == (UpstreamTLS{}):
		c.add(at, "write name or ca", "says nothing")
	}
	if t.Name != "" && !validHost.MatchString(t.Name) {
		c.add(at+".name", "a lower-case host name", "%q is no name of a host", clip(t.Name))
	}
	switch {
	case len(t.CA) > maxUpstreamCA:
		c.add(at+".ca", "", "has %d bytes; it may have %d", len(t.CA), maxUpstreamCA)
	case t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)):
		c.add(at+".ca", "ca: | and below it -----BEGIN CERTIFICATE----- and the rest", "has no certificate in PEM")
	}
}

// Algorithm says by which rule a server is chosen.
func (u *Upstream) Algorithm() string { return string(cmp.Or(u.Balance, BalanceRoundRobin)) }

// Text names where an upstream's servers are found, for people.
func (u *Upstream) Text() string {
	switch {
	case u.Service != "":
		return "service " + u.Service
	case u.DNS != nil:
		return "dns " + u.DNS.Name
	case u.Consul != nil:
		return "consul " + u.Consul.Service
	case u.Etcd != nil:
		return "etcd " + u.Etcd.Prefix
	case u.Kubernetes != nil:
		return "kubernetes " + u.Kubernetes.Name()
	}
	return fmt.Sprintf("static, %d", len(u.Static))
}
