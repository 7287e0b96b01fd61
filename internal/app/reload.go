package app

import (
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dalamb/dalamb/internal/certificate"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/forwarded"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/telemetry"
)

// configured is what of its configuration a running node has taken.
type configured struct {
	signin atomic.Pointer[config.Signin]

	mu  sync.Mutex
	now *config.Node
}

// Reload takes of a configuration what a running node can, and tells the log which settings hold from now on, and which take a restart. Certificates are
// read again in any case. On an error all stays as it was.
func (n *Node) Reload(c *config.Node) error {
	n.taken.mu.Lock()
	defer n.taken.mu.Unlock()
	was, next := n.taken.now, *n.taken.now
	changed, restart := []string{}, []string{}
	for _, s := range config.Settings() {
		switch {
		case s.Same(was, c):
		case s.Live && n.moves(s, c):
			s.Copy(&next, c)
			changed = append(changed, s.Key)
		default:
			restart = append(restart, s.Key)
		}
	}
	if err := config.Holds(&next); err != nil { // a value may fit only together with one that takes a restart
		return err
	}
	level, err := telemetry.Level(next.Log.Level)
	if err != nil {
		return err
	}
	if n.tls != nil {
		certificates, err := n.tls.Turn(n.shown(&next))
		if err != nil {
			return err
		}
		certificates()
	}
	if n.level != nil {
		n.level.Set(level)
	}
	n.gateway.Change(gateway.Live{Batch: int64(next.Limits.Batch), Upload: int64(next.Limits.Upload), Redact: next.Redact, Proxies: trusted(&next)})
	n.callback.Allow(calledBack(&next))
	n.fleet.Bound(next.Limits.Instances)
	n.taken.signin.Store(&next.Signin)
	n.taken.now = &next
	n.logger.Info("configuration read again", "settings", changed)
	if len(restart) > 0 {
		n.logger.Warn("settings have changed that take a restart; until then they stay as they were", "settings", restart)
	}
	return nil
}

// moves says whether the node can take a setting's new value: files may take the place of files, but TLS does not come or go, nor does an issuer.
func (n *Node) moves(s config.Setting, c *config.Node) bool {
	was := n.taken.now
	switch {
	case s.Key == "tls.cert" || s.Key == "tls.key":
		return was.TLS.Cert != "" && c.TLS.Cert != "" && c.TLS.Key != ""
	case s.Key == "tls.clients":
		return was.TLS.Clients != "" && c.TLS.Clients != ""
	case strings.HasPrefix(s.Key, "signin."):
		return was.Signin.Issuer != "" && c.Signin.Issuer == was.Signin.Issuer
	}
	return true
}

// shown says what the listeners show by TLS.
func (n *Node) shown(c *config.Node) certificate.Options {
	t := c.TLS
	return certificate.Options{
		Cert: t.Cert, Key: t.Key, Clients: t.Clients, Logger: n.logger,
		ACME: certificate.ACME{Domains: t.ACME.Domains, Directory: t.ACME.Directory, Email: t.ACME.Email, CA: t.ACME.CA, Dir: filepath.Join(n.config.Data, "acme")},
	}
}

// trusted says which proxies are believed.
func trusted(c *config.Node) forwarded.Trust {
	return forwarded.Trust{Proxies: c.Proxies.Networks(), Way: c.Proxies.Header}
}
