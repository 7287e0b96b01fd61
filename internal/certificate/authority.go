package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// How long certificates hold. No browser takes a server's that holds for longer than 398 days.
const (
	authorityTime = 10 * 365 * 24 * time.Hour
	DefaultTime   = 397 * 24 * time.Hour
	// backdated is for clocks that are behind.
	backdated = time.Hour
)

// Files of an authority's directory.
const (
	AuthorityFile = "ca.pem"
	authorityKey  = "ca.key"
)

// Authority is a certificate authority of one installation's own: it makes certificates for its servers and for clients.
type Authority struct {
	dir  string
	now  func() time.Time
	cert *x509.Certificate
	key  crypto.Signer
}

// Made says where a certificate and its key are.
type Made struct {
	Cert, Key string // files, mode 0600
	Names     []string
	Until     time.Time
}

// OpenAuthority reads the authority of a directory, and makes both where there is none: made says that it is new.
func OpenAuthority(dir string, now func() time.Time) (a *Authority, made bool, err error) {
	a = &Authority{dir: dir, now: now}
	if err := a.read(); !errors.Is(err, fs.ErrNotExist) {
		return a, false, err
	}
	if _, err := os.Stat(a.path(AuthorityFile)); err == nil {
		return nil, false, fault.New(fault.Conflict, "%s is there, and its key %s is not", a.path(AuthorityFile), authorityKey).
			WithHint("bring the key back, or remove the authority: whoever believes it has to be given the new one then")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("make the authority's directory: %w", err)
	}
	if err := a.create(); err != nil {
		return nil, false, err
	}
	return a, true, nil
}

// Path is the file with the authority's certificate, which all that talk to its servers need.
func (a *Authority) Path() string { return a.path(AuthorityFile) }

// Until is when the authority ends.
func (a *Authority) Until() time.Time { return a.cert.NotAfter }

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *Authority) read() error {
	key, err := os.ReadFile(a.path(authorityKey))
	if err != nil {
		return fmt.Errorf("read the authority: %w", err)
	}
	cert, err := os.ReadFile(a.path(AuthorityFile))
	if err != nil {
		return fault.New(fault.Conflict, "%s is there, and its certificate %s is not", a.path(authorityKey), AuthorityFile).
			WithHint("bring the certificate back, or remove the key to make a new authority")
	}
	damaged := func(name string, err error) error {
		return fault.New(fault.Invalid, "%s cannot be read: %w", a.path(name), err).WithHint("bring it back from where it was saved, or remove %s and %s to make a new authority", AuthorityFile, authorityKey)
	}
	der, err := block(cert, "CERTIFICATE")
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return damaged(AuthorityFile, err)
	}
	der, err = block(key, "PRIVATE KEY")
	var parsed any
	if err == nil {
		parsed, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return damaged(authorityKey, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if public, same := a.cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same || !public.Equal(signer.Public()) {
		return damaged(authorityKey, errors.New("it is not the key of "+AuthorityFile))
	}
	if a.now().After(a.cert.NotAfter) {
		return fault.New(fault.Conflict, "the authority %s has ended on %s", a.path(AuthorityFile), a.cert.NotAfter.Format(time.DateOnly)).
			WithHint("remove %s and %s to make a new one, and give that to whoever believes the old one", AuthorityFile, authorityKey)
	}
	a.key = signer
	return nil
}

// create writes the key first: a certificate without a key would be an authority that makes nothing.
func (a *Authority) create() error {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	template := a.template("dalamb of "+host, authorityTime)
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	if err := a.write(a.path(AuthorityFile), a.path(authorityKey), der, key); err != nil {
		return err
	}
	a.cert, err = x509.ParseCertificate(der)
	a.key = key
	return err
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

func (a *Authority) template(name string, valid time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil { // it never fails: crypto/rand
		panic(err)
	}
	now := a.now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"dalamb"}},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(valid),
	}
}

func (a *Authority) write(cert, key string, der []byte, private crypto.Signer) error {
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if err := durable.Replace(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})); err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	if err := durable.Replace(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return fmt.Errorf("write a certificate: %w", err)
	}
	return nil
}

func block(text []byte, kind string) ([]byte, error) {
	b, _ := pem.Decode(text)
	if b == nil || b.Type != kind {
		return nil, fmt.Errorf("it holds no %s in PEM", kind)
	}
	return b.Bytes, nil
}

var (
	// validHost takes a wildcard in the place of the first label. RFC 6125, section 6.4.3.
	validHost   = regexp.MustCompile(`^(\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*$`)
	validClient = regexp.MustCompile(`^[A-Za-z0-9]([-._@A-Za-z0-9]*[A-Za-z0-9])?$`)
)

// IsHost says whether a certificate can have a host name.
func IsHost(name string) bool {
	return len(name) <= 253 && validHost.MatchString(strings.ToLower(name))
}

// Server makes server.pem and server.key for host names and addresses; what was there is replaced.
func (a *Authority) Server(names []string, valid time.Duration) (Made, error) {
	if len(names) == 0 {
		return Made{}, fault.New(fault.Invalid, "a server's certificate needs a name").WithHint("a host name or an address")
	}
	template := a.template(names[0], valid)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		ip, err := netip.ParseAddr(name)
		switch {
		case err == nil && ip.Zone() == "":
			template.IPAddresses = append(template.IPAddresses, ip.Unmap().AsSlice())
		case IsHost(name):
			template.DNSNames = append(template.DNSNames, strings.ToLower(name))
		default:
			return Made{}, fault.New(fault.Invalid, "%q is no host name and no address", fault.Clip(name)).WithHint("such as shop.example, *.shop.example or 192.0.2.7, without a port")
		}
	}
	return a.issue("server", names, template)
}

// Client makes client-NAME.pem and client-NAME.key, which say that who has them is NAME.
func (a *Authority) Client(name string, valid time.Duration) (Made, error) {
	if len(name) > 64 || !validClient.MatchString(name) {
		return Made{}, fault.New(fault.Invalid, "%q is no name for a client", fault.Clip(name)).WithHint("letters, digits and inner -, ., _ and @, at most 64 characters, such as partner")
	}
	template := a.template(name, valid)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue("client-"+name, []string{name}, template)
}

func (a *Authority) issue(file string, names []string, template *x509.Certificate) (Made, error) {
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter // nobody would believe it for longer
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	key, err := newKey()
	if err != nil {
		return Made{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return Made{}, fmt.Errorf("make a certificate for %s: %w", names[0], err)
	}
	m := Made{Cert: a.path(file + ".pem"), Key: a.path(file + ".key"), Names: names, Until: template.NotAfter}
	return m, a.write(m.Cert, m.Key, der, key)
}
