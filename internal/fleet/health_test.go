package fleet

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

func healthy(every time.Duration, failures int, grace time.Duration) func(*function.Spec) {
	return func(s *function.Spec) {
		s.Health = &function.Health{Path: "/well", Every: function.Duration(every), Failures: failures, Grace: function.Duration(grace)}
	}
}

func TestAnInstanceThatIsNotWellIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		sick := ""
		s.probe = func(c *fakeConn) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.start.ID == sick {
				return errors.New("GET /well answered 500")
			}
			return nil
		}
		f := start(t, s, newShop(version("web", concurrent(4), scale(1, 3), healthy(10*time.Second, 3, 0))))
		first := mustInvoke(t, f, call("web")).Instance
		time.Sleep(time.Hour)
		if got := f.Instances(); len(got) != 1 || got[0].ID != first || f.Replaced() != nil {
			t.Fatalf("Instances = %+v, replaced %v; want the first alone, since it is well", got, f.Replaced())
		}
		s.mu.Lock()
		sick = first
		s.mu.Unlock()
		time.Sleep(25 * time.Second)
		if got := f.Instances(); len(got) != 1 || got[0].ID != first {
			t.Errorf("Instances after two failures = %+v, want the first", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := f.Instances(); len(got) != 1 || got[0].ID == first || got[0].State != Idle {
			t.Errorf("Instances after three failures = %+v, want another that is idle", got)
		}
		got := f.Replaced()
		if len(got) != 1 || got[0].Instance != first || got[0].Cause != Unhealthy || !strings.Contains(got[0].Reason, "GET /well answered 500, 3 times in a row") {
			t.Errorf("Replaced = %+v, want %s with the reason", got, first)
		}
	})
}

func TestASickInstanceFinishesWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Minute), probe: func(*fakeConn) error { return errors.New("no") }}
		f := start(t, s, newShop(version("web", concurrent(4), healthy(time.Second, 2, 10*time.Second))))
		long := begin(t.Context(), f, call("web"))
		time.Sleep(9 * time.Second)
		if got := states(f); got[Busy] != 1 {
			t.Errorf("states within the grace = %v, want one busy", got)
		}
		time.Sleep(5 * time.Second)
		other := begin(t.Context(), f, call("web"))
		synctest.Wait()
		if got := states(f); got[Stopping] != 1 || got[Busy] != 1 {
			t.Errorf("states = %v, want the sick one leaving and another busy", got)
		}
		if a := <-long; a.err != nil || a.r.Outcome != function.Succeeded {
			t.Errorf("the call on the sick instance = %+v, want its result", a)
		}
		if a := <-other; a.err != nil || a.r.Instance == "" {
			t.Errorf("the call after = %+v", a)
		}
	})
}

func TestAFrozenInstanceIsNotAskedForItsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		asked := 0
		s.probe = func(c *fakeConn) error {
			if c.still() {
				t.Error("a frozen instance was asked")
			}
			asked++
			<-time.After(500 * time.Millisecond)
			if c.still() {
				t.Error("an instance was frozen while it was asked")
			}
			return nil
		}
		f := start(t, s, newShop(version("web", concurrent(4), healthy(time.Second, 1, 0), freezes(2200*time.Millisecond))))
		mustInvoke(t, f, call("web"))
		time.Sleep(time.Minute)
		if got := states(f); got[Frozen] != 1 || asked < 2 || asked > 5 {
			t.Errorf("states = %v, asked %d times; want one frozen, asked while it was not", got, asked)
		}
	})
}

func TestWhyAnInstanceWasReplacedIsKept(t *testing.T) {
	for outcome, want := range map[function.Outcome]Cause{function.TimedOut: Overdue, function.Crashed: Ended, function.OOM: TooBig, function.Failed: ""} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStarter{work: func(*fakeConn, *function.Invocation) (*function.Result, error) { return ended(outcome) }}
			f := start(t, s, newShop(version("pay"), version("mail", stdio)))
			mustInvoke(t, f, call("mail"))
			r, err := f.Invoke(context.Background(), call("pay"))
			if err != nil {
				t.Fatal(err)
			}
			got := f.Replaced()
			switch {
			case want == "" && got != nil:
				t.Errorf("Replaced after %s = %+v, want none", outcome, got)
			case want != "" && (len(got) != 1 || got[0].Cause != want || got[0].Instance != r.Instance || got[0].Reason != string(outcome)):
				t.Errorf("Replaced after %s = %+v, want %s by %s", outcome, got, r.Instance, want)
			}
		})
	}
}

func TestTheHistoryOfReplacementsIsBoundedAndToldWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: func(*fakeConn, *function.Invocation) (*function.Result, error) { return ended(function.Crashed) }}
		var told []Replacement
		var f *Fleet
		f = start(t, s, newShop(version("pay")), func(o *Options) {
			o.Replaced = func(r Replacement) {
				f.Replaced() // no lock is held
				told = append(told, r)
			}
		})
		const crashes = keptReplacements + 5
		for range crashes {
			mustInvoke(t, f, call("pay"))
			time.Sleep(time.Minute)
		}
		got := f.Replaced()
		if len(got) != keptReplacements || got[0].Times != crashes-keptReplacements+1 || got[len(got)-1].Times != crashes || !got[0].At.Before(got[1].At) {
			t.Errorf("Replaced = %+v, want the last %d of %d, the last one last", got, keptReplacements, crashes)
		}
		if len(told) != crashes || told[crashes-1] != got[len(got)-1] {
			t.Errorf("told %d, want all %d", len(told), crashes)
		}
	})
}

func TestAnInstanceThatIsBusyIsNeitherWellNorUnwell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answers []error
		s := &fakeStarter{work: takes(time.Second)}
		s.probe = func(*fakeConn) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(answers) == 0 {
				return nil
			}
			err := answers[0]
			answers = answers[1:]
			return err
		}
		f := start(t, s, newShop(version("web", concurrent(4), scale(1, 3), healthy(10*time.Second, 3, 0))))
		first := mustInvoke(t, f, call("web")).Instance
		sick := errors.New("GET /well answered 500")
		s.mu.Lock()
		answers = []error{entry.ErrBusy, sick, entry.ErrBusy, entry.ErrBusy, sick, entry.ErrBusy}
		s.mu.Unlock()
		time.Sleep(65 * time.Second)
		if got := f.Instances(); len(got) != 1 || got[0].ID != first {
			t.Fatalf("Instances after two failures = %+v, want the first", got)
		}
		s.mu.Lock()
		answers = []error{sick, sick, entry.ErrBusy, sick}
		s.mu.Unlock()
		time.Sleep(time.Minute)
		if got := f.Replaced(); len(got) != 1 || got[0].Instance != first {
			t.Errorf("Replaced = %+v, want %s after three failures between which it was busy", got, first)
		}
	})
}
