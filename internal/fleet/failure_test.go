package fleet

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAnInstanceThatEndedBadlyIsNotUsedAgain(t *testing.T) {
	for _, outcome := range []function.Outcome{function.TimedOut, function.Crashed, function.OOM} {
		t.Run(string(outcome), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStarter{work: func(*fakeConn, *function.Invocation) (*function.Result, error) { return ended(outcome) }}
				f := start(t, s, newShop(version("pay", scale(0, 1))))
				a, b := mustInvoke(t, f, call("pay")), mustInvoke(t, f, call("pay"))
				if a.Instance == b.Instance {
					t.Errorf("both calls ran on %s", a.Instance)
				}
				s.mu.Lock()
				grace := s.conns[0].grace
				s.mu.Unlock()
				if want := map[bool]time.Duration{true: stopGrace, false: 1}[outcome == function.TimedOut]; grace != want {
					t.Errorf("grace = %v, want %v", grace, want)
				}
			})
		})
	}
	t.Run("failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStarter{work: func(*fakeConn, *function.Invocation) (*function.Result, error) { return ended(function.Failed) }}
			f := start(t, s, newShop(version("pay")))
			if a, b := mustInvoke(t, f, call("pay")), mustInvoke(t, f, call("pay")); a.Instance != b.Instance {
				t.Errorf("a failure cost the instance")
			}
		})
	})
}

func TestAnInstanceThatDiedIdleIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("pay")))
		first := mustInvoke(t, f, call("pay"))
		s.conns[0].die()
		if r := mustInvoke(t, f, call("pay")); r.Outcome != function.Succeeded || r.Instance == first.Instance || !r.Cold {
			t.Errorf("the call after = %+v, want another, cold instance", r)
		}
		s.conns[1].die()
		synctest.Wait()
		if got := f.Instances(); len(got) != 0 {
			t.Errorf("Instances = %+v, want the dead one forgotten", got)
		}
	})
}

func TestWhatWasNotDeliveredGoesToAnotherInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{}
		s.work = func(c *fakeConn, inv *function.Invocation) (*function.Result, error) {
			if c == s.conns[0] && c.took > 1 {
				return nil, entry.ErrUndelivered
			}
			return done(c.start.ID)
		}
		f := start(t, s, newShop(version("pay")))
		first, second := mustInvoke(t, f, call("pay")), mustInvoke(t, f, call("pay"))
		if second.Outcome != function.Succeeded || second.Instance == first.Instance {
			t.Errorf("second = %+v, want success on another instance", second)
		}
	})
}

func initError(words string) error {
	return &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{Type: "E", Message: words}}
}

func TestAFunctionThatCannotStartIsNotStartedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		s := &fakeStarter{delay: 10 * time.Millisecond, work: takes(time.Millisecond), fails: func(int) error {
			if broken {
				return initError("no module named shop")
			}
			return nil
		}}
		f := start(t, s, newShop(version("pay")))
		began := time.Now()
		results := 0
		for time.Since(began) < 10*time.Minute { // a caller that does not give up
			r := mustInvoke(t, f, call("pay"))
			if r.Outcome != function.InitError || r.Failure.Message != "no module named shop" {
				t.Fatalf("result = %+v, want the init error in the program's own words", r)
			}
			if r.Status != 502 || r.Version != 1 {
				t.Fatalf("result = %+v, want status 502 of version 1", r)
			}
			results++
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.started(); n > 30 || n < 20 {
			t.Errorf("%d starts for %d calls in 10 minutes, want about 9 and then one in 30s", n, results)
		}
		broken = false
		time.Sleep(lastBackOff)
		if r := mustInvoke(t, f, call("pay")); r.Outcome != function.Succeeded {
			t.Errorf("result when it can start again = %+v", r)
		}
	})
}

func TestCallsDuringABackOffAreToldHowLongItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{fails: func(int) error { return initError("no") }}
		f := start(t, s, newShop(version("pay")))
		mustInvoke(t, f, call("pay"))
		time.Sleep(40 * time.Millisecond)
		if r := mustInvoke(t, f, call("pay")); r.RetryAfter != firstBackOff-40*time.Millisecond || s.started() != 1 {
			t.Errorf("RetryAfter = %v after %d starts, want 60ms after 1", r.RetryAfter, s.started())
		}
	})
}

func TestABurstOnABrokenFunctionFailsAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, fails: func(int) error { return initError("no") }}
		f := start(t, s, newShop(version("pay", scale(0, 4))), func(o *Options) { o.MaxStarts = 8 })
		var calls []<-chan answer
		for range 50 {
			calls = append(calls, begin(t.Context(), f, call("pay")))
		}
		for _, c := range calls {
			if a := <-c; a.err != nil || a.r.Outcome != function.InitError {
				t.Fatalf("call = %+v", a)
			}
		}
		if n := s.started(); n != 4 {
			t.Errorf("%d starts, want 4", n)
		}
		f.mu.Lock()
		failures := f.pools[keyOf(version("pay"))].stalled.times
		f.mu.Unlock()
		if failures != 1 {
			t.Errorf("failures = %d, want the burst counted once", failures)
		}
	})
}

func TestAFunctionThatEndsWhenItIsReadyBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: func(c *fakeConn, _ *function.Invocation) (*function.Result, error) {
			c.die()
			return nil, entry.ErrUndelivered
		}}
		f := start(t, s, newShop(version("pay")))
		for range 20 {
			if r := mustInvoke(t, f, call("pay")); r.Outcome != function.InitError {
				t.Fatalf("result = %+v, want an init error", r)
			}
		}
		if n := s.started(); n > 2 {
			t.Errorf("%d starts, want no storm", n)
		}
	})
}

func TestARunnerThatFailsIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{fails: func(int) error { return fault.New(fault.Unavailable, "no more processes") }}
		f := start(t, s, newShop(version("pay")))
		r, err := f.Invoke(t.Context(), call("pay"))
		if r != nil || fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "pay version 1") {
			t.Errorf("Invoke = %+v, %v, want Unavailable that names the version", r, err)
		}
	})
}

func TestATimeOutLeavesTheOthersOnItsInstanceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: func(c *fakeConn, inv *function.Invocation) (*function.Result, error) {
			if inv.Run == "hangs" {
				time.Sleep(time.Second)
				return ended(function.TimedOut)
			}
			return takes(3*time.Second)(c, inv)
		}}
		f := start(t, s, newShop(version("web", concurrent(2), scale(0, 1))))
		bad := call("web")
		bad.Invocation.Run = "hangs"
		other := begin(t.Context(), f, call("web"))
		synctest.Wait()
		if r := mustInvoke(t, f, bad); r.Outcome != function.TimedOut {
			t.Fatalf("result = %+v", r)
		}
		next := begin(t.Context(), f, call("web"))
		a, b := <-other, <-next
		if a.err != nil || a.r.Outcome != function.Succeeded {
			t.Errorf("the other call = %+v, want success", a)
		}
		if b.err != nil || b.r.Instance == a.r.Instance {
			t.Errorf("the next call = %+v, want another instance than %s", b, a.r.Instance)
		}
	})
}
