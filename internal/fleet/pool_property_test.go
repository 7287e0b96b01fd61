package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// fate is what happens to one invocation or start.
type fate uint8

const (
	fine fate = iota
	fails
	timesOut
	crashes
	diesAfter  // answers, and its instance ends a little later, as an idle one
	notStarted // of a start: init error
	brokenDown // of a start: the runner fails
)

// plan is one drawn history: which calls come when, and what becomes of them.
type plan struct {
	kinds  []string
	max    []int
	min    []int
	keep   []int // scale.reserved
	target []int // scale.target of those that take several at a time
	node   int
	begin  int // starts at a time
	delay  time.Duration
	freeze time.Duration // scale.freeze
	chill  time.Duration // freezing and thawing take so long
	frosts []fate        // of freezing and thawing
	calls  []plannedCall
	starts []fate
	drain  bool
}

type plannedCall struct {
	fn     int
	after  time.Duration // since the call before
	work   time.Duration
	wait   time.Duration // of its context; 0 = for ever
	fate   fate
	direct bool // asks for the version by its number
}

func drawPlan(t *rapid.T) plan {
	ms := func(name string, highest int) time.Duration {
		return time.Duration(rapid.IntRange(0, highest).Draw(t, name)) * time.Millisecond
	}
	p := plan{
		node:   rapid.IntRange(1, 6).Draw(t, "node bound"),
		begin:  rapid.IntRange(1, 4).Draw(t, "starts at a time"),
		delay:  ms("start takes", 30),
		drain:  rapid.Bool().Draw(t, "drain"),
		freeze: ms("freeze", 20), chill: ms("freezing takes", 5),
		frosts: rapid.SliceOfN(rapid.SampledFrom([]fate{fine, fine, fine, fine, fails}), 1, 20).Draw(t, "frosts"),
	}
	for range rapid.IntRange(1, 3).Draw(t, "functions") {
		p.kinds = append(p.kinds, rapid.SampledFrom([]string{"idle", "never", "stdio", "web"}).Draw(t, "kind"))
		most := rapid.IntRange(1, 4).Draw(t, "max")
		p.max = append(p.max, most)
		p.min = append(p.min, rapid.IntRange(0, min(1, most)).Draw(t, "min"))
		p.keep = append(p.keep, rapid.IntRange(0, most).Draw(t, "reserved"))
		p.target = append(p.target, rapid.IntRange(0, 3).Draw(t, "target"))
	}
	for range rapid.IntRange(1, 60).Draw(t, "calls") {
		c := plannedCall{
			fn: rapid.IntRange(0, len(p.kinds)-1).Draw(t, "fn"), after: ms("after", 20), work: ms("work", 40),
			fate:   rapid.SampledFrom([]fate{fine, fine, fine, fine, fails, timesOut, crashes, diesAfter}).Draw(t, "fate"),
			direct: rapid.Bool().Draw(t, "direct"),
		}
		if rapid.Bool().Draw(t, "impatient") {
			c.wait = ms("wait", 60) + time.Millisecond
		}
		p.calls = append(p.calls, c)
	}
	p.starts = rapid.SliceOfN(rapid.SampledFrom([]fate{fine, fine, fine, fine, fine, notStarted, brokenDown}), 1, 30).Draw(t, "starts")
	return p
}

func (p plan) version(n int) *function.Version {
	v := version(fmt.Sprintf("fn-%d", n), scale(p.min[n], p.max[n]), freezes(p.freeze), func(s *function.Spec) { s.Scale.Reserved = p.keep[n] })
	switch p.kinds[n] {
	case "never":
		never(&v.Spec)
	case "stdio":
		stdio(&v.Spec)
	case "web":
		concurrent(3)(&v.Spec)
		v.Spec.Scale.Target = p.target[n]
	}
	return v
}

// run plays the plan and returns what was wrong.
func (p plan) run(t *testing.T) (wrong []string) {
	var mu sync.Mutex
	complain := func(format string, args ...any) {
		mu.Lock()
		wrong = append(wrong, fmt.Sprintf(format, args...))
		mu.Unlock()
	}
	s := &fakeStarter{delay: p.delay, chill: p.chill}
	s.stiff = func(n int, _ bool) error {
		if p.frosts[n%len(p.frosts)] == fails {
			return errors.New("drawn")
		}
		return nil
	}
	s.fails = func(n int) error {
		switch p.starts[n%len(p.starts)] {
		case notStarted:
			return initError("drawn")
		case brokenDown:
			return fault.New(fault.Unavailable, "drawn")
		}
		return nil
	}
	s.work = func(c *fakeConn, inv *function.Invocation) (*function.Result, error) {
		call := p.calls[inv.Attempt]
		select {
		case <-time.After(call.work):
		case <-c.stopped:
			return nil, fault.New(fault.Unavailable, "stopped")
		case <-c.done:
			return ended(function.Crashed)
		}
		switch call.fate {
		case fails:
			return ended(function.Failed)
		case timesOut:
			return ended(function.TimedOut)
		case crashes:
			c.die()
			return ended(function.Crashed)
		case diesAfter:
			time.AfterFunc(time.Millisecond, c.die)
		}
		return done(c.start.ID)
	}
	catalog := newShop()
	for n := range p.kinds {
		catalog.deploy(p.version(n))
	}
	f, err := New(Options{
		Starter: s, Functions: catalog, MaxInstances: p.node, MaxStarts: p.begin,
		Code: func(string) (string, error) { return "/code", nil },
	})
	if err != nil {
		return []string{err.Error()}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		f.Run(ctx)
	}()
	synctest.Wait() // reservations hold from the moment that Run knows of them

	var calls sync.WaitGroup
	ends := make([]int, len(p.calls))
	for n, c := range p.calls {
		time.Sleep(c.after)
		calls.Go(func() {
			ctx, cancel := context.Background(), context.CancelFunc(func() {})
			if c.wait > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.wait)
			}
			defer cancel()
			request := Call{Function: fmt.Sprintf("fn-%d", c.fn), Invocation: &function.Invocation{Attempt: n}}
			if c.direct {
				request.Version = 1
			}
			began := time.Now()
			r, err := f.Invoke(ctx, request)
			mu.Lock()
			ends[n]++
			mu.Unlock()
			for _, w := range unbalanced(f) {
				complain("after call %d: %s", n, w)
			}
			if (r == nil) == (err == nil) {
				complain("call %d: result %v and error %v", n, r, err)
			}
			// One whose instance was lost while it thawed looks for another, and may find that its time has passed.
			exact := p.freeze == 0 || p.chill == 0
			if took := time.Since(began); fault.KindOf(err) == fault.Exhausted && (took < c.wait || exact && took != c.wait) {
				complain("call %d: Exhausted after %v, its context was good for %v", n, time.Since(began), c.wait)
			}
			if errors.Is(err, entry.ErrUndelivered) {
				complain("call %d: %v came out", n, err)
			}
		})
	}
	if p.drain {
		if err := f.Drain(context.Background()); err != nil {
			complain("Drain: %v", err)
		}
	}
	calls.Wait()
	if !p.drain {
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, i := range f.Instances() {
			if i.State != Idle && i.State != Frozen {
				complain("an hour after the last call an instance is %s", i.State)
			}
		}
		for n := range p.kinds {
			if left := s.alive[keyOf(p.version(n))]; left > p.min[n] {
				complain("an hour after the last call fn-%d has %d instances, its minimum is %d", n, left, p.min[n])
			}
		}
	}
	cancel()
	<-ran
	for n, times := range ends {
		if times != 1 {
			complain("call %d ended %d times", n, times)
		}
	}
	s.mu.Lock() // an instance may have died by itself, which nobody waited for
	defer s.mu.Unlock()
	for n := range p.kinds {
		if most := s.most[keyOf(p.version(n))]; most > p.max[n] {
			complain("fn-%d had %d instances, at most %d are allowed", n, most, p.max[n])
		}
	}
	if s.mostAll > p.node {
		complain("%d instances at a time, the node allows %d", s.mostAll, p.node)
	}
	if f.pledged != 0 || len(f.starts.begun) != 0 {
		complain("left: %d pledged, %d that start", f.pledged, len(f.starts.begun))
	}
	if s.total != 0 || f.total != 0 || f.stopping != 0 || f.calls != 0 {
		complain("left: %d instances, on the books %d, %d stopping, %d calls", s.total, f.total, f.stopping, f.calls)
	}
	return append(wrong, s.wrong...)
}

// unbalanced says what is wrong with a fleet's books at this moment.
func unbalanced(f *Fleet) (wrong []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	held, total, pledged := map[*share]int{}, 0, 0
	for _, p := range f.pools {
		held[p.share] += len(p.instances)
		total += len(p.instances)
		busy := 0
		for _, i := range p.instances {
			busy += i.busy
			if i.pledged {
				pledged++
			}
		}
		if p.calls < busy {
			complain("%s works on %d calls, its instances on %d", p.key.name, p.calls, busy)
		}
	}
	unmet := 0
	for name, s := range f.shares {
		if s.held != held[s] {
			complain("%s holds %d places and has %d instances", name, s.held, held[s])
		}
		unmet += max(0, s.reserved-s.held)
	}
	if total != f.total || pledged != f.pledged {
		complain("%d instances and %d pledged, on the books %d and %d", total, pledged, f.total, f.pledged)
	}
	if total+unmet > f.o.MaxInstances {
		complain("%d instances, and %d that are reserved and not there: the node has %d places", total, unmet, f.o.MaxInstances)
	}
	young := 0
	for _, i := range f.starts.begun {
		if f.o.Now().Sub(i.created) < startCounts {
			young++
		}
	}
	if young > f.starts.most {
		complain("%d starts at a time, at most %d", young, f.starts.most)
	}
	return wrong
}

func TestPoolsKeepTheirBoundsAndEveryCallEndsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = p.run(t) })
		for _, w := range wrong {
			rt.Errorf("%s", w)
		}
	})
}
