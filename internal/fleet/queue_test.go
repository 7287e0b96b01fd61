package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// TestACallThatAsksAgainHasThePlaceOfItsFirstTry floods an environment of one instance with calls that wait as long as it takes.
func TestACallThatAsksAgainHasThePlaceOfItsFirstTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Millisecond, work: takes(2 * time.Second)}
		f := start(t, s, newShop(version("acme.f", scale(0, 50))), quotas(map[string]function.Quota{"acme": {Instances: 1}}))
		ctx, cancel := context.WithCancel(t.Context())
		all := flood(ctx, f, "acme.f", 49)
		defer all.Wait()
		defer cancel()
		time.Sleep(5 * time.Second)
		again := call("acme.f")
		again.Asked, again.Patience = time.Now(), 3*time.Second
		for time.Since(again.Asked) < 10*time.Minute {
			if _, err := f.Invoke(t.Context(), again); err == nil {
				return
			}
			time.Sleep(time.Second)
		}
		t.Errorf("a call that asks again was not served in %s", time.Since(again.Asked))
	})
}

// TestACallWhosePatienceIsOverIsNotServedAnyMore: who is told that there was no instance holds no place for one.
func TestACallWhosePatienceIsOverIsNotServedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := version("acme.f", scale(0, 1))
		f := start(t, &fakeStarter{}, newShop(v))
		f.mu.Lock()
		p := f.pool(v)
		w := &waiter{granted: make(chan struct{}), since: f.o.Now()}
		p.queueUp(w)
		f.mu.Unlock()
		if err := f.tire(p, w); fault.KindOf(err) != fault.Exhausted {
			t.Errorf("the end of its patience = %v, want Exhausted", err)
		}
		f.mu.Lock()
		if next := p.pop(); next != nil {
			t.Error("it is still in the queue")
		}
		p.queueUp(w)
		p.pop()
		f.mu.Unlock()
		if err := f.tire(p, w); err != nil {
			t.Errorf("of a call that is served in this moment = %v, want none", err)
		}
	})
}
