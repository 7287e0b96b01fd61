package aws

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// replayNotes begins the keys of replays.
const replayNotes = "events/replay/"

// keptReplays is how many replays are told of; for a newer one the oldest that is over is forgotten.
const keptReplays = 100

// maxReplayRules bounds the rules that a replay names: all of them are kept with it.
const maxReplayRules = 64

// bridgeReplay is what is kept of a replay: which replays of dalamb's it is, one of each trigger.
type bridgeReplay struct {
	Name        string
	Description string
	Archive     string
	Bus         string
	FilterArns  []string `json:",omitempty"`
	From, To    time.Time
	Started     time.Time
	Starting    bool       `json:",omitempty"` // its parts are being started
	Parts       []string   // as long as it is starting those that are to be
	Ended       *replayEnd `json:",omitempty"`
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

// replaySource is where the events of a replay are.
type replaySource struct {
	archive *archive
	topic   wire.Topic
}

// asked checks what a replay is to be, and from which archive.
func (b *EventBridge) asked(c *eventsCall, r *startReplayRequest) (*bridgeReplay, *replaySource, error) {
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
	a, topic, err := b.archive(c, name)
	if err != nil {
		return nil, nil, err
	}
	if r.Destination.Arn != (bus{name: a.Bus}).arn(b.l.o.Region) {
		return nil, nil, badValue("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
	}
	out := &bridgeReplay{Name: r.ReplayName, Description: r.Description, Archive: a.Name, Bus: a.Bus, Started: b.l.o.Now().UTC()}
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
	for _, arn := range r.Destination.FilterArns {
		if !slices.Contains(out.FilterArns, arn) {
			out.FilterArns = append(out.FilterArns, arn)
		}
		if len(out.FilterArns) > maxReplayRules {
			return nil, nil, badValue("Parameter Destination.FilterArns is not valid. Reason: it names more than %d rules; without it the replay is for all rules of the bus.", maxReplayRules)
		}
	}
	if !out.From.Before(out.To) {
		return nil, nil, badValue("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	return out, &replaySource{a, topic}, nil
}

// replayed are the rules that a replay is for: those of the bus that have a pattern and are enabled, of them the ones that are named, which have to be there.
func (b *EventBridge) replayed(r *bridgeReplay, topic wire.Topic) ([]rule, error) {
	var rules []rule
	named := slices.Clone(r.FilterArns)
	for _, one := range b.rulesOf(bus{name: r.Bus}, topic) {
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
