package fleet

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func quotas(all map[string]function.Quota) func(*Options) {
	return func(o *Options) { o.Quota = func(env string) function.Quota { return all[env] } }
}

func memory(b function.Bytes) func(*function.Spec) {
	return func(s *function.Spec) { s.Resources.Memory = b }
}

func TestAnEnvironmentAtItsBoundWaitsAndNobodyElseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Millisecond, work: takes(50 * time.Millisecond)}
		f := start(t, s, newShop(version("acme.hog", scale(0, 50)), version("beta.pay", scale(1, 50))),
			quotas(map[string]function.Quota{"acme": {Instances: 2}}), func(o *Options) { o.MaxInstances = 8 })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		all := flood(ctx, f, "acme.hog", 100)
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			if got := held(f)["acme.hog"]; got > 2 {
				t.Fatalf("acme has %d instances, and its quota is 2", got)
			}
			if f.Crowded() {
				t.Fatal("the node is crowded, and only acme waits")
			}
			began := time.Now()
			mustInvoke(t, f, call("beta.pay"))
			if took := time.Since(began); took != 50*time.Millisecond {
				t.Fatalf("a call of beta took %v beside the flood, want 50ms", took)
			}
		}
		if got := f.Held(); got["acme"].Instances != 2 || got["beta"].Instances != 1 {
			t.Errorf("Held = %v, want 2 of acme and 1 of beta", got)
		}
		late, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		_, err := f.Invoke(late, call("acme.hog"))
		if fault.KindOf(err) != fault.Exhausted || !errors.Is(err, ErrOwnBound) || !strings.Contains(err.Error(), "its environment acme has 2 instances, and its quota is 2") {
			t.Errorf("a call that waits for too long = %v, want an Exhausted that names the quota", err)
		}
		cancel()
		all.Wait()
	})
}

func TestFunctionsOfAnEnvironmentShareItsQuotaFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Millisecond, work: takes(50 * time.Millisecond)}
		f := start(t, s, newShop(version("acme.a", scale(0, 50)), version("acme.b", scale(0, 50)), version("acme.c", scale(0, 50))),
			quotas(map[string]function.Quota{"acme": {Instances: 6}}))
		mustInvoke(t, f, call("acme.c")) // stays, idle
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		a := flood(ctx, f, "acme.a", 60)
		time.Sleep(time.Second)
		if got := held(f); got["acme.a"] != 6 {
			t.Errorf("instances = %v, want 6 of a: c needs none", got)
		}
		b := flood(ctx, f, "acme.b", 60)
		time.Sleep(2 * time.Second)
		if got := held(f); got["acme.a"] != 3 || got["acme.b"] != 3 {
			t.Errorf("instances = %v, want 3 of each", got)
		}
		cancel()
		a.Wait()
		b.Wait()
		if r := mustInvoke(t, f, call("acme.c")); r.Outcome != function.Succeeded {
			t.Errorf("a call of c = %+v", r)
		}
	})
}

func TestMemoryOfAnEnvironmentIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Hour)}
		f := start(t, s, newShop(version("acme.big", scale(0, 50), memory(100<<20)), version("acme.small", scale(0, 50), memory(30<<20))),
			quotas(map[string]function.Quota{"acme": {Memory: 250 << 20}}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 10 {
			begin(ctx, f, call("acme.big"))
		}
		time.Sleep(time.Second)
		begin(ctx, f, call("acme.small"))
		begin(ctx, f, call("acme.small"))
		time.Sleep(time.Second)
		if got := held(f); got["acme.big"] != 2 || got["acme.small"] != 1 {
			t.Errorf("instances = %v, want 2 of 100Mi and 1 of 30Mi in 250Mi", got)
		}
	})
}

func TestALoweredQuotaIsObeyedUnderLoadAndARaisedOneUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Millisecond, work: takes(50 * time.Millisecond)}
		shop := newShop(version("acme.hog", scale(0, 50)), version("acme.idle", scale(2, 50)))
		var bound atomic.Int64
		bound.Store(10)
		f := start(t, s, shop, func(o *Options) {
			o.Quota = func(string) function.Quota { return function.Quota{Instances: int(bound.Load())} }
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		all := flood(ctx, f, "acme.hog", 100)
		for _, n := range []int{10, 3, 7} {
			bound.Store(int64(n))
			f.want(mustWanted(f), nil)
			time.Sleep(2 * time.Second)
			if got := held(f); got["acme.hog"]+got["acme.idle"] != n {
				t.Errorf("with a quota of %d the instances are %v", n, got)
			}
		}
		cancel()
		all.Wait()
	})
}

func mustWanted(f *Fleet) []*function.Version {
	vs, _ := f.o.Functions.Wanted()
	return vs
}

func TestAnEnvironmentReservesNoMoreThanItsQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("acme.a", reserves(3)), version("acme.b", reserves(3)), version("beta.c", reserves(3))),
			quotas(map[string]function.Quota{"acme": {Instances: 4}}), func(o *Options) { o.MaxInstances = 12 })
		synctest.Wait()
		f.mu.Lock()
		a, b, c := f.shares["acme.a"].reserved, f.shares["acme.b"].reserved, f.shares["beta.c"].reserved
		f.mu.Unlock()
		if a != 3 || b != 1 || c != 3 {
			t.Errorf("reserved are %d, %d and %d, want 3 and 1 of acme's 4, and 3 of beta", a, b, c)
		}
	})
}

func TestPatienceEndsWhereNoInstanceStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 5 * time.Second, work: takes(time.Minute)}
		f := start(t, s, newShop(version("acme.busy", scale(0, 50)), version("acme.next", scale(0, 50))), quotas(map[string]function.Quota{"acme": {Instances: 1}}))
		patient := func(fn string) Call {
			c := call(fn)
			c.Patience = time.Second
			return c
		}
		first := begin(t.Context(), f, patient("acme.busy")) // waits for its start, however long that takes
		time.Sleep(6 * time.Second)
		began := time.Now()
		_, err := f.Invoke(t.Context(), patient("acme.next"))
		if fault.KindOf(err) != fault.Exhausted || !errors.Is(err, ErrOwnBound) {
			t.Errorf("a call without an instance = %v, want an Exhausted by its own bound", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it waited for %s, want 1s", took)
		}
		if a := <-first; a.err != nil || a.r.Outcome != function.Succeeded {
			t.Errorf("the call that waited for its start = %+v", a)
		}
	})
}
