package backup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

const (
	dialTimeout = 5 * time.Second
	stall       = time.Minute // without a byte in either direction, a connection is given up
)

// transport reaches a store. authority is a file with certificates that are believed beside those of the system; "" = none.
func transport(authority string) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read the authority that AWS_CA_BUNDLE names: %w", err)
		}
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read the authorities of the system: %w", err)
		}
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "%s, which AWS_CA_BUNDLE names, holds no certificate in PEM", authority)
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &lively{c}, nil
		},
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   dialTimeout,
		IdleConnTimeout:       stall / 2, // before lively gives it up
		MaxIdleConnsPerHost:   4,
		DisableCompression:    true, // an object is what was stored
		ExpectContinueTimeout: time.Second,
	}, nil
}

// lively is a connection that ends when nothing goes over it: a store that hangs would hold a backup, and with it the node's log, for ever.
type lively struct{ net.Conn }

func (c *lively) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *lively) Write(p []byte) (int, error) {
	// For who reads, too: an answer is waited for from the last byte of what was asked.
	if err := c.SetDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
