package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
)

// restingStarter's instances are busy for a second after each answer.
type restingStarter struct{ *fakeStarter }

func (s restingStarter) Start(ctx context.Context, st entry.Start) (entry.Conn, error) {
	c, err := s.fakeStarter.Start(ctx, st)
	if err != nil {
		return nil, err
	}
	return resting{c}, nil
}

type resting struct{ entry.Conn }

func (resting) Rests() bool { return true }
func (resting) Rest()       { time.Sleep(time.Second) }

func TestAnInstanceThatRestsIsUsedAgainAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStarter{work: takes(time.Millisecond)}
		f := start(t, s, newShop(version("pay")), func(o *Options) { o.Starter = restingStarter{s} })
		began := time.Now()
		first := mustInvoke(t, f, call("pay"))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the answer took %v, want no wait for the rest", took)
		}
		if second := mustInvoke(t, f, call("pay")); second.Instance == first.Instance {
			t.Error("a call went to an instance that rests")
		}
		time.Sleep(2 * time.Second)
		if n := len(f.Instances()); n != 2 {
			t.Fatalf("%d instances, want 2", n)
		}
		if third := mustInvoke(t, f, call("pay")); third.Cold {
			t.Error("an instance that has rested was not used again")
		}
	})
}
