package dispatch

import (
	"testing"

	"pgregory.net/rapid"
)

// TestGateIsFairAndNeverOverfull holds a gate against a list of who waits and a count of who is in.
func TestGateIsFairAndNeverOverfull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 4).Draw(t, "slots")
		g := newGate(slots)
		in := 0
		var queue []*waiter
		waiters := map[*waiter]bool{}
		newWaiter := func() *waiter {
			w := &waiter{}
			w.granted = func() {
				if len(queue) == 0 || queue[0] != w {
					t.Fatalf("one was let in who is not the first")
				}
				queue = queue[1:]
				in++
			}
			return w
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				w := newWaiter()
				free := in < slots && len(queue) == 0
				if !free {
					queue = append(queue, w)
					waiters[w] = true
				}
				if got := g.acquire(w); got != free {
					t.Fatalf("acquire = %v with %d of %d in and %d waiting", got, in, slots, len(queue))
				}
				if free {
					in++
				}
			},
			"release": func(rt *rapid.T) {
				if in == 0 {
					rt.Skip("nobody is in")
				}
				in--
				g.release()
			},
			"leave": func(rt *rapid.T) {
				if len(queue) == 0 {
					rt.Skip("nobody waits")
				}
				i := rapid.IntRange(0, len(queue)-1).Draw(t, "who")
				w := queue[i]
				queue = append(queue[:i:i], queue[i+1:]...)
				if !g.leave(w) || g.leave(w) {
					t.Fatalf("leave works other than once")
				}
			},
			"resize": func(t *rapid.T) {
				slots = rapid.IntRange(1, 6).Draw(t, "size")
				g.resize(slots)
			},
			"": func(t *rapid.T) {
				if in < slots && len(queue) > 0 {
					t.Fatalf("%d wait while %d of %d are in", len(queue), in, slots)
				}
			},
		})
	})
}
