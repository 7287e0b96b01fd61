package fleet

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

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
		synctest.Wait()
		if got := f.Running(); len(got) != 1 || got[0].Number != 1 {
			t.Errorf("Running = %v, want the old version, which nothing points at and which runs something", got)
		}
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

func TestKillEndsACallThatRuns(t *testing.T) {
	for _, v := range []*function.Version{version("pay"), version("pay", stdio), version("pay", concurrent(4))} {
		t.Run(string(v.Spec.Entry.Type), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStarter{work: takes(time.Hour)}
				f := start(t, s, newShop(v))
				c, kill := killable("pay")
				running := begin(t.Context(), f, c)
				time.Sleep(time.Second)
				close(kill)
				synctest.Wait()
				select {
				case a := <-running:
					if a.r != nil || fault.KindOf(a.err) != fault.Unavailable {
						t.Errorf("the killed call = %+v, want Unavailable", a)
					}
				default:
					t.Fatal("the killed call still runs")
				}
				if n := s.living(); n != 0 {
					t.Errorf("%d instances live, want that of the killed call ended", n)
				}
			})
		})
	}
}

func TestKillLetsAQueuedCallLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Hour)}
		f := start(t, s, newShop(version("pay", scale(0, 1))))
		running := begin(t.Context(), f, call("pay"))
		time.Sleep(time.Second)
		c, kill := killable("pay")
		queued := begin(t.Context(), f, c)
		synctest.Wait()
		close(kill)
		if a := <-queued; fault.KindOf(a.err) != fault.Unavailable {
			t.Errorf("the queued call = %+v, want Unavailable", a)
		}
		if _, err := f.Invoke(t.Context(), c); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a call that was killed before = %v, want Unavailable", err)
		}
		if a := <-running; a.err != nil {
			t.Errorf("the call that was not killed = %+v, want its result", a)
		}
	})
}

// killable is a call with its Kill.
func killable(name string) (Call, chan struct{}) {
	kill := make(chan struct{})
	c := call(name)
	c.Kill = kill
	return c, kill
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

// A node whose drain time was over before fleet's turn came has nothing to complain of when nothing runs.
func TestDrainOfNothingNeedsNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &fakeStarter{}, newShop(version("pay")))
		late, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // of two things that are ready, select takes any
			if err := f.Drain(late); err != nil {
				t.Fatalf("Drain of nothing, too late = %v", err)
			}
		}
	})
}
