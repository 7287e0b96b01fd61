package app

import (
	"cmp"
	"context"
	"net"
	"sync"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/upstream"
)

// openUpstreams makes the pools of servers that answer routes. The registry of services is there.
func (n *Node) openUpstreams() (err error) {
	n.upstreams, err = upstream.New(upstream.Options{
		Catalog: n.catalog, Services: n.instancesOf, MaxAnswer: int64(n.config.Limits.Response), Logger: n.logger, Metrics: n.metrics,
		Secret:  func(name string) ([]byte, int64, error) { return n.opened.open(name) }, // which is made later
		Cluster: n.cluster(),
	})
	return err
}

// cluster is the Kubernetes that the settings name, or else the one that has started the node in a pod and says so in the environment: Kubernetes, "Accessing the
// Kubernetes API from a Pod".
func (n *Node) cluster() upstream.Cluster {
	c := upstream.Cluster{URL: n.config.Kubernetes.URL, Account: n.config.Kubernetes.Account}
	if host := n.getenv("KUBERNETES_SERVICE_HOST"); c.URL == "" && host != "" {
		c.URL = "https://" + net.JoinHostPort(host, cmp.Or(n.getenv("KUBERNETES_SERVICE_PORT"), "443"))
	}
	return c
}

// instancesOf are those of a service; one that is not known has none.
func (n *Node) instancesOf(name string) ([]function.ServiceInstance, <-chan struct{}) {
	changed := n.services.Changed()
	s, err := n.services.View().Service(name)
	if err != nil {
		return nil, changed
	}
	return s.Instances, changed
}

// upstreamsOf lets the gateway ask them.
func (n *Node) upstreamsOf(t *catalog.Trigger) func() gateway.Backend {
	pool := n.upstreams.Pool(t)
	return func() gateway.Backend { return pool.Begin() }
}

// serveUpstreams keeps the pools. When the node stops, requests that servers have may finish in what is left of the drain time. It stops after the fleet was
// drained, whose functions ask servers too, and before who waits for requests.
func (n *Node) serveUpstreams(ctx context.Context) error {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var rest sync.WaitGroup
	rest.Go(func() {
		<-ctx.Done()
		late, cancel := context.WithDeadline(following, n.stopBy)
		defer cancel()
		n.upstreams.Drain(late)
		stop() // ahead of Close: that a check ends now says nothing of a server
		n.upstreams.Close()
	})
	err := n.upstreams.Run(following)
	rest.Wait()
	return err
}
