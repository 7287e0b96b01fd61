package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxWeight is what DNS and Consul can say at most. With more of it sums would overflow.
const maxWeight = 1<<16 - 1

// Pool are the servers of one route. Safe for concurrent use.
type Pool struct {
	settings
	up      *Upstreams
	source  Source
	known   chan struct{} // closed when the source has said something, or that it cannot
	news    chan struct{} // holds a value when there are servers that were not checked yet
	members atomic.Pointer[[]*member]
	next    atomic.Uint64 // of roundRobin

	once sync.Once // closes known

	mu   sync.Mutex // guards what follows, who is ejected, and the shares of the members
	lost string     // why the source says nothing now; "" = it does
	left []string   // servers that the source has named and nobody may connect to
}

func newPool(u *Upstreams, s settings) *Pool {
	p := &Pool{settings: s, up: u, known: make(chan struct{}), news: make(chan struct{}, 1)}
	p.source = u.sourceOf(s.rule)
	p.members.Store(new([]*member))
	return p
}

// run follows the source and checks the servers until ctx is done.
func (p *Pool) run(ctx context.Context) {
	var work errgroup.Group
	work.Go(func() error { p.feed(ctx); return nil })
	if p.rule.Check != nil {
		work.Go(func() error { p.check(ctx); return nil })
	}
	_ = work.Wait() // none of them fails; a request that has the pool still goes to its servers, whose connections are closed when they have been idle
}

// take puts a new list in the place of the last one. A server that was there before stays what it is.
func (p *Pool) take(list []Server) {
	before := map[string]*member{}
	for _, m := range *p.members.Load() {
		before[m.id()] = m
	}
	var now []*member
	var left []string
	slices.SortFunc(list, func(a, b Server) int { return strings.Compare(a.id(), b.id()) })
	list = slices.CompactFunc(list, func(a, b Server) bool { return a.id() == b.id() })
	fresh := false
	for _, s := range list {
		if len(now) == function.MaxUpstreamServers {
			left = append(left, fmt.Sprintf("%d more than the %d that a pool has at most", len(list)-len(now), len(now)))
			break
		}
		if why := p.refused(&s); why != nil {
			left = append(left, s.Address+": "+why.Error())
			continue
		}
		s.Weight = min(max(1, s.Weight), maxWeight)
		m := before[s.id()]
		if m == nil {
			m, fresh = newMember(p, s), true
		}
		m.say(s)
		delete(before, s.id())
		now = append(now, m)
	}
	p.members.Store(&now)
	for _, m := range before {
		m.retire()
	}
	p.tellLeft(left)
	p.once.Do(func() { close(p.known) })
	if fresh {
		select {
		case p.news <- struct{}{}:
		default:
		}
	}
}

// tellLeft says in the log, once, which servers nobody may connect to.
func (p *Pool) tellLeft(left []string) {
	p.mu.Lock()
	news := len(left) > 0 && !slices.Equal(left, p.left)
	p.left = left
	p.mu.Unlock()
	if news {
		p.up.o.Logger.Warn("servers of an upstream are left out", "function", p.function, "trigger", p.trigger, "servers", left)
	}
}

func (p *Pool) state() wire.Upstream {
	p.mu.Lock()
	out := wire.Upstream{Function: p.function, Route: p.trigger, Source: p.rule.Text(), Balance: p.rule.Algorithm(), Lost: p.lost, Left: p.left, Servers: []wire.UpstreamServer{}}
	p.mu.Unlock()
	for _, m := range *p.members.Load() {
		out.Servers = append(out.Servers, m.state())
	}
	return out
}
