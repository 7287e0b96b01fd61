package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Options of NewServer: either files or names, or neither for a server without TLS.
type Options struct {
	Cert, Key string // files in PEM
	ACME      ACME
	Clients   string // file with the authorities whose certificates clients may show; "" = none is asked for
	Logger    *slog.Logger
	Now       func() time.Time
}

// Server is what a node's listeners show. Safe for concurrent use.
type Server struct {
	pair    *watched[*tls.Certificate]
	acme    *autocert.Manager
	names   []string // by ACME
	clients *watched[*x509.CertPool]
	now     func() time.Time
}

// NewServer reads the files and calls nobody. Nil without an error means that the options ask for no TLS.
func NewServer(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{now: o.Now, names: o.ACME.Domains}
	var err error
	switch {
	case o.Cert != "" && len(o.ACME.Domains) > 0:
		return nil, errors.New("a server has its certificate from files or by ACME, not both")
	case o.Cert != "":
		s.pair, err = watch(o, func() (*tls.Certificate, error) { return readPair(o.Cert, o.Key) }, o.Cert, o.Key)
	case len(o.ACME.Domains) > 0:
		s.acme, err = o.ACME.manager()
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if o.Clients != "" {
		if s.clients, err = watch(o, func() (*x509.CertPool, error) { return readPool(o.Clients) }, o.Clients); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// modern are the cipher suites of TLS 1.2 that are taken: with forward secrecy, and authenticated encryption. TLS 1.3 has no others.
func modern() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// Turn reads the files of options that name others than before, or the same ones anew, at once and whether they have changed or not. They count when
// take is called; an error leaves all as it was. Where a server has its certificate from, and whether it asks clients for theirs, stays as it is.
func (s *Server) Turn(o Options) (take func(), err error) {
	var takes []func()
	if s.pair != nil && o.Cert != "" {
		t, err := s.pair.turn(func() (*tls.Certificate, error) { return readPair(o.Cert, o.Key) }, o.Cert, o.Key)
		if err != nil {
			return nil, err
		}
		takes = append(takes, t)
	}
	if s.clients != nil && o.Clients != "" {
		t, err := s.clients.turn(func() (*x509.CertPool, error) { return readPool(o.Clients) }, o.Clients)
		if err != nil {
			return nil, err
		}
		takes = append(takes, t)
	}
	return func() {
		for _, t := range takes {
			t()
		}
	}, nil
}

// Private is the TLS of a listener that knows its clients by other means: none is asked for a certificate.
func (s *Server) Private() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: modern(), NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: s.certificate,
	}
}

// Public is the TLS of the listener for the outside: it answers ACME's challenges, and asks clients for a certificate where there are
// authorities for these. A client need not have one; one that is of nobody known, or has expired, ends the handshake.
func (s *Server) Public() *tls.Config {
	c := s.Private()
	if s.acme != nil {
		c.NextProtos = append(c.NextProtos, acme.ALPNProto)
	}
	if s.clients == nil {
		return c
	}
	// A session that is resumed is not checked in all that a handshake checks: a client whose authority was taken out of the file must not stay.
	c.SessionTicketsDisabled = true
	asking := c.Clone()
	asking.ClientAuth = tls.VerifyClientCertIfGiven
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
			return nil, nil // who checks a challenge shows nothing, and is asked for nothing
		}
		now := asking.Clone()
		now.ClientCAs = s.clients.get() // never nil, which would stand for all that the machine believes
		return now, nil
	}
	return c
}

// Believes tells of the chains that a handshake has verified whether one of them still ends at an authority that is believed: a connection may
// outlive the place of its authority in the file. Nil = clients of the public listener are not asked for certificates.
func (s *Server) Believes() func(chains [][]*x509.Certificate) bool {
	if s == nil || s.clients == nil {
		return nil
	}
	return func(chains [][]*x509.Certificate) bool {
		now := x509.VerifyOptions{Roots: s.clients.get(), CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		return slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
			_, err := chain[len(chain)-1].Verify(now) // one that is in the pool costs no signature
			return err == nil
		})
	}
}

func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.pair != nil {
		return s.pair.get(), nil
	}
	if hello.ServerName == "" { // a client that names nobody, as one that calls an address, gets the first
		named := *hello
		named.ServerName = s.names[0]
		hello = &named
	}
	return s.acme.GetCertificate(hello)
}

// Name is a name that the server's certificate proves, for a client that calls it by host; "" = host itself is one.
func (s *Server) Name(host string) string {
	if s.pair == nil {
		if slices.Contains(s.names, host) {
			return ""
		}
		return s.names[0]
	}
	leaf := s.pair.get().Leaf
	if leaf.VerifyHostname(host) == nil {
		return ""
	}
	for _, name := range leaf.DNSNames {
		return strings.Replace(name, "*", "dalamb", 1)
	}
	for _, ip := range leaf.IPAddresses {
		return ip.String()
	}
	return ""
}

// Until is when the certificate of files ends; zero = it is not from files.
func (s *Server) Until() time.Time {
	if s.pair == nil {
		return time.Time{}
	}
	return s.pair.get().Leaf.NotAfter
}
