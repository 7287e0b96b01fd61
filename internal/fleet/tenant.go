package fleet

import (
	"cmp"
	"fmt"

	"github.com/dalamb/dalamb/internal/function"
)

// An environment with a quota is held to it before the node's own bounds are asked: what it cannot have it waits for by itself. Nobody gives a place up for a
// function whose environment is in its way but another one of that environment, and no other waits behind it.

// tenant is what an environment has of the node's places and memory, and the most that it may have. Guarded by Fleet.mu.
type tenant struct {
	name    string
	shares  int // of its functions
	places  int // 0 = no bound but the node's
	memory  function.Bytes
	held    int            // instances of all its functions, the stopping ones included
	used    function.Bytes // by the bound of each of these
	leaving int            // instances that stop, or will when their calls have ended, for the quota's sake
	left    function.Bytes // that these may use
	starved bool           // an instance is wanted, and the quota is in its way
}

// Held is what an environment has on a node.
type Held struct {
	Instances int
	Memory    function.Bytes // that they may use, by the bound of each
}

// tenantOf finds or makes the tenant of a function. The caller holds mu.
func (f *Fleet) tenantOf(name string) *tenant {
	env := function.Environment(name)
	t := f.tenants[env]
	if t == nil {
		t = &tenant{name: env}
		t.hold(f.quota(env))
		f.tenants[env] = t
	}
	return t
}

func (f *Fleet) quota(env string) function.Quota {
	if f.o.Quota == nil {
		return function.Quota{}
	}
	return f.o.Quota(env)
}

func (t *tenant) hold(q function.Quota) { t.places, t.memory = q.Instances, q.Memory }

// holdAll takes the quotas as they are now. What is beyond them ends when it has nothing to do, or when its call has ended. The caller holds mu.
func (f *Fleet) holdAll() {
	for env, t := range f.tenants {
		t.hold(f.quota(env))
		for t.over() {
			i := f.idlest(func(p *pool) bool { return p.share.tenant == t })
			if i == nil {
				break
			}
			t.yield(i)
			f.retire(i, stopGrace)
		}
	}
}

// over says whether an environment has more than its quota, those that leave already left out.
func (t *tenant) over() bool {
	return t.places > 0 && t.held-t.leaving > t.places || t.memory > 0 && t.used-t.left > t.memory
}

// yield notes that an instance leaves for the quota's sake.
func (t *tenant) yield(i *instance) {
	i.yielded = true
	t.leaving, t.left = t.leaving+1, t.left+i.pool.memory()
}

// takes says whether the quota of a pool's environment lets it have an instance more.
func (t *tenant) takes(p *pool) bool {
	return (t.places == 0 || t.held < t.places) && (t.memory == 0 || t.used+p.memory() <= t.memory)
}

func (p *pool) memory() function.Bytes { return p.version.Spec.Resources.Memory }

// begun and ended keep the books of an instance. The caller holds mu.
func (t *tenant) begun(i *instance) { t.held, t.used = t.held+1, t.used+i.pool.memory() }

func (t *tenant) ended(i *instance) {
	t.held, t.used = t.held-1, t.used-i.pool.memory()
	if i.yielded {
		t.leaving, t.left = t.leaving-1, t.left-i.pool.memory()
	}
}

// bounded says whether a pool wants an instance for a call that waits, and its environment's quota is in the way. The caller holds mu.
func (f *Fleet) bounded(p *pool) bool { return !p.share.tenant.takes(p) && f.craves(p, f.o.Now()) }

// free sees to it that a function whose environment is at its bound gets what another one of it does not need: the instance that has been idle for the longest
// time. One that stops for that already is waited for. The caller holds mu.
func (f *Fleet) free(p *pool) {
	t := p.share.tenant
	t.starved = true
	if t.leaving > 0 {
		return
	}
	if i := f.idlest(func(other *pool) bool {
		return other != p && other.share.tenant == t && (other.share == p.share || other.share.held > other.share.reserved)
	}); i != nil {
		t.yield(i)
		f.retire(i, stopGrace)
	}
}

// feedTenant is feed for a function of an environment whose quota was in its way. The caller holds mu.
func (f *Fleet) feedTenant(t *tenant) {
	if !t.starved || f.closed {
		return
	}
	t.starved = false
	now := f.o.Now()
	for {
		p := f.neediest(func(p *pool) bool { return p.share.tenant == t && f.fits(p, now) })
		if p == nil {
			break
		}
		f.launch(p, false)
	}
	if p := f.neediestBounded(t, nil); p != nil {
		f.free(p)
		return
	}
	for _, p := range f.pools {
		if p.share.tenant == t {
			f.ensure(p) // sets starved again when it cannot have what it wants
		}
	}
}

// neediestBounded is the pool of an environment that comes first among those which its quota is in the way of, but for those of a share. The caller holds mu.
func (f *Fleet) neediestBounded(t *tenant, but *share) *pool {
	var next *pool
	for _, p := range f.pools {
		if p.share.tenant == t && p.share != but && f.bounded(p) && (next == nil || needs(p, next) < 0) {
			next = p
		}
	}
	return next
}

// yieldsWithin says whether an instance that has just finished a call ends because its environment has more than its quota, or so that another function of it has
// the place. The caller holds mu.
func (f *Fleet) yieldsWithin(i *instance) bool {
	own := i.pool.share
	switch {
	case i.ending || i.leaving:
		return false
	case own.tenant.over():
		return true
	case !own.tenant.starved || own.held <= own.reserved:
		return false
	}
	p := f.neediestBounded(own.tenant, own)
	return p != nil && p.share.held+own.tenant.leaving+2 <= own.held
}

// full says why a quota lets a pool have no instance more. The caller holds mu.
func (t *tenant) full(p *pool) (what, hint string) {
	who := cmp.Or(t.name, function.Production)
	hint = fmt.Sprintf("send less at a time, or have the quota raised: dalamb env quota %s", who)
	if t.places > 0 && t.held >= t.places {
		return fmt.Sprintf("its environment %s has %d instances, and its quota is %d on each node", who, t.held, t.places), hint
	}
	return fmt.Sprintf("the instances of its environment %s may use %s of memory, this one would have %s, and the quota is %s on each node", who, t.used, p.memory(), t.memory), hint
}

// Held says what each environment has on this node; "" is production. Those that have nothing are not in it.
func (f *Fleet) Held() map[string]Held {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]Held{}
	for env, t := range f.tenants {
		if t.held > 0 {
			all[env] = Held{t.held, t.used}
		}
	}
	return all
}
