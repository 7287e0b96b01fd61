package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func reserves(n int) func(*function.Spec) {
	return func(s *function.Spec) { s.Scale.Reserved = n }
}

// flood keeps n calls of a function under way until the context ends.
func flood(ctx context.Context, f *Fleet, name string, n int) *sync.WaitGroup {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				_, _ = f.Invoke(ctx, call(name)) // those that end with the context fail
			}
		})
	}
	return &all
}

func held(f *Fleet) map[string]int {
	out := map[string]int{}
	for _, i := range f.Instances() {
		if i.State != Stopping {
			out[i.Function]++
		}
	}
	return out
}

func TestFunctionsShareTheNodeFairlyHoweverLongTheirQueues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		node := rapid.IntRange(2, 12).Draw(rt, "node bound")
		count := rapid.IntRange(2, min(4, node)).Draw(rt, "functions")
		reserved := rapid.IntRange(0, 2).Draw(rt, "reserved by the first")
		web := rapid.Bool().Draw(rt, "the second takes several at a time")
		var wrong []string
		synctest.Test(t, func(t *testing.T) {
			var vs []*function.Version
			for n := range count {
				v := version(fmt.Sprintf("fn-%d", n), scale(0, 20))
				switch {
				case n == 0:
					reserves(reserved)(&v.Spec)
				case n == 1 && web:
					concurrent(3)(&v.Spec)
				}
				vs = append(vs, v)
			}
			s := &fakeStarter{delay: 20 * time.Millisecond, work: takes(50 * time.Millisecond)}
			f := start(t, s, newShop(vs...), func(o *Options) { o.MaxInstances = node })
			ctx, cancel := context.WithCancel(t.Context())
			// The first to come has everything; the others come one by one.
			var floods []*sync.WaitGroup
			for n := range count {
				floods = append(floods, flood(ctx, f, fmt.Sprintf("fn-%d", count-1-n), 60))
				time.Sleep(time.Second)
			}
			for range 20 {
				time.Sleep(137 * time.Millisecond)
				synctest.Wait()
				got, low, high := held(f), node, 0
				for n := range count {
					has := got[fmt.Sprintf("fn-%d", n)]
					if n == 0 && has <= reserved {
						continue // it may have more than the others, as it said
					}
					low, high = min(low, has), max(high, has)
				}
				if high-low > 1 {
					wrong = append(wrong, fmt.Sprintf("of %d places functions have %v; want none to have two more than another", node, got))
				}
				if kept := min(reserved, node-max(1, node/unreserved)); got["fn-0"] < kept {
					wrong = append(wrong, fmt.Sprintf("of %d places functions have %v; want %d for fn-0, that reserved them", node, got, kept))
				}
			}
			cancel()
			for _, fl := range floods {
				fl.Wait()
			}
		})
		for _, w := range wrong {
			rt.Errorf("%s", w)
		}
	})
}

func TestAReservedPlaceIsThereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Millisecond, work: takes(time.Hour)}
		f := start(t, s, newShop(version("hog"), version("pay", reserves(2))), func(o *Options) { o.MaxInstances = 6 })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 10 {
			begin(ctx, f, call("hog"))
		}
		time.Sleep(time.Minute)
		if got := held(f); got["hog"] != 4 {
			t.Fatalf("instances = %v, want 4 of the hog: 2 of the node's 6 are reserved", got)
		}
		for range 2 {
			begin(ctx, f, call("pay"))
		}
		time.Sleep(time.Second)
		if got := states(f); got[Busy] != 6 {
			t.Errorf("states = %v, want 6 busy: both calls have an instance at once", got)
		}
		late, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		_, err := f.Invoke(late, call("pay"))
		if fault.KindOf(err) != fault.Exhausted || errors.Is(err, ErrOwnBound) || !strings.Contains(err.Error(), "the node's limits.instances is 6 for all functions together") {
			t.Errorf("Invoke on a full node = %v, want an Exhausted that says so", err)
		}
	})
}

func TestWhatIsReservedIdleIsNotGivenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("hog"), version("pay", reserves(1))), func(o *Options) { o.MaxInstances = 3 })
		synctest.Wait()
		mustInvoke(t, f, call("pay"))
		ctx, cancel := context.WithCancel(t.Context())
		all := flood(ctx, f, "hog", 20)
		time.Sleep(10 * time.Second)
		if r := mustInvoke(t, f, call("pay")); r.Cold {
			t.Error("the reserved instance was stopped for another function")
		}
		cancel()
		all.Wait()
	})
}

func TestMoreCannotBeReservedThanThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("a", reserves(10)), version("b", reserves(10)), version("c")), func(o *Options) { o.MaxInstances = 12 })
		synctest.Wait()
		f.mu.Lock()
		a, b := f.shares["a"].reserved, f.shares["b"].reserved
		f.mu.Unlock()
		if a != 10 || b != 1 {
			t.Errorf("reserved are %d and %d, want 10 and 1: a tenth of the node's 12 cannot be", a, b)
		}
		if r := mustInvoke(t, f, call("c")); r.Outcome != function.Succeeded {
			t.Errorf("the call of one that reserves nothing = %+v", r)
		}
	})
}

func TestStartsAreBoundedAndAnotherFunctionNeedNotWaitForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 200 * time.Millisecond, work: takes(time.Second)}
		f := start(t, s, newShop(version("storm", scale(0, 100)), version("pay")), func(o *Options) { o.MaxStarts = 4 })
		var calls []<-chan answer
		for range 40 {
			calls = append(calls, begin(t.Context(), f, call("storm")))
		}
		synctest.Wait()
		if n := s.started(); n != 3 {
			t.Errorf("%d starts at a time, want 3 of the 4: one is for other functions", n)
		}
		began := time.Now()
		mustInvoke(t, f, call("pay"))
		if took := time.Since(began); took != 1200*time.Millisecond {
			t.Errorf("another function's cold call took %v, want 1.2s: it did not wait", took)
		}
		for _, c := range calls {
			if a := <-c; a.err != nil {
				t.Error(a.err)
			}
		}
	})
}

func TestStartsThatHangHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Second, work: takes(time.Second)}
		f := start(t, s, newShop(version("slow", scale(0, 100))), func(o *Options) { o.MaxStarts = 2 })
		var calls []<-chan answer
		for range 8 {
			calls = append(calls, begin(t.Context(), f, call("slow")))
		}
		began := time.Now()
		for _, c := range calls {
			<-c
		}
		if took := time.Since(began); took > 13*time.Second {
			t.Errorf("8 calls of a function that takes 10s to start took %v, want its starts to overlap", took)
		}
	})
}

func TestAnInstanceIsStartedFromTheTargetOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(10 * time.Second)}
		f := start(t, s, newShop(version("web", concurrent(8), func(s *function.Spec) { s.Scale.Target = 2 })), func(o *Options) { o.MaxStarts = 8 })
		first := begin(t.Context(), f, call("web"))
		time.Sleep(2 * time.Second)
		var more []<-chan answer
		for range 4 {
			more = append(more, begin(t.Context(), f, call("web")))
		}
		time.Sleep(2 * time.Second)
		if n := len(f.Instances()); n != 3 {
			t.Errorf("%d instances for 5 calls with a target of 2, want 3", n)
		}
		began := time.Now()
		<-first
		for _, c := range more {
			if a := <-c; a.r.Cold {
				t.Error("a call waited for a start, although there was room on an instance")
			}
		}
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("took %v", took)
		}
		a, b := begin(t.Context(), f, call("web")), begin(t.Context(), f, call("web"))
		c := begin(t.Context(), f, call("web"))
		if x, y, z := (<-a).r.Instance, (<-b).r.Instance, (<-c).r.Instance; x == y && y == z {
			t.Errorf("three calls are on %s, want them apart: its target is 2", x)
		}
	})
}

func TestMoreAreKeptInAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight of 2000-01-01, UTC
		v := version("pay", func(s *function.Spec) {
			s.Scale.Min = 1
			s.Scale.Schedule = []function.Window{
				{Start: "0 8 * * *", For: function.Duration(2 * time.Hour), Min: 3},
				{Start: "0 9 * * *", For: function.Duration(30 * time.Minute), Min: 5, Timezone: "UTC"},
			}
		})
		v.Created = time.Now()
		f := start(t, &fakeStarter{work: takes(time.Second)}, newShop(v))
		at := time.Duration(0)
		for _, c := range []struct {
			at   time.Duration
			want int
		}{
			{time.Hour, 1}, {7*time.Hour + 59*time.Minute, 1}, {8*time.Hour + time.Minute, 3}, {9*time.Hour + time.Minute, 5},
			{9*time.Hour + 40*time.Minute, 3}, {10*time.Hour + 10*time.Minute, 1}, {32*time.Hour + time.Minute, 3},
		} {
			time.Sleep(c.at - at)
			at = c.at
			synctest.Wait()
			if got := states(f)[Idle]; got != c.want {
				t.Errorf("after %v %d instances are kept, want %d", c.at, got, c.want)
			}
		}
	})
}
