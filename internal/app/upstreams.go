package app

import (
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/gateway"
	"github.com/dalamb/dalamb/internal/upstream"
)

// openUpstreams makes the pools of servers that answer routes. The registry of services is there.
func (n *Node) openUpstreams() (err error) {
	n.upstreams, err = upstream.New(upstream.Options{
		Catalog: n.catalog, Services: n.instancesOf, MaxAnswer: int64(n.config.Limits.Response), Logger: n.logger, Metrics: n.metrics,
		Secret: func(name string) ([]byte, int64, error) { return n.opened.open(name) }, // which is made later
	})
	return err
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
