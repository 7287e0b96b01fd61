package fleet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

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
		if len(f.Instances()) != 3 || len(f.Counts()) != 1 || f.Counts()[f.Instances()[0].Function] != 3 {
			t.Fatalf("%d instances for 3 calls at a time, by function %v; want 3", len(f.Instances()), f.Counts())
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
		if fault.HintOf(err) == "" || !errors.Is(err, ErrOwnBound) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v has no hint, or is not known as its own bound's", err)
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

func TestTheNodesBoundCanBeMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Minute)}
		f := start(t, s, newShop(version("a"), version("b")), func(o *Options) { o.MaxInstances = 1 })
		one, two := begin(t.Context(), f, call("a")), begin(t.Context(), f, call("b"))
		time.Sleep(10 * time.Second)
		if s.mostOfAll() != 1 {
			t.Fatalf("%d instances, want 1", s.mostOfAll())
		}
		f.Bound(2) // what waits begins
		time.Sleep(10 * time.Second)
		if s.mostOfAll() != 2 {
			t.Errorf("%d instances after the bound was raised, want 2", s.mostOfAll())
		}
		for _, c := range []<-chan answer{one, two} {
			if got := <-c; got.err != nil {
				t.Error(got.err)
			}
		}
		f.Bound(1)
		one, two = begin(t.Context(), f, call("a")), begin(t.Context(), f, call("b"))
		for _, c := range []<-chan answer{one, two} { // one after the other, or both in what is there already
			if got := <-c; got.err != nil {
				t.Error(got.err)
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
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.Exhausted || !errors.Is(err, ErrOwnBound) || fault.HintOf(err) == "" {
			t.Errorf("Invoke on a full queue = %v, want Exhausted by the function's own bound", err)
		}
		for _, c := range calls {
			<-c
		}
	})
}

func TestARequestIsReadBeforeAnInstanceIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("pay")))
		for body, want := range map[io.Reader]fault.Kind{
			iotest.ErrReader(io.ErrUnexpectedEOF):                                    fault.Invalid,
			http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("too much")), 3): fault.TooLarge,
		} {
			c := call("pay")
			c.Invocation.Request = httptest.NewRequest("POST", "/", body)
			if _, err := f.Invoke(t.Context(), c); fault.KindOf(err) != want {
				t.Errorf("Invoke = %v, want %v", err, want)
			}
		}
		if n := s.started(); n != 0 {
			t.Errorf("%d instances were started for requests that never came", n)
		}
	})
}

func TestACallsKeyPicksItsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog := &weighted{newShop(version("pay"))}
		second := version("pay")
		second.Number, second.Digest = 2, "sha256:02"
		catalog.deploy(second)
		thrown := uint64(0)
		f := start(t, &fakeStarter{work: takes(time.Second)}, catalog, func(o *Options) { o.Rand = func() uint64 { return thrown } })
		for ticket, want := range map[uint64]int{0: 1, 1 << 40: 2, 3: 1, 100: 2} {
			thrown = ticket
			if got := mustInvoke(t, f, call("pay")); got.Version != want {
				t.Errorf("version for the ticket %d = %d, want %d", ticket, got.Version, want)
			}
			for _, key := range []string{"a", "b", "c"} { // whatever is thrown
				c := call("pay")
				c.Key = key
				if got, want := mustInvoke(t, f, c), catalog.number(function.Ticket("pay", key)); got.Version != want {
					t.Errorf("version of key %s = %d, want %d", key, got.Version, want)
				}
			}
		}
	})
}

// weighted gives tickets below 30 to version 1, and of the others every seventh.
type weighted struct{ *shop }

func (w *weighted) number(ticket uint64) int {
	if ticket < 30 || ticket%7 == 1 {
		return 1
	}
	return 2
}

func (w *weighted) Version(fn, _ string, ticket uint64) (*function.Version, error) {
	return w.VersionNumber(fn, w.number(ticket))
}

func TestUnknownFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &fakeStarter{}, newShop())
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Invoke = %v, want NotFound", err)
		}
	})
}
