package fleet

import (
	"cmp"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Of a node's places for instances each function has its share: what it reserved is its own alone, and the rest goes to who needs it, to
// the function with the fewest instances first. A function with two more than another that waits gives one up when a call of it ends. So
// none starves, however long the queue of another is.

// unreserved is the part of a node's places that nobody can reserve: one of so many, and at least one.
const unreserved = 10

// share is what one function has of the node's places. Guarded by Fleet.mu.
type share struct {
	tenant   *tenant   // whose it is
	pools    int       // that refer to it
	held     int       // instances of all its versions, the stopping ones included
	reserved int       // places that are kept for it, those that it holds among them
	asked    int       // that it wants to be kept
	short    time.Time // since when it has not all of these
}

// shareOf finds or makes the share of a pool's function. The caller holds mu.
func (f *Fleet) shareOf(name string) *share {
	s := f.shares[name]
	if s == nil {
		s = &share{tenant: f.tenantOf(name)}
		s.tenant.shares++
		f.shares[name] = s
	}
	return s
}

// forget drops a pool that is empty and of no version that is wanted. The caller holds mu.
func (f *Fleet) forget(p *pool) {
	delete(f.pools, p.key)
	p.share.pools--
	if p.share.pools == 0 && p.share.reserved == 0 {
		f.dropShare(p.key.name, p.share)
	}
	last := p.share.pools == 0
	if last {
		delete(f.spent, p.key.name)
	}
	f.metrics.forget(p.version, last)
}

// dropShare forgets the share of a function that has nothing left. The caller holds mu.
func (f *Fleet) dropShare(name string, s *share) {
	delete(f.shares, name)
	if s.tenant.shares--; s.tenant.shares == 0 {
		delete(f.tenants, s.tenant.name)
	}
}

// reserve keeps places for the functions that ask for that, in the order of their names as far as they go. It returns those that do not
// get all. The caller holds mu.
func (f *Fleet) reserve(versions []*function.Version) (short []string) {
	asked := map[string]int{}
	for _, v := range versions {
		asked[v.Function()] = max(asked[v.Function()], v.Spec.Scale.Reserved)
	}
	for name, s := range f.shares {
		s.reserved, s.asked = 0, 0
		if s.pools == 0 && asked[name] == 0 {
			f.dropShare(name, s)
		}
	}
	left, within := f.o.MaxInstances-max(1, f.o.MaxInstances/unreserved), map[*tenant]int{}
	names := make([]string, 0, len(asked))
	for name, n := range asked {
		if n > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		s := f.shareOf(name)
		s.asked, s.reserved = asked[name], min(asked[name], left)
		if most := s.tenant.places; most > 0 {
			s.reserved = min(s.reserved, most-within[s.tenant])
		}
		left -= s.reserved
		within[s.tenant] += s.reserved
		switch {
		case s.reserved == s.asked:
			s.short = time.Time{}
		case s.short.IsZero():
			s.short = f.o.Now()
			fallthrough
		default:
			short = append(short, name)
		}
	}
	f.keepers = f.keepers[:0]
	for _, s := range f.shares {
		if s.reserved > 0 {
			f.keepers = append(f.keepers, s)
		}
	}
	return short
}

// Bound changes how many instances the node may have: at least one. Those that are beyond it end when they have nothing to do.
func (f *Fleet) Bound(instances int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.o.MaxInstances = instances
	for _, p := range f.pools {
		f.ensure(p)
	}
}

// Most is how many instances all functions together may have now.
func (f *Fleet) Most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.o.MaxInstances
}

// room is how many instances more a function may have now. The caller holds mu.
func (f *Fleet) room(s *share) int {
	free := f.o.MaxInstances - f.total
	for _, k := range f.keepers {
		if k != s {
			free -= max(0, k.reserved-k.held)
		}
	}
	return min(max(free, s.reserved-s.held), f.o.MaxInstances-f.total)
}

// hungry says whether a pool wants an instance for a call that waits, and only the node's bounds are in its way.
func (f *Fleet) hungry(p *pool, now time.Time) bool {
	return f.craves(p, now) && p.share.tenant.takes(p)
}

// craves says whether a pool wants an instance for a call that waits, and nothing of its own is in its way.
func (f *Fleet) craves(p *pool, now time.Time) bool {
	return p.demand() > 0 && len(p.instances) < p.max && !now.Before(p.until())
}

// neediest is the hungry pool that comes first: of a function that does not have what it reserved, then of the one with the fewest
// instances, then whose call has waited longest. nil = none. The caller holds mu.
func (f *Fleet) neediest(among func(*pool) bool) *pool {
	now := f.o.Now()
	var next *pool
	for _, p := range f.pools {
		if f.hungry(p, now) && among(p) && (next == nil || needs(p, next) < 0) {
			next = p
		}
	}
	return next
}

func needs(a, b *pool) int {
	return cmp.Or(
		cmp.Compare(flag(b.share.held < b.share.reserved), flag(a.share.held < a.share.reserved)),
		cmp.Compare(a.share.held, b.share.held),
		a.waitsSince().Compare(b.waitsSince()),
	)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// yields says whether an instance that has just finished a call gives its place to another function. The caller holds mu.
func (f *Fleet) yields(i *instance) bool {
	own := i.pool.share
	if !f.starved || i.ending || i.leaving || own.held <= own.reserved {
		return false
	}
	p := f.neediest(func(p *pool) bool { return p.share != own && f.room(p.share) <= 0 })
	if p == nil {
		return false
	}
	coming := f.stopping + f.pledged
	return p.share.held+coming < p.share.reserved || p.share.held+coming+2 <= own.held
}
