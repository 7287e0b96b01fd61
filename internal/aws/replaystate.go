package aws

import (
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// States of a replay. Amazon EventBridge API reference, DescribeReplay: State.
const (
	replayStarting  = "STARTING"
	replayRunning   = "RUNNING"
	replayCompleted = "COMPLETED"
	replayCancelled = "CANCELLED"
	replayFailed    = "FAILED"
)

// startTime is how long the start of a replay takes at most, with all the counting before it. One that is starting for longer was begun by a node that
// is gone.
const startTime = 10 * time.Minute

// replayEnd is how a replay ended. It is kept with it, since the catalog forgets old replays before AWS's callers do.
type replayEnd struct {
	State  string
	Reason string `json:",omitempty"`
	At     time.Time
}

// stateOfReplay is that of all its parts, and when the last of them ended.
type stateOfReplay struct {
	state, reason string
	ended         time.Time
	running       []string
}

func (s *stateOfReplay) over() bool { return s.state != replayStarting && s.state != replayRunning }

func (b *EventBridge) stateOf(r *bridgeReplay) stateOfReplay {
	switch {
	case r.Ended != nil:
		return stateOfReplay{state: r.Ended.State, reason: r.Ended.Reason, ended: r.Ended.At}
	case r.Starting && b.l.o.Now().Before(r.Started.Add(startTime)):
		return stateOfReplay{state: replayStarting}
	}
	s := stateOfReplay{state: replayCompleted, ended: r.Started}
	for _, name := range r.Parts {
		p, err := b.passage.Replay(name)
		if p.Ended.After(s.ended) {
			s.ended = p.Ended
		}
		switch {
		case fault.KindOf(err) == fault.NotFound: // gone with its function, or not started; of another error its report alone is missing
			s.state, s.reason = replayFailed, messageOf(err)
		case p.State == wire.ReplayRunning:
			s.running = append(s.running, name)
		case p.State == function.ReplayCancelled && s.state == replayCompleted:
			s.state = replayCancelled
		case p.State == function.ReplayFailed:
			s.state, s.reason = replayFailed, "dalamb replay show "+name+" tells why"
		}
	}
	if len(s.running) > 0 {
		s.state, s.reason, s.ended = replayRunning, "", time.Time{}
	}
	return s
}

// settleReplay keeps how a replay ended, where it has and that is not kept yet, and says its state.
func (b *EventBridge) settleReplay(c *eventsCall, r *bridgeReplay) (stateOfReplay, error) {
	s := b.stateOf(r)
	if !s.over() || r.Ended != nil {
		return s, nil
	}
	return s, keep(c.ctx(), b, replayNotes+r.Name, func(now *bridgeReplay, there bool) error {
		if !there {
			return noReplay(r.Name)
		}
		if now.Started.Equal(r.Started) && now.Ended == nil {
			now.Ended = &replayEnd{s.state, s.reason, s.ended}
		}
		return nil
	})
}

// seenReplay is settleReplay for who asks: one who may change something keeps the end for all. What cannot be kept is told all the same.
func (b *EventBridge) seenReplay(c *eventsCall, r *bridgeReplay) stateOfReplay {
	if access.From(c.ctx()).Everywhere(access.Administer) != nil {
		return b.stateOf(r)
	}
	s, err := b.settleReplay(c, r)
	if err != nil {
		b.l.o.Logger.Warn("how a replay ended is not kept", "replay", r.Name, "err", err)
	}
	return s
}
