package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

func TestExpectedCallsFindTheirInstancesThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 300 * time.Millisecond, work: takes(time.Millisecond)}
		f := start(t, s, newShop(version("pay", scale(0, 8))), func(o *Options) { o.MaxStarts = 100 })
		over := f.Expect(call("pay"), 3)
		time.Sleep(400 * time.Millisecond)
		if got := states(f)[Idle]; got != 3 {
			t.Fatalf("%d instances idle, want 3", got)
		}
		calls := []<-chan answer{begin(t.Context(), f, call("pay")), begin(t.Context(), f, call("pay"))}
		over()
		for _, c := range calls {
			if a := <-c; a.err != nil || a.r.Cold {
				t.Errorf("a call that was expected = %+v, %v, want a warm one", a.r, a.err)
			}
		}
		time.Sleep(2 * time.Second)
		if n := s.started(); n != 3 {
			t.Errorf("%d starts, want 3", n)
		}
		time.Sleep(5 * time.Minute)
		if n := s.living(); n != 0 {
			t.Errorf("%d instances live that nobody used for longer than scale.idle", n)
		}
	})
}

func TestExpectedCallsGetNoMoreThanWaitingOnes(t *testing.T) {
	for name, c := range map[string]struct {
		v      *function.Version
		expect int
		want   int
	}{
		"as many as are expected":          {version("pay"), 3, 3},
		"scale.max":                        {version("pay", scale(0, 2)), 50, 2},
		"several calls of one instance":    {version("pay", concurrent(4)), 6, 2},
		"scale.target":                     {version("pay", concurrent(4), func(s *function.Spec) { s.Scale.Target = 2 }), 6, 3},
		"scale.min is there":               {version("pay", scale(2, 9)), 2, 2},
		"used once":                        {version("pay", never), 4, 4},
		"the node's places":                {version("pay", scale(0, 50)), 40, 6},
		"stdio starts nothing ahead":       {version("pay", stdio), 5, 0},
		"nothing is expected":              {version("pay"), 0, 0},
		"what nobody has is not an error":  {version("other"), 5, 0},
		"less than nothing is not counted": {version("pay"), -4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStarter{delay: 30 * time.Millisecond, work: takes(time.Millisecond)}
				f := start(t, s, newShop(c.v), func(o *Options) { o.MaxInstances = 6 })
				time.Sleep(time.Second)
				f.Expect(call("pay"), c.expect)
				time.Sleep(10 * time.Second)
				if got := s.living(); got != c.want {
					t.Errorf("%d instances for %d calls that are expected, want %d", got, c.expect, c.want)
				}
			})
		})
	}
}

// TestExpectedCallsTakeNobodysPlace: neither an instance of another function nor the turn of a call that waits.
func TestExpectedCallsTakeNobodysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{delay: 30 * time.Millisecond, work: takes(time.Second)}
		f := start(t, s, newShop(version("pay"), version("ship")), func(o *Options) { o.MaxInstances = 3 })
		if a := <-begin(t.Context(), f, call("ship")); a.err != nil {
			t.Fatal(a.err)
		}
		over := f.Expect(call("pay"), 9)
		time.Sleep(5 * time.Second)
		if got := held(f); got["ship"] != 1 || got["pay"] != 2 {
			t.Errorf("instances %v, want the one that was idle and two that are expected", got)
		}
		for range 2 {
			begin(t.Context(), f, call("ship"))
		}
		time.Sleep(100 * time.Millisecond)
		if got := held(f); got["ship"] != 2 {
			t.Errorf("instances %v, want one that is expected to make room for a call that waits", got)
		}
		over()
		time.Sleep(time.Minute)
	})
}

func TestWhatIsExpectedIsNotStoppedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Millisecond)}
		f := start(t, s, newShop(version("pay", func(s *function.Spec) { s.Scale.Idle = function.Duration(time.Second) })))
		over := f.Expect(call("pay"), 2)
		time.Sleep(time.Minute)
		if n := s.started(); n != 2 || s.living() != 2 {
			t.Errorf("%d starts, %d live, want the same two all the time", n, s.living())
		}
		over()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		if n := s.living(); n != 0 {
			t.Errorf("%d instances live that have been idle for a minute and are not expected any more", n)
		}
	})
}

// TestAFailingStartIsNotRepeatedForWhatIsExpected: it waits as for calls, longer each time.
func TestAFailingStartIsNotRepeatedForWhatIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{fails: func(int) error { return &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{}} }}
		f := start(t, s, newShop(version("pay", scale(0, 1))))
		over := f.Expect(call("pay"), 5)
		time.Sleep(10 * time.Minute)
		if n := s.started(); n < 9 || n > 30 {
			t.Errorf("%d starts in 10 minutes, want about 9 and then one in 30s", n)
		}
		over()
		n := s.started()
		time.Sleep(10 * time.Minute)
		if s.started() != n {
			t.Errorf("%d starts more for nobody", s.started()-n)
		}
	})
}

// thrifty is a fake whose instances say what their start took.
type thrifty struct {
	*fakeStarter
	cpu time.Duration
}

type thriftyConn struct {
	*fakeConn
	cpu time.Duration
}

func (c thriftyConn) Usage() runner.Usage { return runner.Usage{CPU: c.cpu} }

func (s thrifty) Start(ctx context.Context, st entry.Start) (entry.Conn, error) {
	c, err := s.fakeStarter.Start(ctx, st)
	if err != nil {
		return nil, err
	}
	return thriftyConn{c.(*fakeConn), s.cpu}, nil
}

// TestAStartCountsForAsLongAsItComputes: instances that mostly wait for something while they start need not wait for each other.
func TestAStartCountsForAsLongAsItComputes(t *testing.T) {
	for name, c := range map[string]struct {
		cpu  time.Duration
		want time.Duration // until eight of three at a time are there; each takes a second
	}{
		"not known":         {0, time.Second + 2*startCounts},
		"it computes":       {time.Second, time.Second + 2*startCounts},
		"it waits":          {50 * time.Millisecond, time.Second + 100*time.Millisecond},
		"it computes never": {time.Microsecond, time.Second + 2*startLeast},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := thrifty{&fakeStarter{delay: time.Second, work: takes(time.Millisecond)}, c.cpu}
				f := start(t, s.fakeStarter, newShop(version("pay", scale(0, 8))), func(o *Options) { o.Starter, o.MaxStarts = s, 4 })
				if a := <-begin(t.Context(), f, call("pay")); a.err != nil {
					t.Fatal(a.err)
				}
				stopIdle(f)
				time.Sleep(time.Minute)
				began := time.Now()
				f.Expect(call("pay"), 8)
				for states(f)[Idle] < 8 {
					time.Sleep(time.Millisecond)
				}
				if took := time.Since(began); took < c.want || took > c.want+5*time.Millisecond {
					t.Errorf("8 starts took %v, want %v", took, c.want)
				}
			})
		})
	}
}
