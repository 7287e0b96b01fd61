package api

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/match"
	"github.com/dalamb/dalamb/internal/wire"
)

// ErrNothingToReplay says that no event is what a replay would be about.
var ErrNothingToReplay = errors.New("nothing to replay")

// maxOnly bounds the events of a replay that names each of them.
const maxOnly = 50_000

func (a *API) startReplay(r *http.Request, _ query) (any, error) {
	var req wire.ReplayRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	return a.StartReplay(r.Context(), req)
}

// StartReplay starts a replay, or of a dry run says what it would be about. What is about no event is refused.
func (a *API) StartReplay(ctx context.Context, req wire.ReplayRequest) (wire.Replay, error) {
	if err := access.From(ctx).Over(access.Operate, req.Function); err != nil {
		return wire.Replay{}, err
	}
	p, err := a.planReplay(ctx, &req)
	if err != nil {
		return wire.Replay{}, err
	}
	if req.DryRun {
		return wire.Replay{Replay: p.start.Replay, State: wire.ReplayPlanned, Sample: p.sample}, nil
	}
	if p.start.Replay.Events == 0 {
		return wire.Replay{}, fault.New(fault.Invalid, "%w: no event of topic %q in that time is what the replay is about", ErrNothingToReplay, p.start.Replay.Topic).
			WithHint("pattern try and --dry-run say what there is")
	}
	view, err := a.catalog.Submit(ctx, p.start)
	if err != nil {
		return wire.Replay{}, err
	}
	started, err := view.Replay(p.start.Replay.Name)
	if err != nil {
		return wire.Replay{}, err // its function was removed again at once
	}
	return a.wireReplay(started)
}

// replayPlan is a replay that could be started.
type replayPlan struct {
	start  catalog.StartReplay
	sample []wire.EventAt
}

func (a *API) planReplay(ctx context.Context, req *wire.ReplayRequest) (*replayPlan, error) {
	t, topic, err := a.onTopic(ctx, req.Function, req.Trigger)
	if err != nil {
		return nil, err
	}
	if t.Err != nil {
		return nil, fault.New(fault.Invalid, "the filter of trigger %s/%s cannot be read by this node: %w", t.Function, t.Name, t.Err)
	}
	only, err := placesOf(req.Events)
	if err != nil {
		return nil, err
	}
	if only != nil && req.From == "" {
		req.From = string(function.StartEarliest)
	}
	filter, err := a.checkReplay(req)
	if err != nil {
		return nil, err
	}
	version, err := a.replayVersion(req.Function, req.Version)
	if err != nil {
		return nil, err
	}
	if req.To == "" {
		req.To = a.now().UTC().Format(time.RFC3339Nano)
	}
	s, err := a.stretch(ctx, topic, req.From, req.To)
	if err != nil {
		return nil, err
	}
	from, _ := function.ParseMoment(req.From, a.now()) // stretch has read both
	to, _ := function.ParseMoment(req.To, a.now())
	p := &replayPlan{start: catalog.StartReplay{
		Replay: function.Replay{
			Name: req.Name, Function: t.Function, Trigger: t.Name, Topic: topic.Name, From: from.UTC(), To: to.UTC(), Filter: req.Filter,
			Key: req.Key, FailedOnly: req.FailedOnly, Version: version, Output: req.Output, Rate: req.Rate,
		},
		TopicID: topic.ID, From: map[int32]int64{}, To: map[int32]int64{},
	}}
	for _, c := range s.cursors {
		if only != nil {
			c.narrow(only[c.partition.ID])
		}
		p.start.From[c.partition.ID], p.start.To[c.partition.ID] = c.from, max(c.from, c.to)
	}
	p.start.Only = only
	if req.FailedOnly {
		if err := a.failedIn(p, from); err != nil {
			return nil, err
		}
	}
	return p, a.countReplay(ctx, s, p, t, filter)
}

// checkReplay checks what needs no look at the log, and fills in what is absent.
func (a *API) checkReplay(req *wire.ReplayRequest) (*match.Pattern, error) {
	if req.Name == "" {
		req.Name = strings.ReplaceAll(req.Function[:min(len(req.Function), 40)], ".", "-") + "-" + a.now().UTC().Format("20060102-150405")
	}
	if req.Output == "" {
		req.Output = function.ReplayCapture
	}
	switch {
	case !validName(req.Name):
		return nil, fault.New(fault.Invalid, "name: %q is no name for a replay", req.Name).
			WithHint("small letters, digits and dashes, a letter first, at most 63")
	case req.From == "":
		return nil, fault.New(fault.Invalid, "from: it has to be said").WithHint(function.PlaceForms)
	case !slices.Contains(function.ReplayOutputs(), req.Output):
		return nil, fault.New(fault.Invalid, "output: %q is not known", req.Output).WithHint("capture, publish or discard")
	case math.IsNaN(req.Rate) || req.Rate < 0 || req.Rate > 1e6:
		return nil, fault.New(fault.Invalid, "rate: %v is not a number of runs per second from 0 to 1000000", req.Rate)
	}
	return parsePattern("filter", req.Filter)
}

// replayVersion is the number of a version that is given by number or alias; "" = live.
func (a *API) replayVersion(fn, name string) (int, error) {
	view := a.catalog.View()
	if n, err := strconv.Atoi(name); err == nil {
		v, err := view.VersionNumber(fn, n)
		if err != nil {
			return 0, err
		}
		return v.Number, nil
	}
	alias, err := view.Alias(fn, name)
	return alias.Primary, err
}

// failedIn finds the events of a plan's stretch whose runs failed for good.
func (a *API) failedIn(p *replayPlan, since time.Time) error {
	r := &p.start.Replay
	found := map[eventlog.Position]bool{}
	note := func(run *function.Run) {
		at := run.Event
		if at.Topic == r.Topic && at.Offset >= p.start.From[at.Partition] && at.Offset < p.start.To[at.Partition] {
			found[eventlog.Position{Partition: at.Partition, Offset: at.Offset}] = true
		}
	}
	q := history.Query{Function: r.Function, Trigger: r.Trigger, Since: since, Limit: history.MaxLimit, State: function.RunDead}
	for more := true; more; more = q.After != "" {
		page, err := a.history.Runs(q)
		if err != nil {
			return err
		}
		for _, run := range page.Rows {
			note(run)
		}
		q.After = page.Next
	}
	for more := true; more; more = q.After != "" { // their run records may have expired
		page, err := a.history.DeadLetters(q)
		if err != nil {
			return err
		}
		for _, d := range page.Rows {
			note(&d.Run)
		}
		q.After = page.Next
	}
	if len(found) > maxOnly {
		return fault.New(fault.Invalid, "%d events failed in that time, and one replay takes at most %d of them", len(found), maxOnly).
			WithHint("choose a shorter time, or replay all events")
	}
	wanted := p.start.Only
	p.start.Only = map[int32][]int64{}
	for at := range found {
		if wanted != nil && !slices.Contains(wanted[at.Partition], at.Offset) {
			continue
		}
		p.start.Only[at.Partition] = append(p.start.Only[at.Partition], at.Offset)
	}
	for id := range p.start.Only {
		slices.Sort(p.start.Only[id])
	}
	return nil
}

// countReplay counts the events of a plan, up to a bound, and keeps the first.
func (a *API) countReplay(ctx context.Context, s *scan, p *replayPlan, t *catalog.Trigger, filter *match.Pattern) error {
	r, left := &p.start.Replay, int64(maxCounted)
	return s.run(ctx, func(rec eventlog.Record) error {
		if left--; left < 0 {
			r.AtLeast = true
			return errEnough
		}
		e := wanted(t, rec)
		if e == nil || r.Key != "" && e.Key() != r.Key || filter != nil && !filter.MatchEvent(e) {
			return nil
		}
		if p.start.Only != nil {
			if _, ok := slices.BinarySearch(p.start.Only[rec.Partition], rec.Offset); !ok {
				return nil
			}
		}
		r.Events++
		p.sample = sampled(p.sample, rec)
		return nil
	})
}

func (a *API) wireReplay(r *catalog.Replay) (wire.Replay, error) {
	out := wire.Replay{Replay: r.Replay, State: wire.ReplayRunning, Started: r.Started}
	if r.Ended != nil {
		out.State, out.Ended = r.Ended.State, r.Ended.At
	}
	report, err := a.replays.Report(r)
	out.Report = &report
	return out, err
}

func (a *API) listReplays(*http.Request, query) (any, error) {
	list := wire.ReplayList{Replays: []wire.Replay{}}
	for _, r := range a.catalog.View().Replays() {
		w, err := a.wireReplay(r)
		if err != nil {
			return nil, err
		}
		w.Report.Differences = []function.ReplayDifference{}
		list.Replays = append(list.Replays, w)
	}
	slices.SortStableFunc(list.Replays, func(x, y wire.Replay) int {
		return cmp.Or(y.Started.Compare(x.Started), cmp.Compare(x.Name, y.Name))
	})
	return list, nil
}

func (a *API) getReplay(r *http.Request, _ query) (any, error) {
	return a.Replay(r.PathValue("replay"))
}

// Replay tells of one replay, or NotFound with the nearest names.
func (a *API) Replay(name string) (wire.Replay, error) {
	replay, err := a.catalog.View().Replay(name)
	if err != nil {
		return wire.Replay{}, err
	}
	return a.wireReplay(replay)
}

func (a *API) cancelReplay(r *http.Request, _ query) (any, error) {
	return a.CancelReplay(r.Context(), r.PathValue("replay"))
}

// CancelReplay ends a replay that is under way.
func (a *API) CancelReplay(ctx context.Context, name string) (wire.Replay, error) {
	replay, err := a.catalog.View().Replay(name)
	if err != nil {
		return wire.Replay{}, err
	}
	if err := access.From(ctx).Over(access.Operate, replay.Replay.Function); err != nil {
		return wire.Replay{}, err
	}
	if replay.Ended != nil {
		return wire.Replay{}, fault.New(fault.Conflict, "replay %q is over already: it was %s", replay.Name, replay.Ended.State)
	}
	if err := a.replays.Cancel(ctx, replay.Name); err != nil {
		return wire.Replay{}, err
	}
	return a.Replay(name)
}
