package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/certificate"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/gateway"
)

// soon is how long before its end a certificate is warned of at the start.
const soon = 14 * 24 * time.Hour

// openTLS reads what the listeners show, and refuses to let other machines speak to this one in the clear unless that was said.
func (n *Node) openTLS() (err error) {
	c := n.config.TLS
	if c.Redirect != "" {
		if n.redirectListener, err = listen("tls-redirect", c.Redirect); err != nil {
			return err
		}
	}
	if n.tls, err = certificate.NewServer(n.shown(n.config)); err != nil {
		return err
	}
	if until := n.certificateEnds(); !until.IsZero() && time.Until(until) < soon {
		n.logger.Warn("the listeners' certificate ends soon, or has ended", "file", c.Cert, "until", until)
	}
	open := n.Exposed()
	if len(open) == 0 {
		return nil
	}
	if !c.Insecure {
		return fault.New(fault.Invalid, "%s would speak plain HTTP to other machines: whoever is between can read tokens and data", strings.Join(open, " and ")).
			WithHint("%s", concealed)
	}
	n.logger.Warn("plain HTTP to other machines: whoever is between can read tokens and data", "listeners", open)
	return nil
}

func (n *Node) certificateEnds() time.Time {
	if n.tls == nil {
		return time.Time{}
	}
	return n.tls.Until()
}

// Exposed are the listeners that other machines reach by plain HTTP.
func (n *Node) Exposed() []string {
	if n.tls != nil {
		return nil
	}
	var open []string
	for _, l := range []struct {
		name     string
		listener net.Listener
	}{{"gateway", n.gatewayListener}, {"control", n.controlListener}} {
		if exposed(l.listener.Addr()) {
			open = append(open, fmt.Sprintf("%s %s", l.name, l.listener.Addr()))
		}
	}
	return open
}

// encrypt gives the servers of both listeners what they show.
func (n *Node) encrypt(public, private *http.Server) {
	if n.tls != nil {
		public.TLSConfig, private.TLSConfig = n.tls.Public(), n.tls.Private()
	}
}

// accept serves a listener, by TLS where the server has any.
func accept(s *http.Server, l net.Listener) error {
	if s.TLSConfig != nil {
		return s.ServeTLS(l, "", "")
	}
	return s.Serve(l)
}

// url is the URL of a listener.
func (n *Node) url(l net.Listener) string {
	if n.tls != nil {
		return "https://" + reachable(l)
	}
	return "http://" + reachable(l)
}

// reachable is the address of a listener; one on all addresses is reached on loopback from the same machine.
func reachable(l net.Listener) string {
	at := l.Addr().String()
	for _, all := range []string{"[::]:", "0.0.0.0:"} {
		if port, ok := strings.CutPrefix(at, all); ok {
			return "127.0.0.1:" + port
		}
	}
	return at
}

// name is what the node's certificate proves in the place of the address in a URL; "" = that address itself, or there is none.
func (n *Node) name(address string) string {
	u, err := url.Parse(address)
	if n.tls == nil || err != nil {
		return ""
	}
	return n.tls.Name(u.Hostname())
}

// redirect is the part that sends requests by plain HTTP on to the gateway's https; it has nothing to do where none is wanted.
func (n *Node) redirect(drain time.Duration) func(context.Context) error {
	if n.redirectListener == nil {
		return func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		}
	}
	_, port, err := net.SplitHostPort(n.gatewayListener.Addr().String())
	if err != nil {
		return func(context.Context) error { return fmt.Errorf("find the gateway's port: %w", err) }
	}
	return serve(gateway.Server(toHTTPS(port), n.logger), n.redirectListener, drain)
}

// toHTTPS answers every request with the same URL by https. The method and the body are the client's to send again: RFC 9110, section 15.4.9.
func toHTTPS(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.Trim(host, "[]")
		if host == "" || strings.ContainsFunc(host, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:", c)
		}) || !strings.HasPrefix(r.URL.Path, "/") {
			http.Error(w, "this port sends requests on to https, and the request does not say to which host", http.StatusBadRequest)
			return
		}
		if n, err := strconv.Atoi(port); err != nil || n != 443 || strings.Contains(host, ":") {
			host = net.JoinHostPort(host, port)
		}
		to := url.URL{Scheme: "https", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
	})
}
