package aws

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxReplayPart bounds the names of the replays of dalamb's that one of AWS's is, which have a number at their end. Names of replays have 63 characters.
const maxReplayPart = 58

// startTries bounds how often the start of a part is tried whose function changes meanwhile, as it does with the end of each other part.
const startTries = 20

var (
	errStillRunning = errors.New("a part of it is under way")
	errTaken        = errors.New("the name is another replay's")
)

// startReplay keeps the replay before it starts any part: so whatever ends the node, what runs can be told of and cancelled.
func (b *EventBridge) startReplay(c *eventsCall) (any, error) {
	var req startReplayRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	made, from, err := b.asked(c, &req)
	if err != nil {
		return nil, err
	}
	exists := ofType(alreadyThere, fault.New(fault.Conflict, "Replay %s already exists.", made.Name))
	if _, there := kept[bridgeReplay](b, replayNotes+made.Name); there {
		return nil, exists
	}
	rules, err := b.replayed(made, from.topic)
	if err != nil {
		return nil, err
	}
	parts, err := b.planParts(c, made, from.archive, rules)
	if err != nil {
		return nil, err
	}
	if err := b.forgetReplays(c); err != nil {
		return nil, err
	}
	made.Starting = true
	for _, p := range parts {
		made.Parts = append(made.Parts, p.Name)
	}
	// Who asked may go, and all parts are started all the same, or none is left.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), startTime)
	defer cancel()
	if err := keep(ctx, b, replayNotes+made.Name, func(r *bridgeReplay, there bool) error {
		if there {
			return exists
		}
		*r = *made
		return nil
	}); err != nil {
		return nil, err
	}
	made.Starting = false
	if made.Parts, err = b.startParts(ctx, parts); err == nil {
		err = b.keepReplay(ctx, made)
	}
	if err != nil {
		b.withdraw(ctx, made)
		return nil, err
	}
	s := b.stateOf(made)
	return struct {
		ReplayArn       string
		State           string
		ReplayStartTime float64
	}{eventsARN(b.l.o.Region, "replay", made.Name), s.state, unixSeconds(made.Started)}, nil
}

// keepReplay keeps what was told of a replay before.
func (b *EventBridge) keepReplay(ctx context.Context, made *bridgeReplay) error {
	return keep(ctx, b, replayNotes+made.Name, func(r *bridgeReplay, _ bool) error {
		*r = *made
		return nil
	})
}

// withdraw cancels the parts of a replay that could not be started whole, and forgets it when none is left. A start that failed may be in the log all the
// same: the note is kept once more after it, and once that is folded each part that there is can be seen. As long as one may be under way the replay stays,
// to be told of and to be cancelled.
func (b *EventBridge) withdraw(ctx context.Context, made *bridgeReplay) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTime)
	defer cancel()
	err := b.keepReplay(ctx, made)
	for _, name := range made.Parts {
		err = cmp.Or(err, b.cancelPart(ctx, name))
	}
	if err == nil {
		err = forget(ctx, b, replayNotes+made.Name)
	}
	if err != nil {
		b.l.o.Logger.Warn("replay that could not be started is still told of", "replay", made.Name, "err", err)
	}
}

// cancelPart ends a part, where there is one. A function that was changed meanwhile is no reason not to.
func (b *EventBridge) cancelPart(ctx context.Context, name string) error {
	for left := startTries; ; left-- {
		_, err := b.passage.CancelReplay(ctx, name)
		if p, missing := b.passage.Replay(name); fault.KindOf(missing) == fault.NotFound || missing == nil && p.State != wire.ReplayRunning {
			return nil
		}
		if fault.KindOf(err) != fault.Conflict || left == 1 {
			return cmp.Or(err, errStillRunning)
		}
	}
}

// planParts says which replays there will be: one of each trigger of the rules that an event is for. What could not be started at all is refused.
func (b *EventBridge) planParts(c *eventsCall, r *bridgeReplay, a *archive, rules []rule) ([]wire.ReplayRequest, error) {
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
		return nil, nil // the archive has nothing of that time
	}
	req := wire.ReplayRequest{From: begin.Format(time.RFC3339Nano), To: end.Format(time.RFC3339Nano), Output: function.ReplayPublish}
	if a.EventPattern != "" {
		var err error
		if req.Filter, err = b.filterOf(a.EventPattern); err != nil {
			return nil, err
		}
	}
	var parts []wire.ReplayRequest
	for _, rule := range rules {
		for _, t := range b.targets(&rule) {
			f, err := b.l.function(c.ctx(), t.Function, "")
			if err != nil || liveTrigger(f, triggerName(&rule, t.ID)) == nil {
				continue // it is being rolled out
			}
			req.Name, req.Function, req.Trigger = partName(r.Name, len(parts)), t.Function, triggerName(&rule, t.ID)
			if _, err := b.passage.Replay(req.Name); err == nil {
				return nil, taken(req.Name) // another one's name is the same here
			}
			try := req
			try.DryRun = true
			planned, err := b.passage.StartReplay(c.ctx(), try)
			if err != nil {
				return nil, err
			}
			if planned.Events > 0 {
				parts = append(parts, req)
			}
		}
	}
	if running := b.l.o.Catalog.View().Replaying(); running+len(parts) > catalog.MaxReplays {
		return nil, fault.New(fault.Exhausted, "The requested resource exceeds the maximum number allowed: the replay %s is one of each of %d triggers, %d are under way, and at most %d can be.",
			r.Name, len(parts), running, catalog.MaxReplays).WithHint("name fewer rules in FilterArns, or wait until others are over: dalamb replay ls")
	}
	return parts, nil
}

func taken(part string) error {
	return ofType(alreadyThere, fault.New(fault.Conflict, "Replay %s already exists.", part).WithHint("dalamb replay ls lists the names that are taken"))
}

// startParts starts what was planned, and says what may be under way of it, with an error too. What expired meanwhile needs none.
func (b *EventBridge) startParts(ctx context.Context, parts []wire.ReplayRequest) (underway []string, err error) {
	for _, p := range parts {
		err := b.startPart(ctx, p)
		switch {
		case errors.Is(err, api.ErrNothingToReplay):
			continue
		case errors.Is(err, errTaken):
			return underway, taken(p.Name)
		}
		underway = append(underway, p.Name)
		if err != nil {
			return underway, err // it may be in the log
		}
	}
	return underway, nil
}

// startPart tells a name that is taken, which is errTaken, from a function that was changed meanwhile, which is no reason not to start.
func (b *EventBridge) startPart(ctx context.Context, p wire.ReplayRequest) error {
	for left := startTries; ; left-- {
		_, err := b.passage.StartReplay(ctx, p)
		if fault.KindOf(err) != fault.Conflict || left == 1 {
			return err
		}
		if _, missing := b.passage.Replay(p.Name); missing == nil {
			return errTaken
		}
	}
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
