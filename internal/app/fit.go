package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dalamb/dalamb/internal/certificate"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/secret"
)

// fitness is how what a configuration says is held against what a node makes of it.
type fitness struct {
	*config.Finding
	node *Node // of that configuration; nothing of it is open
}

// Fit adds to a finding what else no node starts with, as far as it can be told without one: what is in the files that it names, and what the rooms of a
// node refuse. A start and a check of the configuration both ask here, so that they cannot differ. Nothing is made, changed or connected to.
func Fit(found *config.Finding, environment func(string) string) {
	f := newFitness(found, environment)
	c := found.Node
	f.tls()
	f.exposure()
	if c.Audit.Checkpoints != "" && f.Sound("audit.checkpoints", "data") {
		f.hold("audit.checkpoints", auditPlace(c))
	}
	if f.Sound("otlp.headers") {
		_, err := otlpHeaders(c.OTLP.Headers)
		f.hold("otlp.headers", err)
	}
	if f.Sound("otlp.ca", "otlp.cert", "otlp.key") {
		_, err := otlpTLS(config.OTLP{CA: c.OTLP.CA})
		f.hold("otlp.ca", err)
		_, err = otlpTLS(config.OTLP{Cert: c.OTLP.Cert, Key: c.OTLP.Key})
		f.hold("otlp.cert", err)
	}
	if k := c.EventLog.Kafka; k != nil && f.Sound("eventlog") {
		_, err := encryption(k)
		f.hold("eventlog", err)
		_, err = identity(k, f.node.getenv)
		f.hold("eventlog", err)
	}
	if f.Sound("logs.ship") {
		for _, s := range c.Logs.Ship {
			sink, err := f.node.openSink(s)
			f.hold("logs.ship", err)
			if err == nil {
				sink.Close() // it has connected to nobody
			}
		}
	}
}

// Try adds to a finding what a start finds only by taking it: addresses of this machine, the secrets' key, a sandbox of the runner. All is given back, and
// what another process has, perhaps a node that runs by this configuration, is no mistake.
func Try(ctx context.Context, found *config.Finding, environment func(string) string) error {
	f := newFitness(found, environment)
	c := *found.Node
	for _, l := range []struct{ key, what, at string }{{"gateway", "gateway", c.Gateway}, {"control", "control", c.Control}, {"tls.redirect", "tls-redirect", c.TLS.Redirect}} {
		if l.at == "" || !f.Sound(l.key) {
			continue
		}
		listener, err := listen(l.what, l.at)
		if err == nil {
			listener.Close()
		} else if !errors.Is(err, syscall.EADDRINUSE) {
			f.hold(l.key, err)
		}
	}
	if f.Sound("secrets.key", "secrets.passphrase", "secrets.kms") && c.Secrets.KMS == "" && !strings.HasPrefix(c.Secrets.Passphrase, "fd:") {
		o, err := secretOptions(&c)
		if err == nil {
			err = secret.Opens(ctx, o)
		}
		key := "secrets.key"
		if c.Secrets.Passphrase != "" {
			key = "secrets.passphrase"
		}
		f.hold(key, err)
	}
	if !f.Sound("runner", "sandbox.ids") {
		return nil
	}
	scratch, err := os.MkdirTemp("", "dalamb-check-")
	if err != nil {
		return fault.New(fault.Unavailable, "a sandbox cannot be tried: %w", err).WithHint("set TMPDIR to a directory that this user can write to")
	}
	defer os.RemoveAll(scratch)
	c.Data = scratch // nothing of the real one is touched
	trial := &Node{config: &c, logger: slog.New(slog.DiscardHandler)}
	_, err = trial.try(ctx, c.Runner)
	f.hold("runner", err)
	return nil
}

func newFitness(found *config.Finding, environment func(string) string) *fitness {
	n := &Node{config: found.Node, logger: slog.New(slog.DiscardHandler), stdout: io.Discard, getenv: environment}
	if n.getenv == nil {
		n.getenv = func(string) string { return "" }
	}
	return &fitness{found, n}
}

// hold tells of a setting what a room of the node says against it; nil is nothing.
func (f *fitness) hold(key string, err error) {
	if err != nil {
		f.Wrong(key, fault.HintOf(err), "cannot be taken: %v", err)
	}
}

// tls reads what the listeners would show.
func (f *fitness) tls() {
	t := f.Node.TLS
	if t.Cert != "" && f.Sound("tls.cert", "tls.key") {
		if _, err := certificate.NewServer(certificate.Options{Cert: t.Cert, Key: t.Key, Logger: f.node.logger}); err != nil {
			f.Wrong("tls.cert", "`dalamb tls init` makes both", "%v", err)
		}
	}
	for _, one := range []struct{ key, file string }{{"tls.clients", t.Clients}, {"acme.ca", t.ACME.CA}} {
		if one.file == "" || !f.Sound(one.key) {
			continue
		}
		if _, err := certificate.Roots(one.file); err != nil {
			f.Wrong(one.key, "it begins with -----BEGIN CERTIFICATE-----", "%v", err)
		}
	}
}

// concealed is the advice to who would let other machines speak to the node in the clear.
const concealed = "give the node a certificate (`dalamb tls init`, then --tls-cert and --tls-key; or --acme-domain NAME), listen on 127.0.0.1, or say --insecure; docs/tls.md"

// exposure: other machines may not speak to this one in the clear unless that was said.
func (f *fitness) exposure() {
	c := f.Node
	unclear := slices.ContainsFunc([]string{"tls.cert", "tls.key", "acme.domains", "tls.insecure"}, func(key string) bool { return !f.Sound(key) })
	if unclear || c.TLS.On() || c.TLS.Insecure {
		return
	}
	for _, l := range []struct{ key, at string }{{"gateway", c.Gateway}, {"control", c.Control}} {
		if !f.Sound(l.key) {
			continue
		}
		at, err := net.ResolveTCPAddr("tcp", l.at)
		if err != nil {
			f.hold(l.key, err)
		} else if exposed(at) {
			f.Wrong(l.key, concealed, "would speak plain HTTP to other machines at %s: whoever is between can read tokens and data", at)
		}
	}
}

// exposed says whether other machines reach an address.
func exposed(at net.Addr) bool {
	tcp, ok := at.(*net.TCPAddr)
	return !ok || !tcp.IP.IsLoopback()
}

// auditPlace refuses a place of checkpoints that is none, or lies among what they are to be compared with.
func auditPlace(c *config.Node) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	_, err = openOutside(&c.Audit, filepath.Join(data, auditDir))
	return err
}
