package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/telemetry"
)

// openOTLP makes the way of traces and metrics to a receiver, which need not be there.
func (n *Node) openOTLP() error {
	c := n.config.OTLP
	host, _ := os.Hostname() // a machine without a name has an address at least
	o := telemetry.OTLPOptions{
		Endpoint: c.Endpoint, HTTP: c.Protocol == config.OTLPhttp, Traces: c.Traces, Sample: float64(c.Sample), Metrics: c.Metrics, Interval: c.Interval.Std(),
		Version: n.version, Instance: host + "/" + n.controlListener.Addr().String(), Registry: n.metrics, Logger: n.logger,
	}
	var err error
	if o.Headers, err = otlpHeaders(c.Headers); err != nil {
		return err
	}
	if o.TLS, err = otlpTLS(c); err != nil {
		return err
	}
	if n.otlp, err = telemetry.OpenOTLP(context.Background(), o); err != nil { // what it starts ends with closeOTLP
		return err
	}
	n.tracer = n.otlp.Tracer()
	return nil
}

// flushLeast is how long the last spans and metrics may take to be sent, when the drain time is over already.
const flushLeast = time.Second

// closeOTLP sends what waits in what is left of the drain time: nobody makes any more.
func (n *Node) closeOTLP() {
	if n.otlp == nil {
		return
	}
	by := time.Now().Add(flushLeast)
	if n.stopBy.After(by) {
		by = n.stopBy
	}
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	if err := n.otlp.Close(ctx); err != nil {
		n.logger.Warn("traces and metrics were lost at the end", "err", err)
	}
}

// otlpHeaders reads the fields of each sending. What they say is in no error, since it is secret.
func otlpHeaders(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read the header fields: %w", err).WithHint("the file has one NAME: VALUE a line")
	}
	headers := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, is := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !is || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fault.New(fault.Invalid, "line %d of %s is no header field", n, file).WithHint("write it as NAME: VALUE")
		}
		headers[strings.ToLower(name)] = value // as gRPC wants them
	}
	if err := lines.Err(); err != nil {
		return nil, fault.New(fault.Invalid, "read the header fields: %w", err).WithHint("the file has one NAME: VALUE a line")
	}
	return headers, nil
}

// otlpTLS is how an https receiver is spoken to; nil = as the machine does.
func otlpTLS(c config.OTLP) (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	t := &tls.Config{}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read the authorities: %w", err).WithHint("it names a file with certificates in PEM")
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fault.New(fault.Invalid, "%s has no certificate", c.CA).WithHint("it names a file with certificates in PEM")
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read the certificate and its key: %w", err).WithHint("they name files with a certificate and its key in PEM")
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
