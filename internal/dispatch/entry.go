package dispatch

import (
	"container/heap"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// entryState is where an entry stands. Only ready entries may be started.
type entryState uint8

const (
	blocked  entryState = iota // behind an earlier event of its key
	ready                      // in the lane's queue
	waiting                    // for its time
	halted                     // its key is paused
	marking                    // holds a slot; that it starts is being written to the log
	running                    // holds a slot
	joined                     // in a batch, carried by its lead
	flushing                   // what came of it is on its way to the log
	gone                       // finished, and that is in the log
)

// entryCost is about what an entry takes in memory without its event.
const entryCost = 256

// entry is one event that matched a trigger and is not finished.
type entry struct {
	lane     *lane
	offset   int64
	appended int64              // milliseconds since 1970
	event    *event.Event       // nil = to be read again
	held     int64              // bytes of budget that it holds
	bytes    int64              // of those, its event's, or its name's
	size     int64              // bytes in the log
	batch    []*entry           // of a lead: all that its invocation has, itself first
	ref      *function.EventRef // the event's name while the event is not at hand; nil = see event
	key      uint64             // hash; see keyed
	keyed    bool
	name     uint64 // hash of the event's own key, whatever the order; see lane.halt
	parked   bool   // it takes no place in the window
	state    entryState
	settled  bool      // its end is in the log or in the commit under way
	passed   bool      // the next of its key need not wait for it any more
	ahead    int8      // how many before it of its key had ended, and were not known to be stored, when its turn came
	stored   bool      // it has a retryRecord in the log, or will have one: what is pushed counts, since all is committed in that order
	marked   bool      // that record says that an attempt began
	careful  bool      // it may have been under way when a node died
	suspect  bool      // it was under way when a node died
	turn     bool      // it is the one suspect that runs on this node
	failures int       // of dalamb, since the last attempt
	asked    time.Time // when it first asked for an instance for its next attempt while it had the turn; zero = not yet
	attempts []function.Attempt
	due      time.Time
	next     *entry // of the same key
}

// usedUp says that nothing of the entry will be run any more: the guard ends it. What an asynchronous call's rules are is known only
// when its event has been read, so there the answer is no.
func (e *entry) usedUp() bool {
	t := e.lane.t
	return t.Topic != function.TopicInvoke && tries(e.attempts) >= max(1, t.Retry.Attempts)
}

// clock orders entries by the time that they wait for.
type clock []*entry

func (c clock) Len() int           { return len(c) }
func (c clock) Less(i, j int) bool { return c[i].due.Before(c[j].due) }
func (c clock) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *clock) Push(x any)        { *c = append(*c, x.(*entry)) }
func (c *clock) Pop() any {
	old := *c
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*c = old[:len(old)-1]
	return e
}

func (c *clock) add(e *entry) { heap.Push(c, e) }

// take returns an entry whose time has come, nil when there is none.
func (c *clock) take(now time.Time) *entry {
	for len(*c) > 0 && !(*c)[0].due.After(now) {
		if e := heap.Pop(c).(*entry); e.state == waiting {
			return e
		}
	}
	return nil
}
