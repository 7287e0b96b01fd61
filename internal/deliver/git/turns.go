package git

import (
	"context"
	"slices"
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
)

// turns let one push at a time change a branch. A newer push ends an older one that has not begun to deploy: what the older one brings
// would be replaced at once. One that deploys already is waited for.
type turns struct {
	mu      sync.Mutex
	last    int64
	holders map[string]*holder // by repository and ref
}

// holder is a push that has turns, or waits for some.
type holder struct {
	number int64 // rises; the newer push has the larger
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it has given all of them back

	// Of a push to this node, fixed before it takes its first turn.
	brings map[string]string                                  // key -> the object that the ref is to name; "" = it goes
	has    func(ctx context.Context, key, object string) bool // that object, or one before what it brings

	// Under turns.mu.
	ended bool // by a newer push, or because its client has gone
	lost  bool // the newer push has not all that this one brings
	fixed bool // it deploys, and nothing ends it any longer
	keys  []string
}

func newTurns() *turns { return &turns{holders: map[string]*holder{}} }

// enter makes a holder without turns.
func (t *turns) enter(cancel context.CancelCauseFunc) *holder {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return &holder{number: t.last, cancel: cancel, done: make(chan struct{})}
}

// superseded says that a newer push is in the place of one; lost, that it has not all that this one brings.
func superseded(lost bool) error {
	if lost {
		return fault.New(fault.Conflict, "%w", ErrSuperseded).WithHint("the newer one does not have all that this one brings: git fetch, merge, then push again")
	}
	return fault.New(fault.Conflict, "%w", ErrSuperseded).WithHint("nothing is to be done, unless the newer one was refused")
}

// loses says whether something of what h brings is not in what a newer push brings. A branch that goes is no loss.
func (h *holder) loses(ctx context.Context, newer *holder) bool {
	for key, object := range h.brings {
		if object != "" && (newer.brings[key] == "" || !newer.has(ctx, key, object)) {
			return true
		}
	}
	return false
}

// take waits for the turns of all keys. All pushes take theirs in the same order, so that no two wait for each other.
func (t *turns) take(ctx context.Context, h *holder, keys []string) error {
	for _, key := range slices.Sorted(slices.Values(keys)) {
		for {
			before := t.try(h, key)
			if before == nil {
				break
			}
			if before.number > h.number {
				return superseded(h.loses(ctx, before))
			}
			if lost := before.loses(ctx, h); t.displace(before, lost) {
				before.cancel(superseded(lost))
			}
			select {
			case <-before.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// try takes a turn, or returns who else has it.
func (t *turns) try(h *holder, key string) (before *holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before = t.holders[key]
	if before == h {
		return nil
	}
	if before == nil {
		t.holders[key] = h
		h.keys = append(h.keys, key)
	}
	return before
}

// displace says whether an older push is to be ended now.
func (t *turns) displace(h *holder, lost bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.fixed || h.ended {
		return false
	}
	h.ended, h.lost = true, lost
	return true
}

// reason is why a push that was ended is refused.
func (t *turns) reason(h *holder) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return superseded(h.lost)
}

// fix keeps a push from being ended from now on; false when it has been.
func (t *turns) fix(h *holder) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.fixed = !h.ended
	return h.fixed
}

// loosen takes fix back.
func (t *turns) loosen(h *holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.fixed = false
}

// end says that a push shall deploy nothing; false when it does already.
func (t *turns) end(h *holder) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.ended = !h.fixed
	return h.ended
}

// leave gives all turns back.
func (t *turns) leave(h *holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range h.keys {
		delete(t.holders, key)
	}
	close(h.done)
}
