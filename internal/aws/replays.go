package aws

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// replayNotes begins the keys of replays.
const replayNotes = "events/replay/"

// keptReplays is how many replays are told of; for a newer one the oldest that is over is forgotten.
const keptReplays = 100

// maxReplayPart bounds the names of the replays of dalamb's that one of AWS's is, which have a number at their end. Names of replays have 63 characters.
const maxReplayPart = 58

// bridgeReplay is what is kept of a replay: which replays of dalamb's it is, one of each trigger.
type bridgeReplay struct {
	Name        string
	Description string
	Archive     string
	Bus         string
	FilterArns  []string `json:",omitempty"`
	From, To    time.Time
	Started     time.Time
	Parts       []string
}

// States of a replay. Amazon EventBridge API reference, DescribeReplay: State.
const (
	replayRunning   = "RUNNING"
	replayCompleted = "COMPLETED"
	replayCancelled = "CANCELLED"
	replayFailed    = "FAILED"
)

// stateOfReplay is that of all its parts, and when the last of them ended.
type stateOfReplay struct {
	state, reason string
	ended         time.Time
	running       []string
}

func (b *EventBridge) stateOf(r *bridgeReplay) stateOfReplay {
	s := stateOfReplay{state: replayCompleted, ended: r.Started}
	for _, name := range r.Parts {
		p, err := b.passage.Replay(name)
		if p.Ended.After(s.ended) {
			s.ended = p.Ended
		}
		switch {
		case err != nil:
			s.state, s.reason = replayFailed, messageOf(err) // with its function
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

type replayDestination struct {
	Arn        string
	FilterArns []string `json:",omitempty"`
}

type startReplayRequest struct {
	ReplayName     string
	Description    string
	EventSourceArn string
	EventStartTime *float64 // seconds since 1970, as EventEndTime
	EventEndTime   *float64
	Destination    replayDestination
}

// asked checks what a replay is to be, and from which archive.
func (b *EventBridge) asked(r *startReplayRequest) (*bridgeReplay, *archive, error) {
	if err := checkEventsName("ReplayName", r.ReplayName, maxRuleName); err != nil {
		return nil, nil, err
	}
	if len(r.Description) > maxEventsText {
		return nil, nil, badValue("Description: it has more than %d bytes", maxEventsText)
	}
	if !strings.HasPrefix(r.EventSourceArn, "arn:") {
		return nil, nil, badValue("EventSourceArn: it is not the ARN of an archive")
	}
	name, err := b.parseARN("archive", r.EventSourceArn)
	if err != nil {
		return nil, nil, err
	}
	a, err := b.archive(name)
	if err != nil {
		return nil, nil, err
	}
	if r.Destination.Arn != (bus{name: a.Bus}).arn(b.l.o.Region) {
		return nil, nil, badValue("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
	}
	out := &bridgeReplay{Name: r.ReplayName, Description: r.Description, Archive: a.Name, Bus: a.Bus, FilterArns: r.Destination.FilterArns, Started: b.l.o.Now().UTC()}
	for _, f := range []struct {
		name string
		from *float64
		to   *time.Time
	}{{"EventStartTime", r.EventStartTime, &out.From}, {"EventEndTime", r.EventEndTime, &out.To}} {
		if f.from == nil || *f.from < 0 || *f.from > math.MaxInt32*100 || math.IsNaN(*f.from) {
			return nil, nil, badValue("Parameter %s is not valid. Reason: it is no time.", f.name)
		}
		*f.to = time.UnixMilli(int64(*f.from * 1000)).UTC()
	}
	if !out.From.Before(out.To) {
		return nil, nil, badValue("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	return out, a, nil
}

// replayed are the rules that a replay is for: those of the bus that have a pattern and are enabled, of them the ones that are named, which have to be there.
func (b *EventBridge) replayed(r *bridgeReplay) ([]rule, error) {
	var rules []rule
	named := slices.Clone(r.FilterArns)
	for _, one := range allKept[rule](b, ruleNotes+r.Bus+"/") {
		arn := one.arn(b.l.o.Region)
		if len(r.FilterArns) > 0 && !slices.Contains(r.FilterArns, arn) {
			continue
		}
		named = slices.DeleteFunc(named, func(s string) bool { return s == arn })
		if !one.Disabled && one.EventPattern != "" {
			rules = append(rules, one)
		}
	}
	if len(named) > 0 {
		return nil, fault.New(fault.NotFound, "Rule %s does not exist.", fault.Clip(named[0]))
	}
	return rules, nil
}

func (b *EventBridge) startReplay(c *eventsCall) (any, error) {
	var req startReplayRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	made, from, err := b.asked(&req)
	if err != nil {
		return nil, err
	}
	if _, there := kept[bridgeReplay](b, replayNotes+made.Name); there {
		return nil, ofType(alreadyThere, fault.New(fault.Conflict, "Replay %s already exists.", made.Name))
	}
	rules, err := b.replayed(made)
	if err != nil {
		return nil, err
	}
	if err := b.startParts(c, made, from, rules); err != nil {
		for _, name := range made.Parts {
			if _, ended := b.passage.CancelReplay(c.ctx(), name); ended != nil {
				b.l.o.Logger.Warn("replay goes on", "replay", name, "err", ended)
			}
		}
		return nil, err
	}
	if err := b.forgetReplays(c); err != nil {
		return nil, err
	}
	if err := keep(c.ctx(), b, replayNotes+made.Name, func(r *bridgeReplay, _ bool) error {
		*r = *made
		return nil
	}); err != nil {
		return nil, err
	}
	s := b.stateOf(made)
	return struct {
		ReplayArn       string
		State           string
		ReplayStartTime float64
	}{eventsARN(b.l.o.Region, "replay", made.Name), s.state, unixSeconds(made.Started)}, nil
}

// startParts starts a replay of each trigger of the rules, and notes which. Those that no event is for need none.
func (b *EventBridge) startParts(c *eventsCall, r *bridgeReplay, a *archive, rules []rule) error {
	begin := a.Created.Truncate(time.Millisecond) // the log knows when an event came to the millisecond, rounded down
	if a.RetentionDays > 0 {
		begin = later(begin, r.Started.AddDate(0, 0, -a.RetentionDays))
	}
	// What is yet to come reaches the rules by itself.
	end := r.To
	if end.After(r.Started) {
		end = r.Started
	}
	if begin = later(begin, r.From); !begin.Before(end) {
		return nil // the archive has nothing of that time
	}
	req := wire.ReplayRequest{From: begin.Format(time.RFC3339Nano), To: end.Format(time.RFC3339Nano), Output: function.ReplayPublish}
	if a.EventPattern != "" {
		var err error
		if req.Filter, err = b.filterOf(a.EventPattern); err != nil {
			return err
		}
	}
	for _, rule := range rules {
		for _, t := range b.targets(&rule) {
			f, err := b.l.function(t.Function, "")
			if err != nil || liveTrigger(f, triggerName(&rule, t.ID)) == nil {
				continue // it is being rolled out
			}
			req.Name, req.Function, req.Trigger = partName(r.Name, len(r.Parts)), t.Function, triggerName(&rule, t.ID)
			switch _, err := b.passage.StartReplay(c.ctx(), req); {
			case errors.Is(err, api.ErrNothingToReplay):
			case fault.KindOf(err) == fault.Conflict:
				return ofType(alreadyThere, err) // another one's name is the same here
			case err != nil:
				return err
			default:
				r.Parts = append(r.Parts, req.Name)
			}
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// partName is the name of the nth replay of dalamb's that one of AWS's is: the same name for the first, as far as such a name can be one here.
func partName(name string, n int) string {
	plain := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, name)
	if plain[0] < 'a' || plain[0] > 'z' {
		plain = "replay-" + plain
	}
	plain = strings.TrimRight(plain[:min(len(plain), maxReplayPart)], "-")
	if n == 0 {
		return plain
	}
	return plain + "-" + strconv.Itoa(n+1)
}
