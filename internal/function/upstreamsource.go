package function

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"

	"go.yaml.in/yaml/v3"
)

// UpstreamServer is one server of a list.
type UpstreamServer struct {
	Address string `json:"address"`          // http://HOST:PORT, https:// or h2c://
	Weight  int    `json:"weight,omitempty"` // 0 = 1
}

// UpstreamDNS are the servers that a name leads to.
type UpstreamDNS struct {
	Name     string `json:"name"`
	Type     string `json:"type,omitempty"`     // DNSAddress or DNSService; "" = DNSAddress
	Port     int    `json:"port,omitempty"`     // of DNSAddress; a DNSService says it itself
	Resolver string `json:"resolver,omitempty"` // IP:PORT of a name server; "" = the machine's
}

// UpstreamConsul are the instances of a service in Consul.
type UpstreamConsul struct {
	URL     string `json:"url"`
	Service string `json:"service"`
	Token   string `json:"token,omitempty"` // the secret that holds it; "" = none
}

// UpstreamEtcd are the servers that the keys below a prefix name.
type UpstreamEtcd struct {
	URL    string `json:"url"`
	Prefix string `json:"prefix"`
}

// Values of UpstreamDNS.Type.
const (
	DNSAddress = "A" // and AAAA
	DNSService = "SRV"
)

func upstreamSources() []member[Upstream] {
	return []member[Upstream]{
		field("static", "The servers: http://HOST:PORT, https:// or h2c://, or a mapping with a weight.", list(upstreamServerValue(), none[UpstreamServer]), func(u *Upstream) *[]UpstreamServer { return &u.Static }),
		field("service", "Instead of static: a service that registers its instances with dalamb; see docs/services.md.", text[string](), func(u *Upstream) *string { return &u.Service }),
		field("dns", "Instead of static: the servers that a name leads to.", pointer(object([]string{"name"},
			field("name", "Such as search.internal, or _http._tcp.search.internal.", text[string](), func(d *UpstreamDNS) *string { return &d.Name }),
			field("type", "A: the name's addresses, of IPv6 too. SRV: names and ports with priority and weight. Default: A.", text(DNSAddress, DNSService), func(d *UpstreamDNS) *string { return &d.Type }),
			field("port", "A only: where the servers listen. Default: 80, with https 443.", whole(), func(d *UpstreamDNS) *int { return &d.Port }),
			field("resolver", "The name server that is asked, as IP:PORT. Default: the machine's.", text[string](), func(d *UpstreamDNS) *string { return &d.Resolver }),
		), none[UpstreamDNS]), func(u *Upstream) **UpstreamDNS { return &u.DNS }),
		field("consul", "Instead of static: a service in Consul.", pointer(object([]string{"url", "service"},
			field("url", "Where Consul's HTTP API is: http://HOST:PORT or https://.", text[string](), func(c *UpstreamConsul) *string { return &c.URL }),
			field("service", "The service's name there.", text[string](), func(c *UpstreamConsul) *string { return &c.Service }),
			field("token", "The secret that holds a token for Consul. Default: none.", text[string](), func(c *UpstreamConsul) *string { return &c.Token }),
		), none[UpstreamConsul]), func(u *Upstream) **UpstreamConsul { return &u.Consul }),
		field("etcd", "Instead of static: the keys of etcd below a prefix, whose values are HOST:PORT or {\"address\": HOST:PORT, \"weight\": 2}.", pointer(object([]string{"url", "prefix"},
			field("url", "Where etcd's JSON gateway is: http://HOST:2379 or https://.", text[string](), func(e *UpstreamEtcd) *string { return &e.URL }),
			field("prefix", "Such as /services/search/.", text[string](), func(e *UpstreamEtcd) *string { return &e.Prefix }),
		), none[UpstreamEtcd]), func(u *Upstream) **UpstreamEtcd { return &u.Etcd }),
		field("kubernetes", "Instead of static: the endpoints of a service in Kubernetes.", pointer(upstreamKubernetesValue(), none[UpstreamKubernetes]), func(u *Upstream) **UpstreamKubernetes { return &u.Kubernetes }),
	}
}

// upstreamServerValue is an address, or a mapping that says more.
func upstreamServerValue() value[UpstreamServer] {
	address := text[string]()
	whole := object([]string{"address"},
		field("address", "http://HOST:PORT, https:// or h2c://.", address, func(s *UpstreamServer) *string { return &s.Address }),
		field("weight", "Its share of the requests, which weighted, leastLoaded and hash look at: 1 to 1000. Default: 1.", whole(), func(s *UpstreamServer) *int { return &s.Weight }),
	)
	schema := maps.Clone(whole.schema)
	schema["type"] = []string{"string", "object"}
	return value[UpstreamServer]{schema, func(p *parser, n *yaml.Node, at string, into *UpstreamServer) {
		if n.Kind == yaml.ScalarNode {
			address.read(p, n, at, &into.Address)
			return
		}
		whole.read(p, n, at, into)
	}}
}

// Server reads an address of UpstreamServer: how it is spoken to, and HOST:PORT.
func (s *UpstreamServer) Server() (scheme UpstreamScheme, address string, err error) {
	u, err := url.Parse(s.Address)
	if err != nil {
		return "", "", err
	}
	scheme = UpstreamScheme(u.Scheme)
	return scheme, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), scheme.DefaultPort())), nil
}

// sources are those that are given, by their names in the manifest.
func (u *Upstream) sources() []string {
	var names []string
	for _, s := range []struct {
		given bool
		name  string
	}{{u.Static != nil, "static"}, {u.Service != "", "service"}, {u.DNS != nil, "dns"}, {u.Consul != nil, "consul"}, {u.Etcd != nil, "etcd"}, {u.Kubernetes != nil, "kubernetes"}} {
		if s.given {
			names = append(names, s.name)
		}
	}
	return names
}

func (c *checker) upstreamSource(at string, u *Upstream) {
	if given := u.sources(); len(given) != 1 {
		c.add(at, "one of static, service, dns, consul, etcd, kubernetes", "has %d sources of servers", len(given))
	}
	if len(u.Static) > MaxUpstreamServers {
		c.add(at+".static", "", "has %d servers; it may have %d", len(u.Static), MaxUpstreamServers)
	}
	seen := map[string]bool{}
	for i, s := range u.Static {
		where := fmt.Sprintf("%s.static[%d]", at, i)
		c.upstreamServer(where, &s)
		if seen[s.Address] {
			c.add(where, "give it a weight", "%q stands there twice", clip(s.Address))
		}
		seen[s.Address] = true
	}
	if u.Service != "" && !ValidValueName(u.Service) {
		c.add(at+".service", "a lower-case letter, then letters, digits and inner hyphens", "%q is no name for a service", clip(u.Service))
	}
	c.upstreamDNS(at+".dns", u.DNS)
	if k := u.Consul; k != nil {
		c.directory(at+".consul.url", k.URL)
		if k.Service == "" || len(k.Service) > maxServiceText {
			c.add(at+".consul.service", "", "%q is no name for a service", clip(k.Service))
		}
		if k.Token != "" {
			c.name(at+".consul.token", k.Token, "secret")
		}
	}
	if e := u.Etcd; e != nil {
		c.directory(at+".etcd.url", e.URL)
		if e.Prefix == "" || len(e.Prefix) > maxServiceText {
			c.add(at+".etcd.prefix", "such as /services/search/", "%q is no prefix of keys", clip(e.Prefix))
		}
	}
	c.upstreamKubernetes(at+".kubernetes", u.Kubernetes)
}

// directory checks where a directory of servers is.
func (c *checker) directory(at, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		c.add(at, "such as http://10.0.0.2:8500", "%q is no URL of http or https", clip(text))
	}
}

// ValidServerAddress says whether somebody could connect to HOST:PORT.
func ValidServerAddress(address string) bool { return checkServiceAddress(address) == nil }

// SecretName is the secret that an upstream's source is asked with; "" = none.
func (u *Upstream) SecretName() string {
	if token := u.token(); token != nil {
		return *token
	}
	return ""
}

// token is where the name of that secret is; nil = the source takes none.
func (u *Upstream) token() *string {
	switch {
	case u == nil:
		return nil
	case u.Consul != nil:
		return &u.Consul.Token
	case u.Kubernetes != nil:
		return &u.Kubernetes.Token
	}
	return nil
}

// place returns an Upstream whose secret has another name.
func (u *Upstream) place(name func(string) string) *Upstream {
	if u.SecretName() == "" {
		return u
	}
	placed := *u
	if u.Consul != nil {
		placed.Consul = new(*u.Consul)
	}
	if u.Kubernetes != nil {
		placed.Kubernetes = new(*u.Kubernetes)
	}
	token := placed.token()
	*token = name(*token)
	return &placed
}

func (c *checker) upstreamServer(at string, s *UpstreamServer) {
	const hint = "such as http://10.0.0.7:8080; the path is the client's, which rewrite changes"
	if s.Weight != 0 {
		between(c.at(at+".weight"), s.Weight, 1, maxServiceWeight)
	}
	u, err := url.Parse(s.Address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		c.add(at, hint, "%q is no address of a server", clip(s.Address))
		return
	}
	oneOf(c, at, UpstreamScheme(u.Scheme), upstreamSchemes())
	_, address, _ := s.Server() // it was parsed above
	if checkServiceAddress(address) != nil {
		c.add(at, hint, "%q is no address that can be connected to", clip(s.Address))
	}
}

func (c *checker) upstreamDNS(at string, d *UpstreamDNS) {
	if d == nil {
		return
	}
	if d.Name == "" || len(d.Name) > 253 || !validTarget.MatchString(d.Name) {
		c.add(at+".name", "such as search.internal", "%q is no name in DNS", clip(d.Name))
	}
	if d.Type != "" {
		oneOf(c, at+".type", d.Type, []string{DNSAddress, DNSService})
	}
	switch {
	case d.Port != 0 && d.Type == DNSService:
		c.add(at+".port", "remove it", "SRV says itself which port it is")
	case d.Port != 0:
		between(c.at(at+".port"), d.Port, 1, 65535)
	}
	if d.Resolver != "" {
		if _, err := netip.ParseAddrPort(d.Resolver); err != nil {
			c.add(at+".resolver", "such as 10.0.0.2:53", "%q is no IP:PORT", clip(d.Resolver))
		}
	}
}

// Key is a text that two upstreams have alike where they mean the same.
func (u *Upstream) Key() string {
	text, err := json.Marshal(u)
	if err != nil { // texts and numbers
		panic("encode an upstream: " + err.Error())
	}
	return string(text)
}

// DefaultPort is where a server listens that says nothing else.
func (s UpstreamScheme) DefaultPort() string {
	if s == UpstreamHTTPS {
		return "443"
	}
	return "80"
}
