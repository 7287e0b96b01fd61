package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// vault gives each version of one function a variable A, whose value is the offset at which it changed.
type vault struct {
	shop *shop
	of   string

	mu     sync.Mutex
	offset int64
}

func (v *vault) change(offset int64) {
	v.mu.Lock()
	v.offset = offset
	v.mu.Unlock()
	v.shop.mu.Lock()
	defer v.shop.mu.Unlock()
	close(v.shop.changed)
	v.shop.changed = make(chan struct{})
}

func (v *vault) Offset(version *function.Version) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if version.Function() != v.of {
		return 0
	}
	return v.offset
}

func (v *vault) Values(version *function.Version) (entry.Values, int64, error) {
	n := v.Offset(version)
	if n < 0 {
		return entry.Values{}, 0, fault.New(fault.Unavailable, "there is no key")
	}
	return entry.Values{Config: map[string]string{"A": fmt.Sprint(n)}}, n, nil
}

// newVault is a shop with one, and the option that a fleet needs for it.
func newVault(vs ...*function.Version) (*vault, func(*Options)) {
	v := &vault{shop: newShop(vs...), of: vs[0].Function(), offset: 1}
	return v, func(o *Options) { o.Values = v }
}

// answersWith takes so long and answers with the value that the instance was started with.
func answersWith(d time.Duration) works {
	return func(c *fakeConn, _ *function.Invocation) (*function.Result, error) {
		select {
		case <-time.After(d):
			return done(c.start.Values.Config["A"])
		case <-c.stopped:
			return nil, fault.New(fault.Unavailable, "stopped")
		}
	}
}

// load calls a function from some callers, one call after another each, until over is closed; then answered has how often each answer came.
func load(t *testing.T, f *Fleet, callers int, over <-chan struct{}) (answered func() map[string]int, slowest func() time.Duration) {
	var mu sync.Mutex
	var all sync.WaitGroup
	answers, most := map[string]int{}, time.Duration(0)
	for range callers {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				began := time.Now()
				r, err := f.Invoke(t.Context(), call("pay"))
				what := fmt.Sprint(err)
				if err == nil {
					what = string(r.Outcome) + " " + string(r.Body)
				}
				mu.Lock()
				answers[what]++
				most = max(most, time.Since(began))
				mu.Unlock()
			}
		})
	}
	return func() map[string]int { all.Wait(); return answers }, func() time.Duration { all.Wait(); return most }
}

func TestChangedValuesReplaceInstancesAndNoCallIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		version *function.Version
		callers int
		most    int // instances at a time
		node    int
	}{
		"lambda":          {version("pay", scale(0, 8)), 12, 10, 0},
		"one alone":       {version("pay", scale(0, 1)), 3, 2, 0},
		"http":            {version("pay", concurrent(4), scale(0, 2)), 6, 3, 0},
		"used once":       {version("pay", never, scale(0, 4)), 3, 5, 0},
		"a node of one":   {version("pay", scale(0, 1)), 3, 1, 1},
		"a node of three": {version("pay", scale(0, 8)), 12, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, values := newVault(c.version)
				s := &fakeStarter{delay: time.Second, work: answersWith(100 * time.Millisecond)}
				f := start(t, s, v.shop, values, func(o *Options) { o.MaxInstances = c.node })
				over := make(chan struct{})
				answered, _ := load(t, f, c.callers, over)
				time.Sleep(10 * time.Second)
				v.change(2)
				time.Sleep(time.Minute)
				late := mustInvoke(t, f, call("pay"))
				close(over)
				answers := answered()
				if len(answers) != 2 || answers["succeeded 1"] == 0 || answers["succeeded 2"] == 0 {
					t.Errorf("answers = %v, want successes with the old and the new value alone", answers)
				}
				if string(late.Body) != "2" {
					t.Errorf("a minute later the value is %s, want 2", late.Body)
				}
				s.mu.Lock()
				got := s.most[keyOf(c.version)]
				s.mu.Unlock()
				if got > c.most {
					t.Errorf("%d instances at a time, want at most %d", got, c.most)
				}
			})
		})
	}
}

func TestANewInstanceIsReadyBeforeTheOldOneGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", concurrent(4), scale(1, 1)))
		s := &fakeStarter{delay: 5 * time.Second, work: answersWith(100 * time.Millisecond)}
		f := start(t, s, v.shop, values)
		mustInvoke(t, f, call("pay"))
		over := make(chan struct{})
		_, slowest := load(t, f, 3, over)
		time.Sleep(time.Second)
		v.change(2)
		time.Sleep(10 * time.Second)
		close(over)
		if got := slowest(); got != 100*time.Millisecond {
			t.Errorf("the slowest call took %v, want none to wait for a start", got)
		}
		if s.started() != 2 {
			t.Errorf("%d instances were started, want 2", s.started())
		}
	})
}

func TestValuesThatChangeWhileInstancesAreReplaced(t *testing.T) {
	for _, most := range []int{1, 3, 8} {
		synctest.Test(t, func(t *testing.T) {
			v, values := newVault(version("pay", scale(0, most)))
			s := &fakeStarter{delay: time.Second, work: answersWith(100 * time.Millisecond)}
			f := start(t, s, v.shop, values)
			over := make(chan struct{})
			answered, _ := load(t, f, 2*most, over)
			time.Sleep(20 * time.Second)
			for n := range int64(20) {
				v.change(n + 2)
				time.Sleep(time.Duration(n) * 137 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			for range 2 * most {
				if r := mustInvoke(t, f, call("pay")); string(r.Body) != "21" {
					t.Errorf("of at most %d: a minute after the last change an instance has the value %s, want 21", most, r.Body)
				}
			}
			close(over)
			for answer := range answered() {
				if !strings.HasPrefix(answer, "succeeded ") {
					t.Errorf("of at most %d: a call came to %s", most, answer)
				}
			}
		})
	}
}

func TestIdleAndFrozenInstancesAreReplacedAndOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", freezes(2*time.Second)), version("mail"))
		s := &fakeStarter{work: answersWith(time.Second)}
		f := start(t, s, v.shop, values)
		before := mustInvoke(t, f, call("pay"))
		mail := mustInvoke(t, f, call("mail"))
		time.Sleep(10 * time.Second)
		if got := states(f); got[Frozen] != 1 {
			t.Fatalf("states = %v, want one frozen", got)
		}
		v.change(2)
		time.Sleep(time.Second)
		after := mustInvoke(t, f, call("pay"))
		if after.Cold || after.Instance == before.Instance || string(after.Body) != "2" {
			t.Errorf("after the change: cold %v, instance %s, value %s; want a warm new one", after.Cold, after.Instance, after.Body)
		}
		if r := mustInvoke(t, f, call("mail")); r.Instance != mail.Instance {
			t.Error("the instance of a function that takes nothing was replaced")
		}
		v.change(2) // nothing that it takes has changed
		time.Sleep(time.Second)
		if s.started() != 3 {
			t.Errorf("%d instances were started, want 3", s.started())
		}
	})
}

func TestOldInstancesGoOnWhileNewOnesDoNotStart(t *testing.T) {
	for name, fails := range map[string]error{
		"the function ends": &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{Message: "wrong password"}},
		"no value":          errors.New("there is no key"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				broken := false
				v, values := newVault(version("pay", scale(0, 2)))
				s := &fakeStarter{delay: 100 * time.Millisecond, work: answersWith(50 * time.Millisecond), fails: func(int) error {
					mu.Lock()
					defer mu.Unlock()
					if broken {
						return fails
					}
					return nil
				}}
				f := start(t, s, v.shop, values)
				over := make(chan struct{})
				answered, _ := load(t, f, 4, over)
				time.Sleep(time.Second)
				mu.Lock()
				broken = true
				mu.Unlock()
				started := s.started()
				v.change(2)
				time.Sleep(time.Minute)
				if got := s.started() - started; got < 3 || got > 12 {
					t.Errorf("%d starts within a minute, want some, each later than the one before", got)
				}
				told := f.Troubles()
				if len(told) != 1 || told[0].Kind != NotRenewed || told[0].Function != "pay" || told[0].Times < 3 || !strings.Contains(told[0].Reason, fails.Error()) {
					t.Errorf("Troubles = %+v, want that no instance starts with the new values", told)
				}
				if all := f.Instances(); !slices.ContainsFunc(all, func(i Instance) bool { return i.Outdated }) {
					t.Errorf("Instances = %+v, want outdated ones", all)
				}
				began := time.Now()
				mu.Lock()
				broken = false
				mu.Unlock()
				v.change(3)
				if told := f.Troubles(); len(told) != 0 {
					t.Errorf("Troubles = %+v at once after the next change, want none: nothing was tried yet", told)
				}
				for slices.ContainsFunc(f.Instances(), func(i Instance) bool { return i.Outdated }) {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("the next values came after %s, want that they do not wait for those before", took)
				}
				close(over)
				answers := answered()
				if len(answers) != 2 || answers["succeeded 1"] == 0 || answers["succeeded 3"] == 0 {
					t.Errorf("answers = %v, want successes alone", answers)
				}
			})
		})
	}
}

func TestAStartThatFailsWithValuesOfBeforeSaysNothingOfTheNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay", scale(0, 1)))
		s := &fakeStarter{delay: 2 * time.Second, work: answersWith(0), fails: func(n int) error {
			if n == 2 {
				return errors.New("no work with that value")
			}
			return nil
		}}
		f := start(t, s, v.shop, values)
		mustInvoke(t, f, call("pay"))
		v.change(2)
		time.Sleep(time.Second)
		v.change(3)
		time.Sleep(1500 * time.Millisecond)
		if got := s.started(); got != 3 {
			t.Errorf("%d starts, want the third right after the second had failed", got)
		}
		if told := f.Troubles(); len(told) != 0 {
			t.Errorf("Troubles = %+v, want none: what failed had the values of before", told)
		}
		time.Sleep(2 * time.Second)
		if r := mustInvoke(t, f, call("pay")); string(r.Body) != "3" {
			t.Errorf("the value is %s, want 3", r.Body)
		}
	})
}

func TestAVersionWhoseValuesCannotBeHadDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, values := newVault(version("pay"))
		v.offset = -1
		f := start(t, &fakeStarter{work: answersWith(0)}, v.shop, values)
		if _, err := f.Invoke(t.Context(), call("pay")); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Invoke = %v, want why it does not start", err)
		}
		v.change(1)
		time.Sleep(time.Second)
		mustInvoke(t, f, call("pay"))
	})
}
