package catalog

import (
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAVersionIsRemovedThatNothingNeeds(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	for range 4 {
		submit(t, c, Deploy{Version: version("pay")})
	}
	submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "blue", Primary: 1, Weights: map[int]int{2: 10}}})
	for what, r := range map[string]RemoveVersion{
		"that live points at":         {Function: "pay", Version: 4},
		"that an alias points at":     {Function: "pay", Version: 1},
		"with a weight":               {Function: "pay", Version: 2},
		"with dead letters":           {Function: "pay", Version: 3, Needed: func(n int) bool { return n == 3 }},
		"decided upon an older state": {Function: "pay", Version: 3, Expects: new(int64)},
	} {
		if _, err := c.Submit(t.Context(), r); fault.KindOf(err) != fault.Conflict {
			t.Errorf("a version %s: %v, want a conflict", what, err)
		}
	}
	for _, r := range []RemoveVersion{{Function: "pay", Version: 9}, {Function: "none", Version: 1}} {
		if _, err := c.Submit(t.Context(), r); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%+v: %v, want that it is not there", r, err)
		}
	}
	submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 3}})
	before := submit(t, c, RemoveVersion{Function: "pay", Version: 4})
	if f := before.functions["pay"]; f.version(4) != nil || f.version(3) == nil || !f.Gone(4) || f.Gone(5) {
		t.Errorf("after the newest was removed: %+v", f)
	}
	stop()
	c, stop = start(t, log, store)
	caughtUp(t, c)
	stop()
	c, _ = start(t, log, nil) // from the log, and not from the snapshot
	caughtUp(t, c)
	v := submit(t, c, Deploy{Version: version("pay")})
	if f := v.functions["pay"]; f.version(5) == nil || f.version(4) != nil || f.Gone(5) || !f.Gone(4) {
		t.Errorf("the number of a removed version is used again: %+v", f)
	}
}
