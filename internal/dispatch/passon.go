package dispatch

import "github.com/dalamb/dalamb/internal/function"

// aheadMost is how many runs of a key may have ended one after another before a commit says so of the first: so many are at most run
// again after a crash.
const aheadMost = 16

// passOn lets the next event of a key begin as soon as what came of the one before it is known, not only when that is stored: the
// outcomes of a partition are committed in the order in which they came, each in the transaction of the one before or a later one, so
// that nothing of the next is in the log without it. A node that is killed in between runs both again, in their order. An attempt that
// has to be marked before it begins waits for the one before by that.
//
// Where the log does not say all that the next one has to know, it waits: newest is brought up to date with the commit, and effects
// that are not in the transaction would stand in the log in an order that is none.
func (l *lane) passOn(e *entry, w *work) {
	if e.ahead+1 >= aheadMost || !e.keyed || w.batch != nil || !w.final() || l.removed || l.newest != nil || l.t.Effects == function.EffectsAtLeastOnce {
		return
	}
	e.passed = true
	if next := e.following(); next != nil {
		next.ahead = e.ahead + 1
		l.enable(next)
	}
}

// following is the next entry of the same key that is not finished.
func (e *entry) following() *entry {
	next := e.next
	for next != nil && next.state == gone {
		next = next.next
	}
	return next
}
