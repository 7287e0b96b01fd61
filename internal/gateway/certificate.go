package gateway

import (
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// errNoAuthorities is for the node's log: the route is closed on this node.
var errNoAuthorities = errors.New("this node knows no authority of clients: start it with --tls-client-ca")

// certificate takes the certificate that the client has shown in the handshake, which has checked it against the authorities. A connection may
// outlive the certificate, and what is believed of its authority, so both are looked at for each request.
func (a *authenticator) certificate(x *exchange, r *http.Request) (*function.Identity, error) {
	if a.g.clients == nil {
		return nil, a.closed(errNoAuthorities)
	}
	const challenge = "Certificate"
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, refuse(x, challenge, "this route wants a client's certificate").WithHint("show one of an authority that the node knows, by TLS to the node itself, as `curl --cert FILE --key FILE` does")
	}
	leaf := r.TLS.VerifiedChains[0][0]
	if now := a.g.now(); now.After(leaf.NotAfter) {
		return nil, refuse(x, challenge, "the certificate has expired")
	}
	if !a.g.clients(r.TLS.VerifiedChains) {
		x.Header().Set("Connection", "close") // the next one has a handshake of its own, with another certificate perhaps
		return nil, refuse(x, challenge, "the certificate's authority is not believed any more")
	}
	rule := a.rule.Certificate
	who := certified(leaf, rule.Identity)
	if who == "" {
		return nil, refuse(x, challenge, "the certificate does not say whose it is").WithHint("the route looks for its %s", shownIdentity(rule.Identity))
	}
	if rule.Names != nil && !slices.Contains(rule.Names, who) {
		return nil, fault.New(fault.Denied, "this route is not for %q", fault.Clip(who))
	}
	return &function.Identity{Type: function.AuthServiceAccount, ID: who}, nil
}

func shownIdentity(kind string) string {
	switch kind {
	case "", function.CertificateCN:
		return "subject's common name"
	case function.CertificateSubject:
		return "subject"
	}
	return "alternative names for one of kind " + kind
}

// certified is what names whose a certificate is; "" = nothing does that a header can carry.
func certified(leaf *x509.Certificate, kind string) string {
	who := ""
	switch kind {
	case function.CertificateSubject:
		who = leaf.Subject.String()
	case function.CertificateDNS:
		who = first(leaf.DNSNames)
	case function.CertificateEmail:
		who = first(leaf.EmailAddresses)
	case function.CertificateURI:
		if len(leaf.URIs) > 0 {
			who = leaf.URIs[0].String()
		}
	default:
		who = leaf.Subject.CommonName
	}
	if !sayable(who) {
		return ""
	}
	return who
}

// maxIdentity bounds what an identity may be called, in bytes.
const maxIdentity = 1024

// sayable says whether a header field can carry a text as it is.
func sayable(s string) bool {
	return len(s) <= maxIdentity && utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
