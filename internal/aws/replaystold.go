package aws

import (
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
)

func noReplay(name string) error {
	return fault.New(fault.NotFound, "Replay %s does not exist.", fault.Clip(name))
}

// forgetReplays makes room for one more. Of those that stay it is kept how they ended: the parts of the new one may be what the catalog forgets theirs for.
func (b *EventBridge) forgetReplays(c *eventsCall) error {
	all := allKept[bridgeReplay](b, replayNotes)
	for i := range all {
		if _, err := b.settleReplay(c, &all[i]); err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
	}
	slices.SortFunc(all, func(x, y bridgeReplay) int { return x.Started.Compare(y.Started) })
	left := len(all)
	for _, r := range all {
		if left < keptReplays {
			return nil
		}
		if s := b.stateOf(&r); !s.over() {
			continue
		}
		if err := forget(c.ctx(), b, replayNotes+r.Name); err != nil {
			return err
		}
		left--
	}
	return nil
}

// replayAnswer is AWS's Replay. What DescribeReplay tells besides is absent of lists.
type replayAnswer struct {
	ReplayArn       string `json:",omitempty"`
	ReplayName      string
	Description     string `json:",omitempty"`
	EventSourceArn  string
	Destination     *replayDestination `json:",omitempty"`
	State           string
	StateReason     string `json:",omitempty"`
	EventStartTime  float64
	EventEndTime    float64
	ReplayStartTime float64
	ReplayEndTime   *float64 `json:",omitempty"`
}

func (b *EventBridge) tellReplay(c *eventsCall, r *bridgeReplay) replayAnswer {
	s := b.seenReplay(c, r)
	out := replayAnswer{
		ReplayName: r.Name, EventSourceArn: eventsARN(b.l.o.Region, "archive", r.Archive), State: s.state, StateReason: s.reason,
		EventStartTime: unixSeconds(r.From), EventEndTime: unixSeconds(r.To), ReplayStartTime: unixSeconds(r.Started),
	}
	if !s.ended.IsZero() {
		at := unixSeconds(s.ended)
		out.ReplayEndTime = &at
	}
	return out
}

func (b *EventBridge) describeReplay(c *eventsCall) (any, error) {
	var req struct{ ReplayName string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, there := kept[bridgeReplay](b, replayNotes+req.ReplayName)
	if !there {
		return nil, noReplay(req.ReplayName)
	}
	out := b.tellReplay(c, &r)
	out.ReplayArn, out.Description = eventsARN(b.l.o.Region, "replay", r.Name), r.Description
	out.Destination = &replayDestination{bus{name: r.Bus}.arn(b.l.o.Region), r.FilterArns}
	return out, nil
}

func (b *EventBridge) listReplays(c *eventsCall) (any, error) {
	var req struct {
		listed
		State          string
		EventSourceArn string
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	var all []replayAnswer
	for _, r := range allKept[bridgeReplay](b, replayNotes) {
		one := b.tellReplay(c, &r)
		if (req.State == "" || req.State == one.State) && (req.EventSourceArn == "" || req.EventSourceArn == one.EventSourceArn) {
			all = append(all, one)
		}
	}
	list, next, err := part(req.listed, all, func(r replayAnswer) string { return r.ReplayName })
	if err != nil {
		return nil, err
	}
	return struct {
		Replays   []replayAnswer
		NextToken string `json:",omitempty"`
	}{list, next}, nil
}

func (b *EventBridge) cancelReplay(c *eventsCall) (any, error) {
	var req struct{ ReplayName string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	r, there := kept[bridgeReplay](b, replayNotes+req.ReplayName)
	if !there {
		return nil, noReplay(req.ReplayName)
	}
	s := b.stateOf(&r)
	if s.state != replayRunning {
		return nil, &refusal{http.StatusBadRequest, "IllegalStatusException", fault.New(fault.Conflict, "Replay %s is not in a valid state for this operation: it is %s.", r.Name, s.state)}
	}
	for _, name := range s.running {
		// One that has ended meanwhile is over, as it should be.
		if _, err := b.passage.CancelReplay(c.ctx(), name); err != nil && fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
	}
	return struct{ ReplayArn, State string }{eventsARN(b.l.o.Region, "replay", r.Name), b.seenReplay(c, &r).state}, nil
}
