package fleet

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAFleetIsCrowdedBeforeItsLastPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, &fakeStarter{work: takes(time.Minute)}, newShop(version("pay", scale(0, 20)), version("ship", scale(0, 20))), func(o *Options) { o.MaxInstances = 10 })
		for n := range 10 {
			if got, want := f.Crowded(), n >= 9; got != want {
				t.Errorf("with %d of 10 places taken Crowded = %v, want %v", n, got, want)
			}
			begin(t.Context(), f, call("pay"))
			synctest.Wait()
		}
		begin(t.Context(), f, call("ship"))
		synctest.Wait()
		if !f.Crowded() {
			t.Error("with a call that waits for a place Crowded = false, want true")
		}
		time.Sleep(time.Hour) // all have been served, and the instances were idle for long
		synctest.Wait()
		if f.Crowded() {
			t.Error("with nothing to do Crowded = true, want false")
		}
	})
}
