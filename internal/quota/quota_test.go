package quota_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/quota"
)

func of(all map[string]function.Quota) func(string) function.Quota {
	return func(env string) function.Quota { return all[env] }
}

// waits is how long an error says that it takes; 0 = it is none.
func waits(err error) time.Duration {
	if over, is := errors.AsType[*quota.Over](err); is {
		return over.Wait
	}
	return 0
}

func perSecond(n int) function.Rate { return function.Rate{Count: n, Per: time.Second} }

func TestCallsAreHeldToTheRateOfTheirEnvironmentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		q, err := quota.New(quota.Options{Of: of(map[string]function.Quota{"acme": {Calls: perSecond(10)}}), Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		made := 0
		for range 100 { // ten seconds
			for range 5 {
				if q.Call("acme") == nil {
					made++
				}
				if err := q.Call("beta"); err != nil {
					t.Fatalf("beta has no quota, and: %v", err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if made < 105 || made > 110 {
			t.Errorf("%d of 500 calls in 10s were made, want 10 a second and what was left at first", made)
		}
		if wait := waits(q.Call("acme")); wait < 0 || wait > 100*time.Millisecond {
			t.Errorf("the next is in %v, want within 100ms", wait)
		}
		if n := testutil.CollectAndCount(registry, "dalamb_quota_refused_total"); n != 1 {
			t.Errorf("%d series tell of refusals, want 1: of acme's calls", n)
		}
	})
}

func TestEventsOfFunctionsAreOwedAndNeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := quota.New(quota.Options{Of: of(map[string]function.Quota{"acme": {Events: perSecond(10)}})})
		if err != nil {
			t.Fatal(err)
		}
		if wait := waits(q.Send("acme", 35)); wait != 0 {
			t.Fatalf("a batch of more than a second's waits %v, want it taken while nothing is owed", wait)
		}
		if wait := waits(q.Send("acme", 1)); wait < 2500*time.Millisecond || wait > 2700*time.Millisecond {
			t.Errorf("after it the next waits %v, want 2.6s", wait)
		}
		q.Emitted("acme", 25)
		if wait := q.Owes("acme"); wait < 4900*time.Millisecond || wait > 5100*time.Millisecond {
			t.Errorf("50 events are owed for %v, want 5s", wait)
		}
		time.Sleep(q.Owes("acme"))
		if wait := q.Owes("acme"); wait != 0 {
			t.Errorf("after that they are owed for another %v", wait)
		}
		if wait := q.Owes("beta"); wait != 0 || q.Send("beta", 1e6) != nil {
			t.Errorf("beta owes nothing, and waits %v", wait)
		}
	})
}

func TestARaisedQuotaCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := map[string]function.Quota{"": {Calls: function.Rate{Count: 1, Per: time.Hour}}}
		q, err := quota.New(quota.Options{Of: of(all)})
		if err != nil {
			t.Fatal(err)
		}
		if q.Call("") != nil || q.Call("") == nil {
			t.Fatal("one call an hour is not one")
		}
		all[""] = function.Quota{Calls: perSecond(5)}
		if err := q.Call(""); err != nil {
			t.Errorf("with the quota raised a call is refused: %v", err)
		}
		delete(all, "")
		for range 10 {
			if err := q.Call(""); err != nil {
				t.Fatalf("without a quota a call is refused: %v", err)
			}
		}
	})
}
