package git

import (
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestAPushTellsOfItsRollout(t *testing.T) {
	over := time.Unix(1_800_000_000, 0)
	running := []wire.Rollout{{State: function.RolloutRunning}, {State: function.RolloutRunning, Weight: 25}}
	for _, c := range []struct {
		end  wire.Rollout
		ok   bool
		said []string
	}{
		{wire.Rollout{State: function.RolloutSucceeded, Weight: 100, Ended: over}, true,
			[]string{"version 2 (live)  is rolled out", "version 2 (live)  running, 0 %", "version 2 (live)  running, 25 %", "version 2 (live)  succeeded, 100 %"}},
		{wire.Rollout{State: function.RolloutFailed, Ended: over, Gate: "errors", Reason: "half of all fail"}, false,
			[]string{"running, 25 %", "remote: dalamb: the roll-out of web version 2 failed: gate errors: half of all fail", "hint: dalamb rollout show web", "[remote rejected]"}},
	} {
		h := newHost(t)
		w := newWork(t).repositoryOn(h)
		w.commit("second", map[string]string{"web/main.py": "print(2)\n"})
		h.rollouts = append(running[:2:2], c.end)
		said, ok := w.push(h.url, "main")
		wantText(t, said, c.said...)
		if moved := strings.Contains(h.refs(w), w.git("rev-parse", "HEAD")); ok != c.ok || moved != c.ok || (len(h.events) == 2) != c.ok {
			t.Errorf("a roll-out that %s: accepted %v, moved %v, %d events; want %v", c.end.State, ok, moved, len(h.events), c.ok)
		}
	}
}

// A newer push does not wait for the roll-out of an older one: its own takes that one's place.
func TestANewerPushEndsOneThatWaitsForItsRollout(t *testing.T) {
	h := newHost(t)
	a, b := h.two(t)
	h.rollouts, h.stopped = []wire.Rollout{{State: function.RolloutRunning, Weight: 5}}, make(chan struct{})
	older := a.start(h.url, "main")
	within(t, "the roll-out", h.stopped)
	h.mu.Lock()
	h.rollouts = nil
	h.mu.Unlock()
	wantText(t, b.pushed(h.url, "main"), "web                  version 3 (live)  deployed")
	within(t, "the end of the older push", older.done)
	wantText(t, older.said, "running, 5 %", "a newer push to the same branch took its place", "hint: the newer one does not have all that this one brings")
	if older.ok {
		t.Error("the older push was accepted")
	}
}
