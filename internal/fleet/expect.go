package fleet

import "time"

// Expect says that so many calls like c come soon, beyond those that were made already. Instances are started for them as for calls that
// wait, within the same bounds, but after those: nothing is stopped for them. An instance that is busy now counts for one that is expected.
// An alias picks the version once. What was started and is not used ends as any idle instance does. over takes it back, and is to be called
// when the calls are made or will not come. Expect does not block.
func (f *Fleet) Expect(c Call, n int) (over func()) {
	v, err := f.version(c)
	if err != nil || n <= 0 || v.Spec.Entry.Once() {
		return func() {} // who makes the calls is told why they cannot be
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.draining || f.wanted != nil && !f.wanted[keyOf(v)] {
		return func() {}
	}
	p := f.pool(v)
	p.expected += n
	f.ensure(p)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if p.expected -= n; p.expected > 0 {
			return
		}
		if end := p.idleEnd(); !end.IsZero() {
			f.wakeBy(end)
		}
	}
}

// foreseen is how many instances the calls that are expected need.
func (p *pool) foreseen() int {
	if p.expected == 0 {
		return 0
	}
	n := (p.expected + p.target - 1) / p.target
	if p.once {
		n += p.calls + len(p.queue) // no instance of theirs is there for another
	}
	return n
}

// idleEnd is when the first of the idle instances has been so for long enough to be stopped; zero = there is none.
func (p *pool) idleEnd() (end time.Time) {
	for _, i := range p.avail {
		if i.busy == 0 {
			end = earlier(end, i.idleSince.Add(p.version.Spec.Scale.Idle.Std()))
		}
	}
	return end
}
