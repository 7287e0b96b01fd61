package upstream

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// namesAgain is how long an answer of DNS holds: the machine's resolver does not tell how long it may.
const namesAgain = 10 * time.Second

// namesTime is how long an answer may take.
const namesTime = 5 * time.Second

// names are the servers that a name in DNS leads to.
type names struct {
	rule     *function.UpstreamDNS
	scheme   function.UpstreamScheme
	resolver *net.Resolver
}

func newNames(rule *function.UpstreamDNS, scheme function.UpstreamScheme) *names {
	return &names{rule: rule, scheme: scheme, resolver: resolverOf(rule)}
}

// resolverOf asks the server that a rule names, or as the machine does.
func resolverOf(rule *function.UpstreamDNS) *net.Resolver {
	if rule.Resolver == "" {
		return &net.Resolver{}
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, rule.Resolver)
	}}
}

// Watch implements Source.
func (n *names) Watch(ctx context.Context, take func([]Server)) error {
	tick := time.NewTicker(namesAgain)
	defer tick.Stop()
	for {
		list, err := n.ask(ctx)
		if err != nil {
			return err
		}
		take(list)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *names) ask(ctx context.Context) ([]Server, error) {
	ctx, cancel := context.WithTimeout(ctx, namesTime)
	defer cancel()
	name := strings.TrimSuffix(n.rule.Name, ".") + "." // nothing is added to it
	if n.rule.Type == function.DNSService {
		return n.services(ctx, name)
	}
	ips, err := n.resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", n.rule.Name, err)
	}
	port := n.scheme.DefaultPort()
	if n.rule.Port != 0 {
		port = strconv.Itoa(n.rule.Port)
	}
	var list []Server
	for _, ip := range ips {
		list = append(list, Server{Scheme: n.scheme, Address: net.JoinHostPort(ip.Unmap().String(), port)})
	}
	return list, nil
}

// services are those of the best priority. RFC 2782.
func (n *names) services(ctx context.Context, name string) ([]Server, error) {
	_, found, err := n.resolver.LookupSRV(ctx, "", "", name)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", n.rule.Name, err)
	}
	var list []Server
	for _, s := range found { // sorted by priority
		target := strings.TrimSuffix(s.Target, ".")
		if s.Priority != found[0].Priority || target == "" {
			continue
		}
		list = append(list, Server{Scheme: n.scheme, Address: net.JoinHostPort(target, strconv.Itoa(int(s.Port))), Weight: int(s.Weight)})
	}
	return list, nil
}
