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
	node   int
	delay  time.Duration
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
		node:  rapid.IntRange(1, 6).Draw(t, "node bound"),
		delay: ms("start takes", 30),
		drain: rapid.Bool().Draw(t, "drain"),
	}
	for range rapid.IntRange(1, 3).Draw(t, "functions") {
		p.kinds = append(p.kinds, rapid.SampledFrom([]string{"idle", "never", "stdio", "web"}).Draw(t, "kind"))
		most := rapid.IntRange(1, 4).Draw(t, "max")
		p.max = append(p.max, most)
		p.min = append(p.min, rapid.IntRange(0, min(1, most)).Draw(t, "min"))
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
	v := version(fmt.Sprintf("fn-%d", n), scale(p.min[n], p.max[n]))
	switch p.kinds[n] {
	case "never":
		never(&v.Spec)
	case "stdio":
		stdio(&v.Spec)
	case "web":
		concurrent(3)(&v.Spec)
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
	s := &fakeStarter{delay: p.delay}
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
		Starter: s, Functions: catalog, MaxInstances: p.node,
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
			if (r == nil) == (err == nil) {
				complain("call %d: result %v and error %v", n, r, err)
			}
			if fault.KindOf(err) == fault.Exhausted && time.Since(began) != c.wait {
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
			if i.State != Idle {
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
	for n := range p.kinds {
		if most := s.most[keyOf(p.version(n))]; most > p.max[n] {
			complain("fn-%d had %d instances, at most %d are allowed", n, most, p.max[n])
		}
	}
	if s.mostAll > p.node {
		complain("%d instances at a time, the node allows %d", s.mostAll, p.node)
	}
	if s.total != 0 || f.total != 0 || f.stopping != 0 || f.calls != 0 {
		complain("left: %d instances, on the books %d, %d stopping, %d calls", s.total, f.total, f.stopping, f.calls)
	}
	return append(wrong, s.wrong...)
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
