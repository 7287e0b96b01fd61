package certificate

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/dalamb/dalamb/internal/fault"
)

// ACME says from whom certificates are had for which names. RFC 8555; the server proves that the names are its own by TLS-ALPN-01, RFC 8737, on
// its public listener.
type ACME struct {
	Domains   []string // none = no ACME
	Directory string   // URL; "" = Let's Encrypt
	Email     string   // of the account; "" = none
	CA        string   // file with the authorities that the directory itself is believed by; "" = the machine's
	Dir       string   // where account and certificates are kept
}

// askTimeout bounds one request to the directory.
const askTimeout = 30 * time.Second

// manager asks nobody yet: the first handshake for a name does, and the manager itself some weeks before the certificate ends.
func (a *ACME) manager() (*autocert.Manager, error) {
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of certificates: %w", err)
	}
	client := &acme.Client{DirectoryURL: a.Directory, UserAgent: "dalamb", HTTPClient: &http.Client{Timeout: askTimeout}}
	if a.Directory == "" {
		client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	if a.CA != "" {
		pool, err := readPool(a.CA)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the ACME directory's %w", err)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
		client.HTTPClient.Transport = transport
	}
	return &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(a.Dir), HostPolicy: autocert.HostWhitelist(a.Domains...), Client: client, Email: a.Email,
	}, nil
}
