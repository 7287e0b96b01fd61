package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/fault"
)

// stranger is failure for a connection that was made and came to nothing, because one side does not know or understand the other;
// nil when it is something else.
func (l *Log) stranger(err error) error {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		cert    *tls.CertificateVerificationError
		remote  *net.OpError
		hungUp  *kgo.ErrFirstReadEOF
	)
	untrusted := fault.New(fault.Unauthenticated, "Kafka at %s shows a certificate that is not trusted: %w", l.brokers(), err)
	switch {
	case errors.As(err, &name):
		return untrusted.WithHint("it is made for another name than the one that --log or the broker gives: use that name")
	case errors.As(err, &unknown):
		return untrusted.WithHint("give the certificate of the authority that signed it: ca=FILE in --log")
	case errors.As(err, &cert):
		return untrusted.WithHint("look at the broker's certificate: is its time over?")
	case errors.As(err, &remote) && remote.Op == "remote error": // what crypto/tls calls an alert of the other side
		return fault.New(fault.Unauthenticated, "Kafka at %s refuses the connection: %w", l.brokers(), err).
			WithHint("it may want to see a certificate that it knows: cert=FILE and key=FILE in --log")
	case errors.As(err, &hungUp) && l.o.TLS != nil:
		return fault.New(fault.Unavailable, "Kafka at %s hangs up when TLS is asked for: the broker speaks no TLS there", l.brokers()).
			WithHint("leave tls and ca out of --log, or give the address of the listener with TLS")
	case errors.As(err, &hungUp), strings.Contains(err.Error(), "invalid large response size"): // the client has no value for the second
		return fault.New(fault.Unavailable, "Kafka at %s cannot be talked to: %w", l.brokers(), err).
			WithHint("does it want TLS (tls=on in --log), no TLS, or a user (sasl=MECHANISM in --log)?")
	}
	return nil
}

// Shared says that other nodes may have this log open too; see eventlog.Sharer.
func (l *Log) Shared() bool { return true }
