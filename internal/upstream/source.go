package upstream

import (
	"context"
	"net"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Source says which servers there are.
type Source interface {
	// Watch calls take with the whole list at first, and whenever it may have changed, until ctx is done or the source is gone; it is called again then.
	// An error says why nothing is known.
	Watch(ctx context.Context, take func([]Server)) error
}

// Server is one server as its source has it.
type Server struct {
	Scheme  function.UpstreamScheme
	Address string // HOST:PORT
	Weight  int    // 0 = 1
	Unwell  string // why the source itself says that it is not well; "" = it is, or nobody knows
	Named   trust
}

// trust is who has named a server, and so which addresses it may have.
type trust int

const (
	byAnybody   trust = iota // a directory that others write, such as DNS
	byService                // who has the node's token
	byDeveloper              // who deploys
)

func (s *Server) id() string { return string(s.Scheme) + "://" + s.Address }

// host is the address as a client would name it: without the port where that is the usual one.
func (s *Server) host() string {
	if host, port, err := net.SplitHostPort(s.Address); err == nil && port == s.Scheme.DefaultPort() {
		if net.ParseIP(host).To4() == nil && net.ParseIP(host) != nil {
			return "[" + host + "]"
		}
		return host
	}
	return s.Address
}

// sourceOf makes the source of an upstream.
func (u *Upstreams) sourceOf(rule *function.Upstream) Source {
	scheme := rule.Scheme
	if scheme == "" {
		scheme = function.UpstreamHTTP
	}
	switch {
	case rule.Service != "":
		return &service{of: u.o.Services, name: rule.Service, scheme: scheme}
	case rule.DNS != nil:
		return newNames(rule.DNS, scheme)
	case rule.Consul != nil:
		return &consul{directory: newDirectory("Consul", rule.Consul.URL, nil), rule: rule.Consul, scheme: scheme, secret: u.o.Secret}
	case rule.Etcd != nil:
		return &etcd{directory: newDirectory("etcd", rule.Etcd.URL, nil), prefix: rule.Etcd.Prefix, scheme: scheme}
	case rule.Kubernetes != nil:
		return &kubernetes{rule: rule.Kubernetes, scheme: scheme, cluster: u.o.Cluster, secret: u.o.Secret}
	}
	return listed(rule.Static)
}

// A source that is gone is asked again after a while that grows.
const (
	firstAgain = time.Second
	lastAgain  = 30 * time.Second
)

// feed follows the source until ctx is done. What it said last holds while it is gone.
func (p *Pool) feed(ctx context.Context) {
	wait := firstAgain
	for {
		began := time.Now()
		err := p.source.Watch(ctx, func(list []Server) {
			p.lose(nil)
			p.take(list)
		})
		if ctx.Err() != nil {
			return
		}
		p.lose(err)
		p.once.Do(func() { close(p.known) })
		if time.Since(began) > wait { // else it has only come to go again, as one that may be asked for the list and not for its changes
			wait = firstAgain
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, lastAgain)
	}
}

// lose keeps why the source is gone, nil that it is there, and says in the log when that changes.
func (p *Pool) lose(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	p.mu.Lock()
	was := p.lost
	p.lost = why
	p.mu.Unlock()
	log := p.up.o.Logger.With("function", p.function, "trigger", p.trigger)
	switch {
	case was == "" && why != "":
		log.Warn("the source of an upstream is gone; the servers that it named last hold", "err", why)
	case was != "" && why == "":
		log.Info("the source of an upstream is there again")
	}
}

// listed are the servers of a manifest.
type listed []function.UpstreamServer

// Watch implements Source.
func (l listed) Watch(ctx context.Context, take func([]Server)) error {
	var list []Server
	for _, s := range l {
		scheme, address, err := s.Server()
		if err != nil {
			return err
		}
		list = append(list, Server{Scheme: scheme, Address: address, Weight: s.Weight, Named: byDeveloper})
	}
	take(list)
	<-ctx.Done()
	return nil
}

// service are the instances of a service that registers itself.
type service struct {
	of     Services
	name   string
	scheme function.UpstreamScheme
}

// Watch implements Source.
func (s *service) Watch(ctx context.Context, take func([]Server)) error {
	for {
		instances, changed := s.of(s.name)
		var list []Server
		for _, i := range instances {
			one := Server{Scheme: s.scheme, Address: i.Address, Weight: i.Weight, Named: byService}
			if !i.Healthy {
				one.Unwell = i.Reason
				if one.Unwell == "" {
					one.Unwell = "it is not healthy"
				}
			}
			list = append(list, one)
		}
		take(list)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
