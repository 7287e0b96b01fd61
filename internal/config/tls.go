package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// TLS says how the listeners prove who they are, and know clients.
type TLS struct {
	Cert, Key string // files; "" = none
	Clients   string // file with authorities of clients; "" = none
	Redirect  string // host:port; "" = none
	ACME      ACME
	Insecure  bool // plain HTTP for other machines
}

// ACME says from whom certificates are had.
type ACME struct {
	Domains   []string // none = from nobody
	Directory string   // URL; "" = Let's Encrypt
	CA        string   // file; "" = what the machine believes
	Email     string   // "" = none
}

// On says whether the listeners speak TLS.
func (t *TLS) On() bool { return t.Cert != "" || len(t.ACME.Domains) > 0 }

func tlsSettings() []Setting {
	return []Setting{
		{Key: "tls.cert", Flag: "tls-cert", Form: "file", Live: true, Help: "The certificate of both listeners, in PEM, with those that lead to its authority behind it. Read again when it changes. Default: plain HTTP; docs/tls.md.",
			value: func(n *Node) any { return &n.TLS.Cert },
			check: func(n *Node) string {
				switch {
				case (n.TLS.Cert == "") != (n.TLS.Key == ""):
					return "and tls.key go together; one of them is missing"
				case n.TLS.Cert != "" && len(n.TLS.ACME.Domains) > 0:
					return "and acme.domains exclude each other"
				}
				return plain(n.TLS.Cert)
			}},
		{Key: "tls.key", Flag: "tls-key", Form: "file", Live: true, Help: "The key of tls.cert, in PEM.",
			value: func(n *Node) any { return &n.TLS.Key }, check: func(n *Node) string { return plain(n.TLS.Key) }},
		{Key: "tls.clients", Flag: "tls-client-ca", Form: "file", Live: true, Help: "The authorities, in PEM, whose certificates clients of the gateway may show; routes with auth: {certificate: {}} want one. Default: clients are not asked.",
			value: func(n *Node) any { return &n.TLS.Clients },
			check: func(n *Node) string {
				if n.TLS.Clients != "" && !n.TLS.On() {
					return "takes a listener that speaks TLS: tls.cert and tls.key, or acme.domains"
				}
				return plain(n.TLS.Clients)
			}},
		{Key: "tls.redirect", Flag: "tls-redirect", Form: "host:port", Help: "Where requests by plain HTTP are sent on to the gateway's https. Default: nowhere.",
			value: func(n *Node) any { return &n.TLS.Redirect },
			check: func(n *Node) string {
				switch {
				case n.TLS.Redirect == "":
					return ""
				case !n.TLS.On():
					return "takes a listener that speaks TLS: tls.cert and tls.key, or acme.domains"
				}
				return address(n.TLS.Redirect)
			}},
		{Key: "tls.insecure", Flag: "insecure", Form: "true or false", Help: "Listeners that other machines reach may speak plain HTTP: tokens and data can be read on the way. Without it such a start is refused.",
			value: func(n *Node) any { return &n.TLS.Insecure }, check: func(*Node) string { return "" }},
		{Key: "acme.domains", Flag: "acme-domain", Form: "list of host names", List: true, Help: "Names for which certificates are had by ACME (Let's Encrypt) and renewed. The gateway has to be reached at port 443 of each. To have them is to agree to the terms of who gives them.",
			value: func(n *Node) any { return &n.TLS.ACME.Domains }, check: func(n *Node) string { return domains(n.TLS.ACME.Domains) }},
		{Key: "acme.directory", Flag: "acme-directory", Form: "URL", Help: "Who gives the certificates. Default: Let's Encrypt.",
			value: func(n *Node) any { return &n.TLS.ACME.Directory },
			check: func(n *Node) string {
				if u, err := url.Parse(n.TLS.ACME.Directory); n.TLS.ACME.Directory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
					return fmt.Sprintf("is %q, not a URL such as https://acme-v02.api.letsencrypt.org/directory", n.TLS.ACME.Directory)
				}
				return ""
			}},
		{Key: "acme.ca", Form: "file", Help: "The authorities, in PEM, by which acme.directory itself is believed. Default: those of the machine.",
			value: func(n *Node) any { return &n.TLS.ACME.CA }, check: func(n *Node) string { return plain(n.TLS.ACME.CA) }},
		{Key: "acme.email", Flag: "acme-email", Form: "address", Help: "Who is told when a certificate is about to end. Default: nobody.",
			value: func(n *Node) any { return &n.TLS.ACME.Email }, check: func(n *Node) string { return plain(n.TLS.ACME.Email) }},
	}
}

func domains(names []string) string {
	for _, n := range names {
		if _, err := netip.ParseAddr(n); err == nil || !strings.Contains(n, ".") || strings.ContainsFunc(n, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
		}) || strings.HasPrefix(n, ".") || strings.HasSuffix(n, ".") {
			return fmt.Sprintf("has %q, which is no host name such as shop.example; ACME gives no certificate for addresses and wildcards here", n)
		}
	}
	return ""
}
