package fleet

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// A version whose start failed, or whose instance was not well, is not started again for a while: firstBackOff, doubled with each time, at most
// lastBackOff.
const (
	firstBackOff = 100 * time.Millisecond
	lastBackOff  = 30 * time.Second
)

// backOff is what the log is told about a failed start.
type backOff struct {
	version *function.Version
	why     *failure
	wait    time.Duration
}

// failed notes a failed start. Starts that began together count as one. The caller holds mu, and warns when it does no more.
func (f *Fleet) failed(p *pool, why *failure) *backOff {
	now := f.o.Now()
	p.last = why
	if now.Before(p.stalled.until) {
		return nil
	}
	wait := p.stalled.worse(now, why.Error())
	f.wakeBy(p.stalled.until)
	return &backOff{p.version, why, wait}
}

func (f *Fleet) warn(b *backOff) {
	if b == nil {
		return
	}
	f.o.Logger.Warn("function does not start", "function", b.version.Function(), "version", b.version.Number, "wait", b.wait, "err", b.why)
}

// flush answers all that wait. The caller holds mu.
func (f *Fleet) flush(p *pool, g grant) {
	for w := p.pop(); w != nil; w = p.pop() {
		if g.result != nil {
			r := *g.result // each call owns its result
			w.give(grant{result: &r})
			continue
		}
		w.give(g)
	}
}

// demand is how many instances the waiting calls need beyond those that start already.
func (p *pool) demand() int {
	return (len(p.queue)+p.concurrency-1)/p.concurrency - p.starting
}

// ahead is how many instances to start for no call that waits.
func (p *pool) ahead() int {
	if !p.wanted || p.stdio {
		return 0
	}
	n := max(p.min, p.foreseen()) - (len(p.instances) - p.stopping)
	if p.target < p.concurrency {
		n = max(n, (p.calls+len(p.queue)+p.target-1)/p.target-(len(p.instances)-p.stopping))
	}
	if p.spares > 0 {
		n = max(n, p.spares-len(p.avail)-max(0, -p.demand()))
	}
	if p.renewing {
		start, _ := p.renewals()
		n = max(n, start)
	}
	return n
}

// plan finds how many instances a pool keeps now. The caller holds mu.
func (f *Fleet) plan(p *pool) {
	p.min, p.minUntil = 0, time.Time{}
	if f.wanted == nil || f.wanted[p.key] {
		p.min, p.minUntil = p.version.Spec.Scale.MinAt(p.version.Created, f.o.Now())
	}
	p.min = max(p.min, p.prepared)
	if !p.minUntil.IsZero() {
		f.wakeBy(p.minUntil)
	}
}

// ensure starts what is needed, within the bounds of the version and of the node. The caller holds mu.
func (f *Fleet) ensure(p *pool) {
	now := f.o.Now()
	if f.closed || now.Before(p.until()) {
		return
	}
	for {
		may, needed := p.mayStart()
		if !may || !needed && (f.draining || p.ahead() <= 0) {
			return
		}
		if !needed && f.starved {
			return // calls that wait come before instances that nobody waits for
		}
		if t := p.share.tenant; !t.takes(p) {
			t.starved = true
			if needed {
				f.free(p)
			}
			return
		}
		if !f.fits(p, now) {
			f.starved = true
			if needed && f.room(p.share) <= 0 && f.stopping+f.pledged < p.demand() {
				f.evict(p)
			}
			if p.renewing && f.room(p.share) <= 0 {
				f.makeWay(p)
			}
			return
		}
		f.launch(p, !needed)
	}
}

// fits says whether the node's bounds let a pool start an instance. Where the bound of starts alone is in the way, the next sweep is no
// later than that may have changed. The caller holds mu.
func (f *Fleet) fits(p *pool, now time.Time) bool {
	if f.room(p.share) <= 0 {
		return false
	}
	ok, again := f.starts.may(p.share, now)
	if !ok && !again.IsZero() {
		f.wakeBy(again)
	}
	return ok
}

// evict stops the instance, of another version, that has been idle for the longest time, so that p can have its place. What a function
// has reserved it keeps. The caller holds mu.
func (f *Fleet) evict(p *pool) {
	if oldest := f.idlest(func(other *pool) bool {
		return other != p && (other.share == p.share || other.share.held > other.share.reserved)
	}); oldest != nil {
		f.retire(oldest, stopGrace)
	}
}

// idlest is the instance that has been idle for the longest time among some pools; nil = none. The caller holds mu.
func (f *Fleet) idlest(among func(*pool) bool) *instance {
	var oldest *instance
	for _, p := range f.pools {
		if !among(p) {
			continue
		}
		for _, i := range p.avail {
			if i.busy == 0 && (oldest == nil || i.idleSince.Before(oldest.idleSince)) {
				oldest = i
			}
		}
	}
	return oldest
}

// feed gives free places to those that need them most, or sees to it that there will be one. The caller holds mu.
func (f *Fleet) feed() {
	now := f.o.Now()
	for !f.closed {
		p := f.neediest(func(p *pool) bool { return f.fits(p, now) })
		if p == nil {
			break
		}
		f.launch(p, false)
	}
	p := f.neediest(func(*pool) bool { return true })
	f.starved = p != nil
	if p != nil {
		if f.room(p.share) <= 0 && f.stopping+f.pledged == 0 {
			f.evict(p)
		}
		return
	}
	for _, p := range f.pools {
		f.ensure(p) // sets starved again when it cannot have what it wants
	}
}

// want takes the versions that are wanted, whose manifests count, and those of which instances are kept beside them: of these exactly those. Of all others,
// idle instances stop at once and busy ones after their work.
func (f *Fleet) want(versions []*function.Version, prepared []Prepared) {
	offsets := f.offsets(versions, prepared)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holdAll()
	if short := f.reserve(versions); len(short) > 0 {
		f.o.Logger.Warn("functions reserve more instances than the node has; raise limits.instances", "functions", short, "instances", f.o.MaxInstances)
	}
	f.wanted = make(map[poolKey]bool, len(versions))
	for _, v := range versions {
		f.wanted[keyOf(v)] = true
		if (v.Spec.Scale.Min > 0 || v.Spec.Scale.Schedule != nil) && !v.Spec.Entry.Once() {
			f.pool(v)
		}
	}
	f.prepare(prepared)
	for key, p := range f.pools {
		p.wanted = f.wanted[key] || p.prepared > 0
		if p.wanted {
			f.renew(p, offsets[key])
			f.ensure(p)
			continue
		}
		p.spares = 0
		f.retireIdle(p)
		if len(p.instances) == 0 && len(p.queue) == 0 {
			f.forget(p)
		}
	}
}

// retireIdle stops the idle instances of a pool. The caller holds mu.
func (f *Fleet) retireIdle(p *pool) {
	for n := len(p.avail) - 1; n >= 0; n-- {
		if i := p.avail[n]; i.busy == 0 {
			f.retire(i, stopGrace)
		}
	}
}

// sweep stops what has been idle for too long and starts what a back-off held up. It says in what time it is due again,
// 0 for never, and gives a channel that is closed when that has changed.
func (f *Fleet) sweep() (next time.Duration, sooner <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.o.Now()
	f.wakeAt = time.Time{}
	for _, p := range f.pools {
		if !p.minUntil.IsZero() {
			f.plan(p)
		}
		f.sweepIdle(p, now)
		if len(p.queue) > 0 || p.ahead() > 0 {
			if until := p.until(); now.Before(until) {
				f.wakeAt = earlier(f.wakeAt, until)
			} else {
				f.ensure(p)
			}
		}
	}
	if f.starved {
		f.feed()
	}
	if !f.wakeAt.IsZero() {
		next = max(f.wakeAt.Sub(now), time.Millisecond)
	}
	return next, f.earlier
}

// sweepIdle freezes idle instances, and stops them later, the longest unused first, down to the minimum. The caller holds mu.
func (f *Fleet) sweepIdle(p *pool, now time.Time) {
	idle := p.version.Spec.Scale.Idle.Std()
	keep := len(p.instances) - p.stopping - max(p.min, p.foreseen())
	for n := 0; n < len(p.avail); {
		i := p.avail[n]
		end := i.idleSince.Add(idle)
		if at := f.freezeAt(i); i.busy == 0 && !at.IsZero() {
			if now.Before(at) {
				f.wakeAt = earlier(f.wakeAt, at)
			} else {
				f.chill(i)
			}
		}
		switch {
		case i.busy > 0 || keep <= 0:
			n++
		case now.Before(end):
			f.wakeAt = earlier(f.wakeAt, end)
			n++
		default:
			p.spares = 0
			f.retire(i, stopGrace) // takes it off avail
			keep--
		}
	}
}

// wakeBy sees to it that the next sweep is no later than at. The caller holds mu.
func (f *Fleet) wakeBy(at time.Time) {
	if !f.wakeAt.IsZero() && !at.Before(f.wakeAt) {
		return
	}
	f.wakeAt = at
	close(f.earlier)
	f.earlier = make(chan struct{})
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
