package fleet

import (
	"slices"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

// A version may take secrets and configuration values from outside. When one of them changes, its instances are replaced: a new one is
// started with the new values first, beyond scale.max where need be, and when it is ready an old one takes no more calls and ends after
// those that it has. While the new ones do not start, the old ones go on. Where the node has no place for both, an old one makes way.

// Values are what versions take from outside of themselves.
type Values interface {
	// Offset says where what a version takes changed last: what changed later has a larger one; 0 = it takes nothing. It does not block.
	Offset(v *function.Version) int64
	// Values gives what a version takes, and its Offset. The error, for people, says why it cannot be had.
	Values(v *function.Version) (values entry.Values, offset int64, err error)
}

// noValues is for versions that take nothing.
type noValues struct{}

func (noValues) Offset(*function.Version) int64                              { return 0 }
func (noValues) Values(*function.Version) (v entry.Values, n int64, e error) { return v, 0, nil }

// offsets are those of all versions that have something to take.
func (f *Fleet) offsets(versions []*function.Version, prepared []Prepared) map[poolKey]int64 {
	all := map[poolKey]int64{}
	add := func(v *function.Version) {
		if n := f.o.Values.Offset(v); n > 0 {
			all[keyOf(v)] = n
		}
	}
	for _, v := range versions {
		add(v)
	}
	for _, p := range prepared {
		add(p.Version)
	}
	return all
}

// renew takes note of what the values of a pool's version are now. The caller holds mu.
func (f *Fleet) renew(p *pool, values int64) {
	if values <= p.values {
		return
	}
	p.values = values
	p.stalled, p.last = spell{}, nil // it may start with these, and need not wait for it
	if n := p.outdated(); n > 0 {
		p.renewing = true
		f.o.Logger.Info("instances are replaced: what they take has changed", "function", p.version.Function(), "version", p.version.Number, "instances", n)
	}
}

// stale says whether an instance was started with values that have changed since.
func (i *instance) stale() bool { return i.values < i.pool.values }

// outdated is how many instances are stale and take calls all the same.
func (p *pool) outdated() (n int) {
	if p.values == 0 {
		return 0
	}
	for _, i := range p.instances {
		if i.replaceable() {
			n++
		}
	}
	return n
}

func (i *instance) replaceable() bool {
	return i.stale() && !i.started.IsZero() && !i.ending && !i.leaving
}

// renewals is how many instances to start so that stale ones can go: a quarter of them at a time, which is as many as a pool may have
// beyond its bound.
func (p *pool) renewals() (start, beyond int) {
	left := p.outdated()
	p.renewing = left > 0
	if left == 0 || !p.wanted {
		return 0, 0
	}
	beyond = max(1, left/4)
	return beyond - p.starting, beyond
}

// mayStart says whether a pool's own bound lets it have another instance, and whether a call is to have it.
func (p *pool) mayStart() (may, needed bool) {
	if len(p.instances) < p.max {
		return true, p.demand() > 0
	}
	if !p.renewing {
		return false, false
	}
	start, beyond := p.renewals()
	return start > 0 && len(p.instances) < p.max+beyond, false
}

// succeed lets a stale instance go now that i is ready. Where i has become stale itself while it started, and there are more than there may
// be, one goes too: it would be in the way of the next. The caller holds mu.
func (f *Fleet) succeed(i *instance) {
	p := i.pool
	f.renew(p, i.values)
	p.renewing = p.renewing || i.stale()
	if p.renewing && !i.ending && (!i.stale() || len(p.instances) > p.max) {
		f.relieve(p)
	}
}

// makeWay lets a stale instance go before there is a new one, since the node has no place for both. The caller holds mu.
func (f *Fleet) makeWay(p *pool) {
	goes := func(i *instance) bool { return i.ending || i.leaving }
	if start, _ := p.renewals(); start > 0 && !slices.ContainsFunc(p.instances, goes) {
		f.relieve(p)
	}
}

// relieve lets the stale instance with the fewest calls take no more, and end after those that it has. The caller holds mu.
func (f *Fleet) relieve(p *pool) {
	var i *instance
	for _, other := range p.instances {
		if other.replaceable() && (i == nil || other.busy < i.busy) {
			i = other
		}
	}
	if i == nil {
		return
	}
	if i.busy == 0 {
		f.retire(i, stopGrace)
		return
	}
	p.unlist(i)
	i.leaving, i.grace = true, stopGrace
}
