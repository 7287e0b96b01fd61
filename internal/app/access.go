package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
)

// encryption is the TLS that the configuration asks for; nil for none. The files are read now, so that a mistake in them is told at
// once; the node's own certificate is read again for every connection, because such certificates are short-lived.
func encryption(k *config.Kafka) (*tls.Config, error) {
	if !k.TLS {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if k.CA != "" {
		text, err := os.ReadFile(k.CA)
		if err != nil {
			return nil, badOption("ca", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, badOption("ca", fmt.Errorf("%s holds no certificate in PEM", k.CA))
		}
	}
	if k.Cert != "" {
		if _, err := tls.LoadX509KeyPair(k.Cert, k.Key); err != nil {
			return nil, badOption("cert and key", err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(k.Cert, k.Key)
			if err != nil {
				return nil, fmt.Errorf("read the node's certificate: %w", err)
			}
			return &pair, nil
		}
	}
	return c, nil
}

// identity is how the node says who it is; nil when it does not. A password in a file is read again for every connection, so that
// it can be changed while the node runs.
func identity(k *config.Kafka, environment func(string) string) (sasl.Mechanism, error) {
	if k.SASL == "" {
		return nil, nil
	}
	password := func() (string, error) {
		if k.PasswordEnv != "" {
			return environment(k.PasswordEnv), nil
		}
		text, err := os.ReadFile(k.PasswordFile)
		return strings.TrimRight(string(text), "\r\n"), err
	}
	switch p, err := password(); {
	case err != nil:
		return nil, badOption("password-file", err)
	case p == "" && k.PasswordEnv != "":
		return nil, badOption("password-env", fmt.Errorf("the environment variable %s is not set", k.PasswordEnv))
	case p == "":
		return nil, badOption("password-file", fmt.Errorf("%s is empty", k.PasswordFile))
	}
	if k.SASL == "plain" {
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			p, err := password()
			return plain.Auth{User: k.User, Pass: p}, err
		}), nil
	}
	auth := func(context.Context) (scram.Auth, error) {
		p, err := password()
		return scram.Auth{User: k.User, Pass: p}, err
	}
	if k.SASL == "scram-sha-256" {
		return scram.Sha256(auth), nil
	}
	return scram.Sha512(auth), nil
}

func badOption(name string, err error) error {
	return fault.New(fault.Invalid, "%s: %w", name, err).WithHint("docs/kafka.md explains the options")
}

// said tells by which flag a bad option came in.
func said(flag string, err error) error {
	return fault.New(fault.KindOf(err), "%s: %w", flag, err).WithHint("%s", fault.HintOf(err))
}
