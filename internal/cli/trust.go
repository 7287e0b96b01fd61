package cli

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/certificate"
)

// authorityDir is where `dalamb tls` keeps an authority, in the data directory.
const authorityDir = "tls"

// namesAuthorities gives all commands the flag that says by whose word a node is believed.
func (e *environment) namesAuthorities(root *cobra.Command) {
	root.PersistentFlags().StringVar(&e.ca, "ca", "", "`FILE` with the authority of the node's certificate, in PEM (default: DALAMB_CA, else the one that dalamb tls init has made in the data directory; beside those of the machine)")
}

// transport is how a node is spoken to by TLS; name is what its certificate has to prove, "" = the host in its URL. Nil is Go's own way.
func (e *environment) transport(name string) (http.RoundTripper, error) {
	file := e.ca
	if file == "" {
		file = e.get("DALAMB_CA")
	}
	if file == "" {
		own := filepath.Join(e.dir(), authorityDir, certificate.AuthorityFile)
		if _, err := os.Stat(own); err == nil {
			file = own
		}
	}
	if file == "" && name == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if file != "" {
		var err error
		if conf.RootCAs, err = certificate.Roots(file); err != nil {
			return nil, err
		}
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = conf
	return t, nil
}
