package function

import (
	"fmt"
	"slices"
	"strings"
)

// CertificateAuth wants a client's certificate by TLS, of an authority that the node is told of.
type CertificateAuth struct {
	Identity string   `json:"identity,omitempty"` // what of the certificate names who it is: one of CertificateNames; "" = CertificateCN
	Names    []string `json:"names,omitempty"`    // who may call; none = whoever has one
}

// Values of CertificateAuth.Identity.
const (
	CertificateCN      = "cn"      // the subject's common name
	CertificateSubject = "subject" // the whole subject, as RFC 4514 writes it
	CertificateDNS     = "dns"     // the first host name
	CertificateURI     = "uri"     // the first URI, such as a SPIFFE ID
	CertificateEmail   = "email"   // the first mail address
)

func certificateNames() []string {
	return []string{CertificateCN, CertificateSubject, CertificateDNS, CertificateURI, CertificateEmail}
}

// AuthServiceAccount is the Identity.Type of who proves itself by a certificate.
const AuthServiceAccount = "service_account"

func certificateValue() value[CertificateAuth] {
	return object(nil,
		field("identity", "What of the certificate names who calls: the subject's common name (cn), the whole subject, or the first host name, URI or mail address among its alternative names. Default: cn.", text(certificateNames()...), func(a *CertificateAuth) *string { return &a.Identity }),
		field("names", "Who may call, by that. Default: whoever has a certificate.", list(text[string](), none[string]), func(a *CertificateAuth) *[]string { return &a.Names }),
	)
}

func (c *checker) certificate(at string, a *CertificateAuth) {
	if a.Identity != "" {
		oneOf(c, at+".identity", a.Identity, certificateNames())
	}
	for i, name := range a.Names {
		where := fmt.Sprintf("%s.names[%d]", at, i)
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
			c.add(where, "as the certificate has it", "%q is nobody's name", clip(name))
		case slices.Contains(a.Names[:i], name):
			c.add(where, "", "%q stands there twice", clip(name))
		}
	}
}
