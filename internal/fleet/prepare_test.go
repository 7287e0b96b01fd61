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

// rollOut lets a shop want a second version of pay, prepared as a roll-out does.
func (s *shop) rollOut(next *function.Version, prepared ...Prepared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions["pay"] = append(s.versions["pay"], next)
	s.also, s.prepared = next, prepared
	close(s.changed)
	s.changed = make(chan struct{})
}

// keep lets a shop have instances of a version that no alias points at.
func (s *shop) keep(v *function.Version, instances int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions["pay"] = append(s.versions["pay"], v)
	s.prepared = []Prepared{{Version: v, Instances: instances}}
	close(s.changed)
	s.changed = make(chan struct{})
}

// over ends it: only the live version is wanted.
func (s *shop) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.also, s.prepared = nil, nil
	close(s.changed)
	s.changed = make(chan struct{})
}

func second(change ...func(*function.Spec)) *function.Version {
	v := version("pay", change...)
	v.Number, v.Digest = 2, "sha256:02"
	return v
}

func count(f *Fleet, version int) (n int) {
	for _, i := range f.Instances() {
		if i.Version == version {
			n++
		}
	}
	return n
}

func TestAVersionIsReadyBeforeItsFirstCallAndStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 3 * time.Second, work: takes(time.Millisecond)}
		shop, next := newShop(version("pay")), second()
		f := start(t, s, shop)
		shop.rollOut(next, Prepared{Version: next})
		began := time.Now()
		if err := f.Ready(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 3*time.Second {
			t.Errorf("it was ready after %s, want it to have started", took)
		}
		time.Sleep(time.Hour) // longer than an instance may be idle
		synctest.Wait()
		c := call("pay")
		c.Version = 2
		if r := mustInvoke(t, f, c); r.Cold || s.started() != 1 {
			t.Errorf("its first call was cold %v, after %d starts; want it warm after one", r.Cold, s.started())
		}
		shop.over()
		synctest.Wait()
		if got := count(f, 2); got != 0 {
			t.Errorf("%d instances of it after the roll-out, want none", got)
		}
	})
}

func TestOfAVersionThatIsNotWantedSoManyAreKeptAsAreAskedForAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Millisecond)}
		old := second(scale(3, 5), func(s *function.Spec) { s.Scale.Reserved = 4 })
		shop := newShop(version("pay"))
		f := start(t, s, shop)
		shop.keep(old, 1)
		if err := f.Ready(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // longer than an instance may be idle
		synctest.Wait()
		f.mu.Lock()
		reserved := f.shareOf("pay").reserved
		f.mu.Unlock()
		if got := count(f, 2); got != 1 || reserved != 0 {
			t.Errorf("%d instances are kept, and %d reserved; want 1 and none", got, reserved)
		}
		c := call("pay")
		c.Version = 2
		if r := mustInvoke(t, f, c); r.Cold {
			t.Error("a call of it is cold")
		}
		shop.over()
		synctest.Wait()
		if got := count(f, 2); got != 0 {
			t.Errorf("%d instances are there when none is asked for", got)
		}
	})
}

func TestSoManyAreReadyAsAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Millisecond)}
		next := second(scale(0, 3))
		shop := newShop(version("pay"))
		f := start(t, s, shop)
		shop.rollOut(next, Prepared{Version: next, Instances: 2}, Prepared{Version: next})
		time.Sleep(time.Hour) // longer than an instance may be idle
		synctest.Wait()
		if got := count(f, 2); got != 2 {
			t.Errorf("%d instances, want 2", got)
		}
		shop.rollOut(next, Prepared{Version: next, Instances: 5})
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := count(f, 2); got != 3 {
			t.Errorf("%d instances, want the 3 that it may have", got)
		}
	})
}

func TestAsManyAreReadyAsTheOtherVersionHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		old, next := version("pay"), second()
		shop := newShop(old)
		f := start(t, s, shop)
		var answers []<-chan answer
		for range 4 {
			answers = append(answers, begin(t.Context(), f, call("pay")))
		}
		for _, a := range answers {
			if got := <-a; got.err != nil {
				t.Fatal(got.err)
			}
		}
		shop.rollOut(next, Prepared{Version: next, Like: old}, Prepared{Version: old, Like: old})
		if err := f.Ready(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if got := count(f, 2); got != 4 {
			t.Errorf("%d instances are ready, want as many as of the old version, 4", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if a, b := count(f, 1), count(f, 2); a != 4 || b != 4 {
			t.Errorf("after an hour %d and %d instances, want 4 and 4 until the end", a, b)
		}
	})
}

func TestReadyEndsWhereTheNodeHasNoMoreRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Second, work: takes(time.Second)}
		old, next := version("pay", scale(3, 3)), second()
		shop := newShop(old)
		f := start(t, s, shop, func(o *Options) { o.MaxInstances = 4 })
		synctest.Wait()
		time.Sleep(2 * time.Second)
		shop.rollOut(next, Prepared{Version: next, Like: old}, Prepared{Version: old, Like: old})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.Ready(ctx, next); err != nil || count(f, 2) != 1 {
			t.Errorf("Ready = %v with %d instances, want the one that there is room for", err, count(f, 2))
		}
	})
}

func TestWhatCannotStartIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second), fails: func(int) error {
			return &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{Message: "no such module"}}
		}}
		shop, next := newShop(version("pay")), second()
		f := start(t, s, shop)
		shop.rollOut(next, Prepared{Version: next})
		err := f.Ready(t.Context(), next)
		if !errors.Is(err, ErrNoStart) || !strings.Contains(err.Error(), "no such module") {
			t.Errorf("Ready = %v, want that it does not start, and why", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: time.Hour, work: takes(time.Second)}
		shop, next := newShop(version("pay")), second()
		f := start(t, s, shop)
		shop.rollOut(next, Prepared{Version: next})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.Ready(ctx, next); err == nil || errors.Is(err, ErrNoStart) {
			t.Errorf("Ready of what takes too long = %v, want an error that is no verdict", err)
		}
	})
}

func TestAFunctionThatStartsWithItsCallIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Second)}
		shop, next := newShop(version("pay", stdio)), second(stdio)
		f := start(t, s, shop)
		shop.rollOut(next, Prepared{Version: next})
		if err := f.Ready(t.Context(), next); err != nil {
			t.Error(err)
		}
	})
}
