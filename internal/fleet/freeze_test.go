package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestAnIdleInstanceIsFrozenAndThawedForItsNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{chill: time.Millisecond, work: takes(time.Second)}
		f := start(t, s, newShop(version("pay", freezes(2*time.Second))))
		first := mustInvoke(t, f, call("pay"))
		time.Sleep(1900 * time.Millisecond)
		if got := states(f); got[Idle] != 1 {
			t.Errorf("states before the time = %v, want one idle", got)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if got := states(f); got[Frozen] != 1 || !s.conns[0].still() {
			t.Errorf("states after the time = %v, frozen %v; want one frozen", got, s.conns[0].still())
		}
		second := mustInvoke(t, f, call("pay"))
		if second.Instance != first.Instance || second.Cold || s.conns[0].still() {
			t.Errorf("the next call was cold %v on %s, frozen %v; want %s, thawed", second.Cold, second.Instance, s.conns[0].still(), first.Instance)
		}
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		if got := f.Instances(); len(got) != 0 {
			t.Errorf("Instances = %+v, want none after the idle time", got)
		}
	})
}

func TestNothingIsFrozenWhereThatIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		f := start(t, s, newShop(version("pay"), version("mail", stdio, freezes(time.Millisecond))))
		mustInvoke(t, f, call("pay"))
		mustInvoke(t, f, call("mail"))
		time.Sleep(time.Minute)
		if got := states(f); got[Idle] != 1 || s.frosts != 0 {
			t.Errorf("states = %v after %d freezes, want one idle and no freeze", got, s.frosts)
		}
	})
}

func TestARunnerThatCannotFreezeIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second), stiff: func(int, bool) error { return errors.ErrUnsupported }}
		f := start(t, s, newShop(version("a", freezes(time.Second), scale(2, 2))))
		for range 3 {
			mustInvoke(t, f, call("a"))
			time.Sleep(time.Minute)
		}
		if s.frosts > 2 || s.started() != 2 { // both of the first time
			t.Errorf("asked %d times with %d starts, want once for each of 2", s.frosts, s.started())
		}
	})
}

func TestAnInstanceThatDoesNotThawIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second), stiff: func(_ int, on bool) error {
			if on {
				return nil
			}
			return errors.New("drawn")
		}}
		f := start(t, s, newShop(version("pay", freezes(time.Second))))
		first := mustInvoke(t, f, call("pay"))
		time.Sleep(time.Minute)
		second := mustInvoke(t, f, call("pay"))
		if second.Outcome != function.Succeeded || second.Instance == first.Instance || !second.Cold {
			t.Errorf("the call = %+v, want a success on a new instance", second)
		}
	})
}

func TestCallsThatComeWhileAnInstanceFreezesOrThawsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{chill: 10 * time.Millisecond, work: takes(time.Second)}
		f := start(t, s, newShop(version("web", concurrent(4), scale(0, 1), freezes(time.Second))))
		mustInvoke(t, f, call("web"))
		time.Sleep(time.Second + 5*time.Millisecond) // in the middle of it
		began := time.Now()
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				if _, err := f.Invoke(context.Background(), call("web")); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if took := time.Since(began); took != time.Second+15*time.Millisecond || s.started() != 1 {
			t.Errorf("took %v with %d instances, want 1.015s with one", took, s.started())
		}
	})
}
