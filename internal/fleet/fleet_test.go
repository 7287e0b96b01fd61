package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func mustInvoke(t *testing.T, f *Fleet, c Call) *function.Result {
	t.Helper()
	r, err := f.Invoke(t.Context(), c)
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	return r
}

func states(f *Fleet) map[State]int {
	out := map[State]int{}
	for _, i := range f.Instances() {
		out[i.State]++
	}
	return out
}

func TestAWarmInstanceIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 50 * time.Millisecond, work: takes(time.Millisecond)}
		f := start(t, s, newShop(version("pay")))
		first := mustInvoke(t, f, call("pay"))
		second := mustInvoke(t, f, call("pay"))
		if !first.Cold || second.Cold {
			t.Errorf("cold = %v, %v, want true, false", first.Cold, second.Cold)
		}
		if first.Instance != second.Instance || first.Version != 1 || first.Instance == "" {
			t.Errorf("instances = %s, %s of version %d, want one of version 1", first.Instance, second.Instance, first.Version)
		}
		got := f.Instances()
		if len(got) != 1 || got[0].State != Idle || got[0].Runs != 2 || got[0].MemoryKB != 7 {
			t.Errorf("Instances = %+v, want one that is idle after 2 runs", got)
		}
	})
}

func TestTheMostRecentlyUsedInstanceComesFirstAndTheOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("pay")))
		a, b, c := begin(t.Context(), f, call("pay")), begin(t.Context(), f, call("pay")), begin(t.Context(), f, call("pay"))
		last := ""
		for _, ch := range []<-chan answer{a, b, c} {
			last = (<-ch).r.Instance
		}
		if len(f.Instances()) != 3 {
			t.Fatalf("%d instances for 3 calls at a time, want 3", len(f.Instances()))
		}
		recent := mustInvoke(t, f, call("pay")).Instance
		for range 5 * 60 { // for 5 minutes and more only one is needed
			if got := mustInvoke(t, f, call("pay")).Instance; got != recent {
				t.Fatalf("instance = %s, want the most recently used, %s (the last of the burst was %s)", got, recent, last)
			}
		}
		synctest.Wait()
		if got := f.Instances(); len(got) != 1 || got[0].ID != recent {
			t.Errorf("Instances = %+v, want %s alone", got, recent)
		}
		time.Sleep(5*time.Minute + time.Millisecond)
		synctest.Wait()
		if got := f.Instances(); len(got) != 0 {
			t.Errorf("Instances = %+v, want none after the idle time", got)
		}
	})
}

func TestStartsAreCountedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		f := start(t, s, newShop(version("pay", scale(0, 3))))
		var calls []<-chan answer
		for range 2 {
			calls = append(calls, begin(t.Context(), f, call("pay")))
			synctest.Wait()
		}
		if n := s.started(); n != 2 {
			t.Errorf("%d starts for 2 waiting calls, want 2", n)
		}
		for range 8 {
			calls = append(calls, begin(t.Context(), f, call("pay")))
		}
		synctest.Wait()
		if n := s.started(); n != 3 {
			t.Errorf("%d starts for 10 calls of a version with at most 3 instances, want 3", n)
		}
		for _, c := range calls {
			if a := <-c; a.err != nil || a.r.Outcome != function.Succeeded {
				t.Errorf("call = %+v", a)
			}
		}
		if n := s.started(); n != 3 {
			t.Errorf("%d starts in all, want 3", n)
		}
	})
}

func TestTheQueueIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		s := &fakeStarter{delay: time.Second, work: func(_ *fakeConn, inv *function.Invocation) (*function.Result, error) {
			order = append(order, inv.Run) // one at a time
			time.Sleep(time.Second)
			return done("")
		}}
		f := start(t, s, newShop(version("pay", scale(0, 1))))
		want := []string{"1", "2", "3", "4", "5", "6"}
		var calls []<-chan answer
		for _, run := range want {
			c := call("pay")
			c.Invocation.Run = run
			calls = append(calls, begin(t.Context(), f, c))
			synctest.Wait()
		}
		for _, c := range calls {
			<-c
		}
		if !slices.Equal(order, want) {
			t.Errorf("order = %v, want %v", order, want)
		}
	})
}

func TestACallWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Minute)}
		f := start(t, s, newShop(version("pay", scale(0, 1))))
		first := begin(t.Context(), f, call("pay"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := f.Invoke(ctx, call("pay"))
		if fault.KindOf(err) != fault.Exhausted || time.Since(began) != 3*time.Second {
			t.Errorf("Invoke = %v after %v, want Exhausted after 3s", err, time.Since(began))
		}
		if fault.HintOf(err) == "" {
			t.Errorf("%v has no hint", err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := f.Invoke(gone, call("pay")); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Invoke of a caller that left = %v, want Unavailable", err)
		}
		if a := <-first; a.err != nil {
			t.Errorf("the call before: %v", a.err)
		}
		if r := mustInvoke(t, f, call("pay")); r.Cold {
			t.Errorf("the call after started an instance")
		}
	})
}

func TestAContextDoesNotCutWorkShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Minute)}
		f := start(t, s, newShop(version("pay")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r, err := f.Invoke(ctx, call("pay")); err != nil || r.Outcome != function.Succeeded {
			t.Errorf("Invoke = %+v, %v, want a result after a minute", r, err)
		}
	})
}

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
		f := start(t, s, newShop(version("pay", scale(0, 4))))
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
		failures := f.pools[keyOf(version("pay"))].failures
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

func TestTheMinimumStaysWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		f := start(t, s, newShop(version("pay", scale(2, 5))))
		time.Sleep(2 * time.Second)
		if got := states(f); got[Idle] != 2 {
			t.Fatalf("states = %v, want 2 idle ahead of any call", got)
		}
		for _, c := range s.conns {
			if !c.start.Ahead {
				t.Errorf("instance %s does not know that it was started ahead", c.start.ID)
			}
		}
		if r := mustInvoke(t, f, call("pay")); r.Cold {
			t.Error("a call on a warm function was cold")
		}
		s.conns[0].die()
		time.Sleep(time.Hour)
		if got := states(f); got[Idle] != 2 {
			t.Errorf("states after an hour = %v, want 2 idle", got)
		}
	})
}

func TestReuseNeverGivesEachInvocationAnInstanceStartedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 100 * time.Millisecond, work: takes(time.Second)}
		f := start(t, s, newShop(version("pay", never)))
		seen := map[string]bool{}
		for n := range 5 {
			r := mustInvoke(t, f, call("pay"))
			if seen[r.Instance] {
				t.Fatalf("instance %s was used twice", r.Instance)
			}
			seen[r.Instance] = true
			if r.Cold != (n == 0) {
				t.Errorf("call %d: cold = %v, want the first alone", n, r.Cold)
			}
		}
		synctest.Wait()
		if got := states(f); got[Idle] != 1 || len(f.Instances()) != 1 {
			t.Errorf("states = %v, want one spare", got)
		}
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		if got := f.Instances(); len(got) != 0 || s.started() != 6 {
			t.Errorf("%d instances after %d starts, want no spare without demand", len(got), s.started())
		}
	})
}

func TestStdioIsAlwaysFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("mail", stdio, scale(3, 5))))
		for range 3 {
			if r := mustInvoke(t, f, call("mail")); !r.Cold {
				t.Error("a stdio call was warm")
			}
		}
		synctest.Wait()
		if n := s.started(); n != 3 || len(f.Instances()) != 0 {
			t.Errorf("%d starts and %d instances after 3 calls, want 3 and none", n, len(f.Instances()))
		}
	})
}

func TestConcurrencyOfAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		f := start(t, s, newShop(version("web", concurrent(4), scale(0, 2))))
		var calls []<-chan answer
		for range 9 {
			calls = append(calls, begin(t.Context(), f, call("web")))
		}
		for _, c := range calls {
			if a := <-c; a.err != nil {
				t.Fatal(a.err)
			}
		}
		if n := s.started(); n != 2 {
			t.Errorf("%d starts for 9 calls of 4 at a time and at most 2 instances, want 2", n)
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

func TestTheNodesBoundIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		f := start(t, s, newShop(version("a"), version("b"), version("c")), func(o *Options) { o.MaxInstances = 2 })
		mustInvoke(t, f, call("a"))
		mustInvoke(t, f, call("b"))
		mustInvoke(t, f, call("c")) // the idle a has to go
		left := map[string]bool{}
		for _, i := range f.Instances() {
			left[i.Function] = true
		}
		if s.mostAll > 2 || left["a"] || !left["b"] || !left["c"] {
			t.Errorf("%d instances at a time, left %v; want 2, b and c", s.mostAll, left)
		}
		var calls []<-chan answer
		for _, name := range []string{"a", "b", "c", "a", "b", "c"} {
			calls = append(calls, begin(t.Context(), f, call(name)))
		}
		for _, c := range calls {
			if got := <-c; got.err != nil {
				t.Error(got.err)
			}
		}
		if s.mostAll > 2 {
			t.Errorf("%d instances at a time, want at most 2", s.mostAll)
		}
	})
}

func TestANewVersionTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		catalog := newShop(version("pay"))
		f := start(t, s, catalog)
		mustInvoke(t, f, call("pay"))
		running := begin(t.Context(), f, call("pay"))
		idle := begin(t.Context(), f, call("pay"))
		time.Sleep(time.Millisecond)
		second := version("pay")
		second.Number, second.Digest = 2, "sha256:02"
		catalog.deploy(second)
		if r := mustInvoke(t, f, call("pay")); r.Version != 2 {
			t.Errorf("version = %d, want 2", r.Version)
		}
		if a := <-running; a.err != nil || a.r.Version != 1 || a.r.Outcome != function.Succeeded {
			t.Errorf("what ran on the old version = %+v, want its result", a)
		}
		<-idle
		synctest.Wait()
		for _, i := range f.Instances() {
			if i.Version != 2 {
				t.Errorf("instance %+v of the old version is left", i)
			}
		}
		old := call("pay")
		old.Version = 1
		if r := mustInvoke(t, f, old); r.Version != 1 {
			t.Errorf("version = %d, want 1 when asked for", r.Version)
		}
		synctest.Wait()
		if got := f.Instances(); len(got) != 1 || got[0].Version != 2 {
			t.Errorf("Instances = %+v, want the new version's alone", got)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.pools) != 1 {
			t.Errorf("%d pools, want that of the old version forgotten", len(f.pools))
		}
	})
}

func TestDrainFinishesWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		f := start(t, s, newShop(version("pay", scale(0, 1)), version("warm", scale(1, 1))))
		calls := []<-chan answer{begin(t.Context(), f, call("pay")), begin(t.Context(), f, call("pay"))}
		time.Sleep(1500 * time.Millisecond)
		drained := make(chan error, 1)
		go func() { drained <- f.Drain(t.Context()) }()
		synctest.Wait()
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Invoke while draining = %v, want Unavailable", err)
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain: %v", err)
		}
		for _, c := range calls {
			select {
			case a := <-c:
				if a.err != nil || a.r.Outcome != function.Succeeded {
					t.Errorf("an accepted call = %+v", a)
				}
			default:
				t.Error("Drain returned before an accepted call")
			}
		}
		synctest.Wait()
		if got := f.Instances(); len(got) != 0 {
			t.Errorf("Instances = %+v, want none after the drain", got)
		}
	})
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Hour)}
		f := start(t, s, newShop(version("pay", scale(0, 1))))
		running, waiting := begin(t.Context(), f, call("pay")), begin(t.Context(), f, call("pay"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 calls") {
			t.Errorf("Drain = %v, want the deadline and 2 calls", err)
		}
		f.shutdown()
		for _, c := range []<-chan answer{running, waiting} {
			if a := <-c; a.err == nil {
				t.Errorf("a call of a stopped fleet = %+v, want an error: nobody knows how it would have ended", a.r)
			}
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("pay", scale(0, 1))), func(o *Options) { o.MaxQueue = 2 })
		var calls []<-chan answer
		for range 3 {
			calls = append(calls, begin(t.Context(), f, call("pay")))
			synctest.Wait()
		}
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.Exhausted {
			t.Errorf("Invoke on a full queue = %v, want Exhausted", err)
		}
		for _, c := range calls {
			<-c
		}
	})
}

func TestUnknownFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &fakeStarter{}, newShop())
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Invoke = %v, want NotFound", err)
		}
	})
}
