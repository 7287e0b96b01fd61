package dispatch

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/match"
)

// partition is the actor of one partition of one topic: one goroutine (run) that owns everything below, so nothing of it is
// locked. What takes time (reads, attempts, commits) is done by helpers, which post a message when they are done and are waited for
// in the end.
type partition struct {
	d       *Dispatcher
	id      eventlog.Partition
	box     *mailbox
	helpers sync.WaitGroup
	crew    *crew // runs the attempts

	abort     context.CancelFunc // ends everything
	interrupt context.CancelFunc // ends the attempts that run
	stopping  chan struct{}      // closed when the partition is to be left
	stopOnce  sync.Once
	done      chan struct{} // closed when run has returned
	status    atomic.Pointer[status]
	calmAt    atomic.Int64 // control offset of the catalog by which nothing is under way; busy = something is

	topicID string
	keys    progressKeys
	shelf   *shelf
	plan    *plan
	set     *match.Set[*catalog.Trigger]

	// The shared scan. It reads one batch ahead.
	scan    int64 // the next offset; all before it has been offered
	ahead   int64 // the next offset to read
	reading bool
	batches fifo[*batch]
	matched []*catalog.Trigger

	lanes     map[int64]*lane // by trigger UID
	runnable  fifo[*lane]     // lanes that may have something to start
	starved   []*lane         // detached lanes that want to read on
	spare     []*lane
	paced     []*lane // lanes whose place in time is to come
	owing     []*lane // lanes whose environment owes events
	clock     clock
	crowded   bool                // more wait for their time than foresee has looked at
	gathering []*lane             // with a batch that waits for more events
	expectant []*lane             // whose calls the fleet was told to expect
	collected []*entry            // scratch
	seen      map[uint64]struct{} // scratch
	running   int
	alone     fifo[*entry] // suspects that wait for their turn, each with a slot of its gate
	turn      *waiter      // for that turn

	// Progress.
	control      int64 // control offset of the catalog in use
	life         uint64
	commits      int64
	progressEnd  int64
	carefulBelow int64 // events before it may have been under way when a node died
	wantOpen     bool  // something is to start, so the log has to say that this partition is in use
	opened       bool  // it does
	items        fifo[item]
	unflushed    int64
	dirty        []*lane
	moved        bool
	lazyAt       time.Time
	holdUntil    time.Time
	committing   bool
	oneByOne     int     // so many items are committed each alone
	pending      []int64 // scratch

	draining bool
	left     bool // the final commit is stored
	lost     bool // another owner has taken over
	astray   bool // its topic is not the one that it was
	again    bool // it follows one that went astray
	dropped  bool // under d.mu: it is to end, and nobody follows it

	changed  bool // since the status was published
	statusAt time.Time
}

// scope carries the contexts that helpers work in: attempts end before the rest does. base has the values of all.
type scope struct{ base, life, work context.Context }

// busy is a calmAt below every control offset.
const busy = -1

func newPartition(d *Dispatcher, id eventlog.Partition) *partition {
	p := &partition{
		d: d, id: id, box: newMailbox(), crew: newCrew(), stopping: make(chan struct{}), done: make(chan struct{}),
		lanes: map[int64]*lane{}, seen: map[uint64]struct{}{},
	}
	p.calmAt.Store(math.MaxInt64) // nothing is under way before it has recovered
	return p
}

// start starts the actor. ctx is for its values; the partition ends by stop or abort.
func (p *partition) start(ctx context.Context) {
	sc := scope{base: ctx}
	sc.life, p.abort = context.WithCancel(ctx)
	sc.work, p.interrupt = context.WithCancel(sc.life)
	go p.run(sc)
}

// stop leaves the partition in order: what runs may end until ctx is done, then it is interrupted; what came of it is committed.
func (p *partition) stop(ctx context.Context, grace time.Duration) {
	p.box.post(drain{})
	p.stopOnce.Do(func() { close(p.stopping) })
	select {
	case <-p.done:
		return
	case <-ctx.Done():
		p.interrupt()
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
	p.abort()
	<-p.done
}

func (p *partition) run(sc scope) {
	defer p.d.calmDown()
	defer close(p.done)
	defer p.abort()
	if !p.recover(sc) {
		p.helpers.Wait()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		nap := p.step(sc)
		if p.over(sc) {
			break
		}
		timer.Reset(nap)
		select {
		case <-p.box.ready:
			for _, m := range p.box.take() {
				m.apply(sc, p)
			}
			p.changed = true
		case <-timer.C:
		case <-sc.life.Done():
		}
	}
	p.end()
	p.succeed(sc)
}

// over says that there is nothing more to do here.
func (p *partition) over(sc scope) bool {
	return p.lost || sc.life.Err() != nil || p.draining && p.left && p.quiet()
}

// quiet says that no attempt is under way and no outcome waits to be stored.
func (p *partition) quiet() bool {
	return p.running == 0 && p.items.len() == 0 && !p.committing
}

// calm says, to anybody, that nothing is under way and that the actor, which knows the catalog as of the control offset, starts no
// more of what that one has removed.
func (p *partition) calm(control int64) bool {
	select {
	case <-p.done:
		return true
	default:
		return p.calmAt.Load() >= control
	}
}

func (p *partition) showCalm() {
	now := int64(busy)
	if p.quiet() {
		now = p.control
	}
	if p.calmAt.Swap(now) != now && now != busy && len(p.plan.byTopic[p.id.Topic]) == 0 {
		p.d.calmDown()
	}
}

// leaving says that the next commit is the last.
func (p *partition) leaving() bool {
	return p.draining && !p.left && p.running == 0 && p.items.len() == 0
}

// step does what can be done now, and returns how long there is nothing to do unless a message comes.
func (p *partition) step(sc scope) time.Duration {
	now := p.d.now()
	for e := p.clock.take(now); e != nil; e = p.clock.take(now) {
		e.due = time.Time{}
		e.lane.enable(e)
	}
	p.ripen(now)
	p.wakeOwing(now)
	p.wakeGathering(now)
	p.offer()
	p.feed(sc)
	p.readAhead(sc)
	p.startRunnable(sc)
	p.foresee(now)
	if !now.Before(p.holdUntil) {
		p.flush(sc)
	}
	p.showCalm()
	p.publish(now)
	return p.nap(now)
}

// nap is the time until something becomes due.
func (p *partition) nap(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	p.upcoming(func(at time.Time) {
		sooner(at)
		if ahead := at.Add(-foresight); ahead.After(now) {
			sooner(ahead)
		}
	})
	for _, l := range p.owing {
		sooner(l.owesUntil)
	}
	if p.crowded {
		sooner(now.Add(foresight / 4))
	}
	if !p.committing && (p.moved || p.items.len() > 0 || p.leaving()) {
		due := p.lazyAt
		if p.items.len() > 0 || p.leaving() {
			due = now
		}
		if due.Before(p.holdUntil) {
			due = p.holdUntil
		}
		sooner(due)
	}
	if len(p.starved) > 0 {
		sooner(now.Add(100 * time.Millisecond))
	}
	if p.changed {
		sooner(p.statusAt)
	}
	return max(0, next.Sub(now))
}

// end gives back what the actor holds of the node's and waits for the helpers.
func (p *partition) end() {
	p.abort()
	p.helpers.Wait()
	p.crew.wait()
	for _, m := range p.box.take() {
		switch m := m.(type) {
		case *ran:
			m.entry.lane.gate.release()
			p.endTurn(m.entry)
		}
	}
	p.yieldSuspects()
	for _, l := range p.expectant {
		l.expect(0)
	}
	for _, l := range p.lanes {
		l.leaveGate()
		for _, e := range l.entries {
			if e.state == marking {
				l.gate.release()
				p.endTurn(e)
			}
			if e.state != gone {
				p.d.budget.give(e.held)
			}
		}
	}
	if p.turn != nil && !p.d.solo.leave(p.turn) {
		p.d.solo.release()
	}
	p.status.Store(nil)
}

// lose drops the partition: another owner has it.
func (p *partition) lose() {
	p.lost = true
	p.abort()
}

type drain struct{}

func (drain) apply(_ scope, p *partition) {
	p.draining = true
	for _, l := range p.lanes {
		l.leaveGate()
	}
	p.yieldSuspects()
}

// yieldSuspects takes the slots from the suspects that wait for their turn.
func (p *partition) yieldSuspects() {
	for p.alone.len() > 0 {
		e := p.alone.pop()
		e.state = ready
		e.lane.gate.release()
	}
}
