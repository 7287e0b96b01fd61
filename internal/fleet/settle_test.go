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
	"github.com/dalamb/dalamb/internal/function"
)

const quiet = 2 * time.Second

func TestWhatCannotSayThatItIsReadyIsWhenItWentOnRunning(t *testing.T) {
	for name, kept := range map[string]int{"a roll-out": 0, "a minimum": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStarter{delay: 10 * time.Millisecond, quiet: quiet, work: takes(time.Millisecond)}
				shop, next := newShop(version("pay")), second(scale(kept, 4), freezes(time.Second))
				f := start(t, s, shop)
				shop.rollOut(next, Prepared{Version: next})
				began := time.Now()
				time.AfterFunc(quiet-time.Millisecond, func() {
					if s.conns[0].still() {
						t.Error("it is frozen before it has shown that it starts")
					}
				})
				if err := f.Ready(t.Context(), next); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < quiet || took > quiet+100*time.Millisecond {
					t.Errorf("it was ready after %s, want it to have run for %s", took, quiet)
				}
				began = time.Now()
				if err := f.Ready(t.Context(), next); err != nil || time.Since(began) > 0 {
					t.Errorf("asked again it took %s, %v; want that it is known", time.Since(began), err)
				}
			})
		})
	}
}

func TestACallDoesNotWaitForWhatNobodySays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 10 * time.Millisecond, quiet: quiet, work: takes(time.Millisecond)}
		v := version("pay", scale(1, 4))
		f := start(t, s, newShop(v))
		ready := make(chan error)
		began := time.Now()
		go func() { ready <- f.Ready(t.Context(), v) }()
		time.Sleep(20 * time.Millisecond)
		if list := f.Instances(); len(list) != 1 || list[0].State != Starting {
			t.Errorf("Instances = %+v, want one that starts, as far as anybody knows", list)
		}
		mustInvoke(t, f, call("pay"))
		if took := time.Since(began); took > 30*time.Millisecond {
			t.Errorf("a call was answered after %s, want that it has the instance that there is", took)
		}
		if list := f.Instances(); len(list) != 1 || list[0].State != Idle {
			t.Errorf("Instances = %+v, want one that is idle: it has answered", list)
		}
		if err := <-ready; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatDiesAtItsStartIsNotReady(t *testing.T) {
	for name, ready := range map[string]func(*Fleet, *function.Version) error{
		"while it waits":   func(f *Fleet, v *function.Version) error { return f.Ready(context.Background(), v) },
		"while it is held": holdAndReady,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStarter{quiet: quiet, work: takes(time.Millisecond)}
				s.ends = func(c *fakeConn) bool { return c.start.Version.Number == 2 }
				shop, next := newShop(version("pay")), second()
				f := start(t, s, shop)
				shop.rollOut(next, Prepared{Version: next})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				go func() { <-ctx.Done(); shop.over() }()
				err := ready(f, next)
				if !errors.Is(err, ErrNoStart) || !strings.Contains(err.Error(), "its last words") {
					t.Errorf("Ready = %v, want that it does not start, and its words", err)
				}
				if told := f.Troubles(); len(told) != 1 || told[0].Kind != NotStarting {
					t.Errorf("Troubles = %+v, want that it does not start", told)
				}
			})
		})
	}
}

// holdAndReady has each instance of a version until it has died, and only then gives it back.
func holdAndReady(f *Fleet, v *function.Version) error {
	for range 2 * readyTries { // the next one may have been started before it is given back
		g := f.acquire(context.Background(), v, Call{})
		if g.instance == nil {
			return &failureOf{g.result}
		}
		<-g.instance.conn.Done()
		synctest.Wait() // the fleet knows
		f.putBack(g.instance)
	}
	return errors.New("nobody noticed")
}

type failureOf struct{ *function.Result }

func (e *failureOf) Error() string { return e.Failure.Message }

func (e *failureOf) Is(target error) bool { return target == ErrNoStart }

func TestOldInstancesGoOnWhereNewOnesDieAtTheirStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", scale(0, 2)))
		s := &fakeStarter{delay: 100 * time.Millisecond, quiet: quiet, work: answersWith(50 * time.Millisecond)}
		s.ends = func(c *fakeConn) bool { return c.start.Values.Config["A"] == "2" }
		f := start(t, s, v.shop, values)
		over := make(chan struct{})
		answered, _ := load(t, f, 4, over)
		time.Sleep(time.Second)
		v.change(2)
		time.Sleep(time.Minute)
		told := f.Troubles()
		if len(told) != 1 || told[0].Kind != NotRenewed || told[0].Times < 3 || !strings.Contains(told[0].Reason, "its last words") {
			t.Errorf("Troubles = %+v, want that no instance starts with the new values, and its words", told)
		}
		v.change(3)
		began := time.Now()
		for slices.ContainsFunc(f.Instances(), func(i Instance) bool { return i.Outdated }) {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took < quiet || took > quiet+time.Second {
			t.Errorf("all have the values that are right after %s, want the first to have run for %s, and the others at once", took, quiet)
		}
		close(over)
		if answers := answered(); len(answers) != 2 || answers["succeeded 1"] == 0 || answers["succeeded 3"] == 0 {
			t.Errorf("answers = %v, want successes with the first and the third value alone", answers)
		}
	})
}

func TestOneInstanceSpeaksForAllWithTheSameValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", scale(8, 8)))
		s := &fakeStarter{delay: 10 * time.Millisecond, quiet: quiet, work: answersWith(0)}
		f := start(t, s, v.shop, values, func(o *Options) { o.MaxStarts = 100 })
		time.Sleep(time.Minute)
		v.change(2)
		time.Sleep(quiet + 500*time.Millisecond)
		for _, i := range f.Instances() {
			if i.Outdated || i.State != Idle {
				t.Errorf("%+v, want none that has the old values, or starts still", i)
			}
		}
	})
}

func TestAnInstanceThatIsHeldBackIsStoppedWithTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", scale(1, 1)))
		s := &fakeStarter{quiet: time.Hour, work: answersWith(0)}
		start(t, s, v.shop, values)
		time.Sleep(time.Second)
		v.change(2)
		time.Sleep(time.Second) // start sees that nothing lives after the end
		if s.living() != 2 {
			t.Errorf("%d instances, want an old one and one that is held back", s.living())
		}
	})
}

func TestAMinimumThatDiesAtItsStartIsInTroubleWhileTheNextOneRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{quiet: quiet, work: takes(0), ends: func(*fakeConn) bool { return true }}
		f := start(t, s, newShop(version("pay", scale(1, 1))))
		time.Sleep(500 * time.Millisecond) // the second one runs since 400 ms
		told, there := f.Troubles(), f.Instances()
		if len(told) != 1 || told[0].Kind != NotStarting || len(there) != 1 {
			t.Errorf("Troubles = %+v of %+v, want that it does not start, though an instance runs", told, there)
		}
	})
}

func TestOneThatDiedWithValuesOfBeforeSaysNothingOfTheNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", scale(1, 1)))
		s := &fakeStarter{quiet: quiet, work: answersWith(0)}
		s.ends = func(c *fakeConn) bool { return c.start.Values.Config["A"] == "1" }
		f := start(t, s, v.shop, values)
		time.Sleep(100 * time.Millisecond)
		v.change(2)
		time.Sleep(time.Second)
		if told := f.Troubles(); len(told) != 0 {
			t.Errorf("Troubles = %+v, want none: what it died with has changed", told)
		}
	})
}

func TestAnInstanceThatTakesNothingIsNoReasonOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: func(*fakeConn, *function.Invocation) (*function.Result, error) { return nil, entry.ErrUndelivered }}
		f := start(t, s, newShop(version("pay")))
		r := mustInvoke(t, f, call("pay"))
		if want := "function pay was ready and stopped taking invocations before it took one"; r.Outcome != function.InitError || r.Failure.Message != want {
			t.Errorf("result = %+v, want %q", r, want)
		}
	})
}
