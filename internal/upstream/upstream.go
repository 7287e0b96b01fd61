// Package upstream knows the servers that answer routes in the place of functions: which they are, which of them are well, and which one gets a
// request. What is asked before a request gets there, and what becomes of an answer, is the gateway's.
//
// Each route with an upstream has a pool of servers. A source says which they are; the last list that it gave holds while it is gone. A server is left
// out while its checks fail, or while it is ejected because it failed requests. Where that leaves nobody, all are tried: that many are more likely to be
// misjudged than gone. What the pools know is in memory, of each node for itself, and stays from version to version while the settings do.
package upstream

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Catalog says which routes have upstreams.
type Catalog interface {
	View() *catalog.View
	// Changed returns a channel that is closed when there is a newer view.
	Changed() <-chan struct{}
}

// Services gives the instances of a service that registers itself, and a channel that is closed when that may have changed.
type Services func(name string) (instances []function.ServiceInstance, changed <-chan struct{})

// Secret opens a secret by its full name.
type Secret func(name string) (text []byte, revision int64, err error)

// Options of New. Catalog, Services and MaxAnswer are required.
type Options struct {
	Catalog   Catalog
	Services  Services
	Secret    Secret                // nil = there are none
	Cluster   Cluster               // the Kubernetes that the node belongs to
	MaxAnswer int64                 // bytes of an answer that is not passed on as it comes
	Permit    func(netip.Addr) bool // addresses that may be connected to although a name server has said them; nil = none but the usual
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
	Now       func() time.Time
}

// Upstreams are the pools of a node. Safe for concurrent use.
type Upstreams struct {
	o       Options
	metrics *metrics
	lines   *lines
	wake    chan struct{} // holds a value when a pool was made that does not run yet

	mu    sync.Mutex
	pools map[string]*Pool // by what they are made of
}

// New checks the options and starts nothing.
func New(o Options) (*Upstreams, error) {
	if o.Catalog == nil || o.Services == nil || o.MaxAnswer <= 0 {
		return nil, errors.New("upstreams need a catalog, services and a bound of answers")
	}
	if o.Permit == nil {
		o.Permit = func(netip.Addr) bool { return false }
	}
	if o.Secret == nil {
		o.Secret = func(name string) ([]byte, int64, error) {
			return nil, 0, fault.New(fault.NotFound, "there is no secret %q", name)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	u := &Upstreams{o: o, lines: newLines(), wake: make(chan struct{}, 1), pools: map[string]*Pool{}}
	var err error
	if u.metrics, err = newMetrics(o.Metrics, u); err != nil {
		return nil, err
	}
	return u, nil
}

// Pool is that of a route that has an upstream. It runs as long as the catalog has the route with these settings.
func (u *Upstreams) Pool(t *catalog.Trigger) *Pool {
	s := settingsOf(u.o.Catalog.View(), t)
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.pools[s.key()]
	if p == nil {
		p = newPool(u, s)
		u.pools[s.key()] = p
		select {
		case u.wake <- struct{}{}:
		default:
		}
	}
	return p
}

// Run keeps the pools that the catalog's routes want, until ctx is done. What is under way then goes on until Close.
func (u *Upstreams) Run(ctx context.Context) error {
	running := map[*Pool]context.CancelFunc{}
	var work sync.WaitGroup
	defer work.Wait()
	for {
		changed := u.o.Catalog.Changed()
		wanted := u.follow()
		for p, cancel := range running {
			if !slices.Contains(wanted, p) {
				cancel()
				delete(running, p)
			}
		}
		for _, p := range wanted {
			if running[p] == nil {
				ctx, cancel := context.WithCancel(ctx)
				running[p] = cancel
				work.Go(func() { p.run(ctx) })
			}
		}
		select {
		case <-changed:
		case <-u.wake:
		case <-ctx.Done():
			for _, cancel := range running {
				cancel()
			}
			return nil
		}
	}
}

// follow gives the pools that the newest view wants, and forgets all others.
func (u *Upstreams) follow() []*Pool {
	u.mu.Lock()
	before := maps.Clone(u.pools) // one that is made from here on may be of a newer view
	u.mu.Unlock()
	var wanted []*Pool
	keys := map[string]bool{}
	view := u.o.Catalog.View()
	for _, r := range view.Routes() {
		if r.Trigger.Route.Upstream == nil || r.Trigger.Paused {
			continue
		}
		p := u.Pool(r.Trigger)
		wanted = append(wanted, p)
		keys[p.settings.key()] = true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, p := range before {
		if !keys[key] && u.pools[key] == p {
			delete(u.pools, key)
		}
	}
	return wanted
}

// State tells of all pools, or of a function's, sorted.
func (u *Upstreams) State(fn string) []wire.Upstream {
	out := []wire.Upstream{}
	for _, p := range u.all() {
		if fn == "" || p.settings.function == fn {
			out = append(out, p.state())
		}
	}
	return out
}

// all are the pools, sorted by function and route.
func (u *Upstreams) all() []*Pool {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []*Pool
	for _, p := range u.pools {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Pool) int { return strings.Compare(a.settings.key(), b.settings.key()) })
	return all
}
