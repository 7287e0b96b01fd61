package dispatch

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Quotas hold environments to how many events their functions may make. What a function has answered with is never refused: it is owed, and while an environment
// owes events no attempt of its triggers begins. So they fall behind in the log, and lose nothing.
type Quotas interface {
	// Owes is how long it takes until an environment owes no events, as things are now; 0 = it owes none. It never blocks.
	Owes(environment string) time.Duration
	// Emitted counts events that go to topics or functions of an environment. It never blocks.
	Emitted(environment string, events int)
}

// noQuotas is where there are none.
type noQuotas struct{}

func (noQuotas) Owes(string) time.Duration { return 0 }
func (noQuotas) Emitted(string, int)       {}

// askAgain is for how long the answer holds that an environment owes events: its quota may be another then.
const askAgain = time.Second

// solvent says whether the lane's environment owes no events; if it does, the lane is woken when it may have paid. It is asked before anything is taken or
// written for an attempt: who waits for that holds no slot and no turn, and a node that dies meanwhile leaves no attempt that seems to have begun.
func (p *partition) solvent(l *lane) bool {
	if !l.owesUntil.IsZero() {
		return false
	}
	wait := p.d.quotas.Owes(function.Environment(l.t.Function))
	if wait <= 0 {
		return true
	}
	l.owesUntil = p.d.now().Add(min(wait, askAgain))
	p.owing = append(p.owing, l)
	return false
}

// wakeOwing wakes the lanes whose environment may have paid.
func (p *partition) wakeOwing(now time.Time) {
	kept := p.owing[:0]
	for _, l := range p.owing {
		if l.owesUntil.After(now) {
			kept = append(kept, l)
			continue
		}
		l.owesUntil = time.Time{}
		p.wake(l)
	}
	clear(p.owing[len(kept):])
	p.owing = kept
}
