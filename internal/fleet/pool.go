package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

type poolKey struct {
	name   string
	number int
	digest string // a function that was removed and made again counts from 1 again
}

func keyOf(v *function.Version) poolKey { return poolKey{v.Function(), v.Number, v.Digest} }

// pool is the instances of one version and the calls that wait for them. Guarded by Fleet.mu.
type pool struct {
	key         poolKey
	version     *function.Version
	share       *share
	concurrency int
	target      int // calls at a time per instance from which on another one is wanted
	max         int
	min         int       // instances that are kept now
	prepared    int       // instances that are kept for a roll-out
	minUntil    time.Time // when that may change; zero = never
	once        bool      // an instance takes one invocation
	stdio       bool      // nothing can be started ahead
	wanted      bool

	instances []*instance // all, the starting and stopping ones included
	avail     []*instance // that can take an invocation; the most recently used last
	starting  int
	stopping  int
	calls     int           // that instances work on
	queue     []*waiter     // first come, first served: by since
	spares    int           // once: how many to keep ahead: as many as there were calls at a time of late
	expected  int           // calls that come soon
	startCPU  time.Duration // that the last start took; 0 = not known

	values   int64 // offset of the newest values that its version takes, as far as is known
	proven   int64 // offset of the newest values with which an instance has shown that it starts
	renewing bool  // there may be stale instances

	replaced      []Replacement // the last ones
	replacedTimes int           // all
	unfreezable   bool          // its runner cannot freeze

	stalled spell    // starts that failed, one after another
	last    *failure // of these
	unwell  spell    // instances that were replaced because their health checks failed, and none was well since
}

// grant is an instance, or why there is none.
type grant struct {
	instance *instance
	cold     bool
	thaw     bool // it has to be made warm first
	queued   bool // the call has waited for it
	result   *function.Result
	err      error
}

// failure is why a version cannot start.
type failure struct {
	init *entry.InitError // the function is at fault
	err  error            // dalamb is
}

func (f *failure) Error() string {
	if f.err != nil {
		return f.err.Error()
	}
	return f.init.Error()
}

func (f *failure) grant(wait time.Duration) grant {
	if f.err != nil {
		return grant{err: f.err}
	}
	r := f.init.Result()
	r.RetryAfter = wait
	return grant{result: r}
}

// pool finds or makes the pool of a version. The caller holds mu.
func (f *Fleet) pool(v *function.Version) *pool {
	key := keyOf(v)
	p := f.pools[key]
	if p == nil {
		stdio := v.Spec.Entry.Once()
		p = &pool{
			key: key, version: v, concurrency: 1, max: max(1, v.Spec.Scale.Max),
			stdio: stdio, once: stdio || v.Spec.Scale.Reuse == "never", proven: untried,
			wanted: f.wanted == nil || f.wanted[key], share: f.shareOf(key.name),
		}
		p.share.pools++
		if v.Spec.Entry.Type == function.EntryHTTP && !p.once {
			p.concurrency = max(1, v.Spec.Entry.Concurrency)
		}
		p.target = p.concurrency
		if t := v.Spec.Scale.Target; t > 0 {
			p.target = min(t, p.concurrency)
		}
		f.plan(p)
		f.pools[key] = p
	}
	return p
}

// acquire blocks until an instance has room for one invocation, there cannot be one, or ctx, the call's Kill or its Patience ends that.
func (f *Fleet) acquire(ctx context.Context, v *function.Version, c Call) grant {
	select {
	case <-c.Kill:
		return grant{err: errKilled(v)}
	default:
	}
	f.mu.Lock()
	p := f.pool(v)
	if i := p.take(); i != nil {
		p.burst()
		switch {
		case p.once:
			f.wakeBy(f.o.Now().Add(aheadAfter)) // a start now would take this call's CPU
		case p.target < p.concurrency:
			f.ensure(p)
		}
		g := grant{instance: i, thaw: i.frost.temper != warm}
		f.mu.Unlock()
		return g
	}
	if wait := p.stalled.until.Sub(f.o.Now()); wait > 0 && len(p.instances) == p.stopping {
		g := p.last.grant(wait)
		f.mu.Unlock()
		return g
	}
	if f.closed {
		f.mu.Unlock()
		return grant{err: errStopping()}
	}
	if len(p.queue) >= f.o.MaxQueue {
		err := f.busy(p)
		f.mu.Unlock()
		return grant{err: err}
	}
	w := &waiter{granted: make(chan struct{}), since: f.o.Now()}
	if !c.Asked.IsZero() && c.Asked.Before(w.since) {
		w.since = c.Asked
	}
	p.queueUp(w)
	p.burst()
	f.ensure(p)
	f.mu.Unlock()
	return f.await(ctx, p, w, c)
}

func (f *Fleet) await(ctx context.Context, p *pool, w *waiter, c Call) grant {
	began := f.o.Now()
	var patience <-chan time.Time
	if c.Patience > 0 {
		t := time.NewTicker(c.Patience)
		defer t.Stop()
		patience = t.C
	}
	for waits := true; waits; {
		select {
		case <-w.granted:
			f.metrics.waited(p.version, f.o.Now().Sub(began))
			g := w.grant
			g.queued = true
			return g
		case <-ctx.Done():
			waits = false
		case <-c.Kill:
			waits = false
		case <-patience:
			if err := f.tire(p, w); err != nil {
				return grant{err: err}
			}
		}
	}
	f.mu.Lock()
	served := !p.unqueue(w)
	late := f.late(p, ctx.Err())
	f.mu.Unlock()
	if served && w.grant.instance != nil { // in the same moment, and the call has not begun: somebody else shall have the instance
		f.putBack(w.grant.instance)
	}
	switch err := ctx.Err(); {
	case err == context.DeadlineExceeded:
		return grant{err: late}
	case err == nil:
		return grant{err: errKilled(p.version)}
	}
	return grant{err: fmt.Errorf("wait for an instance of %s: %w", p.version.Function(), ctx.Err())}
}

// aheadAfter is how long after an instance that is used once was taken the next one is started at the latest, if nothing waits for it.
const aheadAfter = 10 * time.Millisecond

// burst notes how many calls there are at a time, where each takes an instance that can be started ahead.
func (p *pool) burst() {
	if p.once && !p.stdio {
		p.spares = max(p.spares, min(p.calls+len(p.queue), p.max))
	}
}

// take gives the most recently used instance that has room, one below the target first. Dead ones that nobody has noticed yet are passed over.
func (p *pool) take() *instance {
	for len(p.avail) > 0 {
		i := p.avail[len(p.avail)-1]
		for n := len(p.avail) - 2; n >= 0 && i.busy >= p.target; n-- {
			if p.avail[n].busy < i.busy {
				i = p.avail[n]
			}
		}
		select {
		case <-i.conn.Done():
			p.unlist(i)
			continue
		default:
		}
		p.occupy(i)
		return i
	}
	return nil
}

func (p *pool) occupy(i *instance) {
	i.busy++
	p.calls++
	if p.once {
		i.leaving = true
	}
	if i.busy >= p.concurrency || i.leaving {
		p.unlist(i)
	}
}

func (p *pool) list(i *instance) {
	if !i.listed {
		i.listed = true
		p.avail = append(p.avail, i)
	}
}

func (p *pool) unlist(i *instance) {
	if i.listed {
		i.listed = false
		p.avail = without(p.avail, i)
	}
}

func (p *pool) drop(i *instance) { p.instances = without(p.instances, i) }

func without(s []*instance, i *instance) []*instance {
	if n := slices.Index(s, i); n >= 0 {
		return slices.Delete(s, n, n+1)
	}
	return s
}

// serve gives an instance to those that wait; what room is left is available. cold: they waited for it to start.
// The caller holds mu.
func (f *Fleet) serve(i *instance, cold bool) {
	p := i.pool
	for i.busy < p.concurrency && !i.leaving {
		w := p.pop()
		if w == nil {
			break
		}
		p.occupy(i)
		w.give(grant{instance: i, cold: cold, thaw: i.frost.temper != warm})
	}
	if i.leaving || i.busy >= p.concurrency {
		return
	}
	if i.busy == 0 {
		if !p.wanted || f.draining || f.closed {
			f.retire(i, stopGrace)
			return
		}
		i.idleSince = f.o.Now()
		f.wakeBy(i.idleSince.Add(p.version.Spec.Scale.Idle.Std()))
		if at := f.freezeAt(i); !at.IsZero() {
			f.wakeBy(at)
		}
	}
	p.list(i)
}

// release takes an instance back after an invocation. When the instance ended before it ever did anything, the result is
// that of a failed start.
func (f *Fleet) release(i *instance, r *function.Result, err error) (lost *function.Result) {
	var bad *backOff
	defer f.tellReplaced()
	defer func() { f.warn(bad) }()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := i.pool
	i.busy--
	p.calls--
	grace, ends := time.Duration(0), true
	switch {
	case err == errNotThawed:
	case err != nil:
		if err == entry.ErrUndelivered && !i.delivered {
			early := unused(i, i.conn)
			bad = f.failed(p, early)
			lost = early.grant(0).result
		}
	case r.Outcome == function.InitError: // of a stdio function
		bad = f.failed(p, &failure{init: &entry.InitError{Outcome: r.Outcome, Failure: r.Failure}})
	default:
		i.delivered = true
		i.runs++
		f.judge(i, r)
		if !i.stale() { // it says nothing of what does not start with the new values
			p.stalled, p.last = spell{}, nil
		}
		switch r.Outcome {
		case function.TimedOut:
			grace = stopGrace
		case function.Crashed, function.OOM:
		default:
			i.prove()
			ends = p.once
		}
	}
	if !ends && f.yields(i) {
		ends, i.pledged = true, true
		f.pledged++
	}
	if !ends && !i.yielded && f.yieldsWithin(i) {
		ends = true
		p.share.tenant.yield(i)
	}
	switch {
	case ends || i.leaving:
		i.leaving, i.grace = true, max(i.grace, grace)
		p.unlist(i)
		if i.busy == 0 {
			f.retire(i, grace)
		}
	case !i.ending:
		f.serve(i, false)
	}
	f.ensure(p)
	if f.starved {
		f.feed()
	}
	f.feedTenant(p.share.tenant)
	return lost
}

// putBack returns an instance that was not used.
func (f *Fleet) putBack(i *instance) {
	var bad *backOff
	defer func() { f.warn(bad) }()
	f.mu.Lock()
	defer f.mu.Unlock()
	i.busy--
	i.pool.calls--
	if i.ending {
		bad = f.lost(i)
		return
	}
	i.leaving = false
	f.serve(i, false)
}
