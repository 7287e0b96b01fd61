package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Files of a cluster with Options.Security, below Dir.
const (
	CAFile      = "ca.pem"         // who signed the brokers' certificates
	ClientFile  = "client.pem"     // a certificate that Mutual takes
	ClientKey   = "client-key.pem" // its key
	OtherCAFile = "other-ca.pem"   // a CA that signed nothing here
)

// certificates are a CA and what it signed, in files below dir.
type certificates struct{ dir string }

// authority is a CA that signs.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func makeCertificates(dir string) (*certificates, error) {
	c := &certificates{dir}
	ca, err := c.authority("dalamb test CA", CAFile)
	if err != nil {
		return nil, err
	}
	if _, err := c.authority("another CA", OtherCAFile); err != nil {
		return nil, err
	}
	// 127.0.0.1 alone: a client that goes by the name localhost must be refused.
	server, serverKey, err := ca.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "broker"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	client, clientKey, err := ca.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: User}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	// Kafka wants key and chain of its PEM key store in one file.
	return c, c.write(map[string][]byte{"server.pem": append(serverKey, server...), ClientFile: client, ClientKey: clientKey})
}

func (c *certificates) authority(name, file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	return &authority{cert, key}, c.write(map[string][]byte{file: encode("CERTIFICATE", der)})
}

// issue signs a certificate for a day and returns it and its key in PEM.
func (a *authority) issue(cert *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	cert.NotBefore, cert.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (c *certificates) write(files map[string][]byte) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), text, 0o600); err != nil {
			return fmt.Errorf("write a certificate: %w", err)
		}
	}
	return nil
}

func (c *certificates) serverProperties() map[string]string {
	all := map[string]string{}
	for _, l := range []Listener{TLS, Mutual, SASLTLS} {
		name := "listener.name." + strings.ToLower(l.String()) + ".ssl."
		maps.Copy(all, map[string]string{
			name + "keystore.type":       "PEM",
			name + "keystore.location":   filepath.Join(c.dir, "server.pem"),
			name + "truststore.type":     "PEM",
			name + "truststore.location": filepath.Join(c.dir, CAFile),
			name + "client.auth":         "none",
		})
		if l == Mutual {
			all[name+"client.auth"] = "required"
		}
	}
	return all
}
