package shadow

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/replay"
)

// Bounds of what is told of differences.
const (
	shownDifferences = 20 // on this node, of one roll-out; of the others the kind is told alone
	shownChanges     = 10 // of one
)

// mirror makes the copies of one roll-out.
type mirror struct {
	Target
	queues  []chan job // one for each worker: copies of one key run one after another
	dropped atomic.Int64
	shown   atomic.Int64
	end     context.CancelFunc
}

// job is a copy that waits.
type job struct {
	Copy
	held int64
}

func (s *Shadow) mirror(ctx context.Context, t Target, workers *sync.WaitGroup) *mirror {
	spec := &t.To.Spec
	n := min(maxWorkers, max(1, spec.Scale.Max*max(1, spec.Entry.Concurrency)))
	m := &mirror{Target: t, queues: make([]chan job, n)}
	ctx, m.end = context.WithCancel(ctx)
	for i := range m.queues {
		queue := make(chan job, maxQueued)
		m.queues[i] = queue
		workers.Go(func() { s.work(ctx, m, queue) })
	}
	return m
}

// work runs copies until ctx is done. Those that wait then are nobody's any more.
func (s *Shadow) work(ctx context.Context, m *mirror, queue chan job) {
	for {
		select {
		case j := <-queue:
			if ctx.Err() == nil {
				s.run(ctx, m, &j)
			}
			s.held.Add(-j.held)
		case <-ctx.Done():
			for len(queue) > 0 {
				s.held.Add(-(<-queue).held)
			}
			return
		}
	}
}

// run makes one copy. That the node could not run it says nothing about the version.
func (s *Shadow) run(ctx context.Context, m *mirror, j *job) {
	if s.o.Fleet.Crowded() {
		s.drop(m)
		return
	}
	inv := copied(&j.Copy)
	var answer *tap
	if j.Result.Streamed > 0 {
		answer = newTap(len(j.Answer))
		inv.Responder = answer
	}
	wait, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	res, err := s.o.Fleet.Invoke(wait, fleet.Call{Function: m.Function, Version: m.To.Number, Invocation: inv, Kill: s.kill})
	if ctx.Err() != nil {
		return // the step is over, and what comes late is not compared
	}
	if err != nil {
		s.drop(m)
		return
	}
	live := replay.Answer{Result: j.Result, Body: j.Result.Body, Size: int64(len(j.Result.Body)), Asked: inv.Request != nil}
	if j.Result.Streamed > 0 {
		live.Body, live.Size = j.Answer, j.Result.Streamed
	}
	other := replay.Answer{Result: res, Body: res.Body, Size: int64(len(res.Body)), Asked: live.Asked}
	if answer != nil && answer.begun {
		other.Body, other.Size = answer.body, res.Streamed
	}
	run := function.ShadowRun{
		Rollout: m.Rollout, Function: m.Function, Run: inv.Run, Trigger: inv.Trigger, Event: j.Event,
		Live: side(j.Invocation, &live), Shadow: side(inv, &other),
	}
	if j.Name != nil {
		run.Request = j.Name()
	}
	outcome := outcomeSame
	if run.Kind, run.Changes = replay.Compare(live, other, m.Shadow.Ignore); run.Kind != "" {
		outcome = outcomeDifferent
		if m.shown.Add(1) > shownDifferences {
			run.Changes = nil
		}
		run.Changes = run.Changes[:min(len(run.Changes), shownChanges)]
	}
	s.copies.WithLabelValues(outcome).Inc()
	s.told.tell(finding{mirror: m, run: run, cause: j.Cause})
}

func side(inv *function.Invocation, a *replay.Answer) function.ShadowSide {
	r := a.Result
	return function.ShadowSide{
		ID: inv.ID, Version: r.Version, Instance: r.Instance, Outcome: r.Outcome, Failed: a.Failed(), Cold: r.Cold, Duration: function.Duration(r.Duration),
	}
}

// copied is an invocation with the same input, which says what it is. The run's id is the live one's: what a function guards by it does
// not happen twice.
func copied(c *Copy) *function.Invocation {
	live := c.Invocation
	inv := &function.Invocation{
		ID: event.NewID(), Run: live.Run, Attempt: live.Attempt, Trigger: live.Trigger, Shadow: true,
		Event: live.Event, Payload: live.Payload, PayloadType: live.PayloadType, ClientContext: live.ClientContext, TraceParent: live.TraceParent,
		MaxAnswer: live.MaxAnswer,
	}
	switch {
	case live.Event != nil:
		inv.Event = markedEvent(live.Event)
	case live.Request != nil:
		inv.Request = markedRequest(live.Request, c.Body)
	default:
		inv.ClientContext = markedContext(live.ClientContext)
	}
	return inv
}
