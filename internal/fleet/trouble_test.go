package fleet

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// TestAnInstanceThatIsNeverWellIsNotReplacedAgainAndAgain: the next one comes later each time, for calls too, until one is well.
func TestAnInstanceThatIsNeverWellIsNotReplacedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := false
		s := &fakeStarter{work: takes(time.Millisecond)}
		s.probe = func(*fakeConn) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if well {
				return nil
			}
			return errors.New("GET /well answered 500")
		}
		f := start(t, s, newShop(version("web", scale(1, 3), concurrent(2), healthy(100*time.Millisecond, 1, 0))))
		time.Sleep(10 * time.Minute)
		if n := s.started(); n < 10 || n > 30 {
			t.Errorf("%d starts in 10 minutes, want about 10 and then one in 30s", n)
		}
		for s.living() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		got := f.Troubles()
		if len(got) != 1 || got[0].Function != "web" || got[0].Kind != NotWell || got[0].Times < 10 || !strings.Contains(got[0].Reason, "answered 500") || !got[0].Next.After(time.Now()) {
			t.Errorf("Troubles = %+v, want that web is not well, and when the next one comes", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Invoke(ctx, call("web"))
		if fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), "its instances are not well (GET /well answered 500, 1 times in a row") {
			t.Errorf("a call meanwhile = %v, want that the instances are not well", err)
		}
		s.mu.Lock()
		well = true
		s.mu.Unlock()
		time.Sleep(time.Minute)
		if got := f.Troubles(); len(got) != 0 || len(f.Instances()) != 1 {
			t.Errorf("Troubles = %+v with instances %+v, want none when one is well", got, f.Instances())
		}
	})
}

func TestStartsThatFailAreToldWhileNoneIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		s := &fakeStarter{work: takes(time.Millisecond)}
		s.fails = func(int) error {
			if !mended.Load() {
				return &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{Message: "no module named pay"}}
			}
			return nil
		}
		f := start(t, s, newShop(version("pay", scale(2, 3)), version("idle")))
		began := time.Now()
		time.Sleep(time.Minute)
		got := f.Troubles()
		if len(got) != 1 || got[0].Function != "pay" || got[0].Version != 1 || got[0].Kind != NotStarting || got[0].Times < 5 ||
			!got[0].Since.Equal(began) || !strings.Contains(got[0].Reason, "no module named pay") || got[0].Next.Before(time.Now()) {
			t.Errorf("Troubles = %+v, want that pay's instances do not start", got)
		}
		mended.Store(true)
		time.Sleep(time.Minute)
		if got := f.Troubles(); len(got) != 0 {
			t.Errorf("Troubles = %+v when its instances are there, want none", got)
		}
	})
}

func TestAReservationThatDoesNotFitIsToldUntilItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := newShop(version("big", reserves(20)), version("other"))
		f := start(t, &fakeStarter{work: takes(time.Millisecond)}, shop, func(o *Options) { o.MaxInstances = 10 })
		began := time.Now()
		time.Sleep(time.Hour)
		other := version("other")
		other.Number = 2
		shop.deploy(other) // the reservations are counted anew
		time.Sleep(time.Hour)
		got := f.Troubles()
		if len(got) != 1 || got[0].Function != "big" || got[0].Kind != NoPlace || !got[0].Since.Equal(began) || !got[0].Next.IsZero() ||
			!strings.Contains(got[0].Reason, "scale.reserved asks for 20 places, and of the node's 10 (limits.instances) 9 are left for it") {
			t.Errorf("Troubles = %+v, want that big reserves too much, since its deploy", got)
		}
		fits := version("big", reserves(3))
		fits.Number = 2
		shop.deploy(fits)
		time.Sleep(time.Second)
		if got := f.Troubles(); len(got) != 0 {
			t.Errorf("Troubles = %+v when it reserves less, want none", got)
		}
	})
}
