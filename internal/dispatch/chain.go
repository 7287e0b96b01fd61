package dispatch

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
)

// Bounds of what an event says of the chain that it came by.
const (
	chainSteps = 32 // types and functions, the newest
	chainWord  = 64 // bytes of a type
)

// chain is the way by which an event came to be, as event.ExtChain has it: "ROOT TYPE>FUNCTION>TYPE>FUNCTION", with "*" as the first
// step where older ones were left out. It is written by dalamb alone, whatever a function says, so a function cannot leave it.
type chain struct {
	root  string   // names the event that began it
	cut   bool     // older steps were left out
	steps []string // an event's type, the function that ran, the type of what it emitted, and so on
}

// chainOf reads the chain of an event; one that has none begins it.
func chainOf(e *event.Event) chain {
	root, rest, ok := strings.Cut(e.Extension(event.ExtChain), " ")
	if !ok || root == "" {
		return chain{root: event.HashID([]byte(e.Source + "\x00" + e.ID))}
	}
	c := chain{root: word(root), steps: strings.Split(rest, ">")}
	if c.steps[0] == "*" {
		c.cut, c.steps = true, c.steps[1:]
	}
	if len(c.steps)%2 == 1 { // not written by dalamb
		c.cut, c.steps = true, c.steps[1:]
	}
	return c
}

// then is the chain of what a function makes of an event that came by c.
func (c chain) then(e *event.Event, function string) chain {
	c.steps = append(c.steps[:len(c.steps):len(c.steps)], word(e.Type), function)
	if over := len(c.steps) - chainSteps; over > 0 {
		c.cut, c.steps = true, c.steps[over:]
	}
	return c
}

// passed says whether the chain has come through a function, as far as it is known.
func (c chain) passed(function string) bool {
	for i := 1; i < len(c.steps); i += 2 {
		if c.steps[i] == function {
			return true
		}
	}
	return c.cut
}

func (c chain) String() string {
	steps := strings.Join(c.steps, ">")
	if c.cut {
		steps = "*>" + steps
	}
	return c.root + " " + steps
}

// text shows the chain to a person, with the event at its end.
func (c chain) text(e *event.Event) string {
	steps := append(c.steps[:len(c.steps):len(c.steps)], word(e.Type))
	if c.cut {
		steps = append([]string{"…"}, steps...)
	}
	return strings.Join(steps, " > ")
}

// word is s as a step of a chain.
func word(s string) string {
	if len(s) > chainWord {
		s = strings.ToValidUTF8(s[:chainWord], "")
	}
	return strings.NewReplacer(">", "_", " ", "_").Replace(s)
}

// Bounds of loops that grow in breadth, which the bound of a chain's length does not stop in time: where each event makes two, 64
// steps are more than there are atoms in a drop of water.
const (
	loopPasses = 10_000 // runs of one trigger for events of one chain that has come through its function before
	loopWindow = time.Hour
	loopsKept  = 4096 // chains that are counted at a time
)

// loops counts how often a trigger runs again for what came of its own runs. It is in memory only: a restart begins to count anew,
// and so a loop that goes on over many restarts makes at most so many runs in each life.
type loops struct {
	most int

	mu    sync.Mutex
	of    map[loopOf]*loopCount
	order fifo[loopOf]
}

type loopOf struct {
	trigger int64
	root    string
}

type loopCount struct {
	runs  int
	since time.Time
}

// over counts a run and says whether it is one too many.
func (l *loops) over(of loopOf, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.of[of]
	if c == nil {
		if l.of == nil {
			l.of = map[loopOf]*loopCount{}
		}
		if l.order.len() >= loopsKept {
			delete(l.of, l.order.pop())
		}
		c = &loopCount{since: now}
		l.of[of] = c
		l.order.push(of)
	}
	if now.Sub(c.since) > loopWindow {
		*c = loopCount{since: now}
	}
	c.runs++
	return c.runs > l.most
}

// loop says why an event must not be run: it is part of a loop. "" = it is not.
func (s guard) loop(w *work) string {
	e := w.cause
	if w.input != nil && w.input.Hops() >= e.Hops() {
		e = w.input
	}
	c := chainOf(e)
	if e.Hops() > event.MaxHops {
		return fmt.Sprintf("loop: the chain of events has passed %d functions: %s", event.MaxHops, c.text(e))
	}
	if s.loops == nil || len(w.before) > 0 || !c.passed(w.trigger.Function) {
		return ""
	}
	if s.loops.over(loopOf{w.trigger.UID, c.root}, s.now()) {
		return fmt.Sprintf("loop: in one chain of events the trigger has run more than %d times within an hour for what came of its own runs: %s",
			s.loops.most, c.text(e))
	}
	return ""
}
