package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of one answer of replayed runs.
const (
	maxReplayedRuns  = 1000
	maxReplayedBytes = 32 << 20
)

// inTopic is how an event of a replay is named.
var inTopic = regexp.MustCompile(`^(\d{1,9})@(\d{1,18})$`)

// placesOf reads the events that a replay is about, by partition, rising; nil = it names none.
func placesOf(names []string) (map[int32][]int64, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if len(names) > maxOnly {
		return nil, fault.New(fault.Invalid, "events: %d are named, and one replay takes at most %d", len(names), maxOnly)
	}
	only := map[int32][]int64{}
	for _, name := range names {
		m := inTopic.FindStringSubmatch(name)
		if m == nil {
			return nil, fault.New(fault.Invalid, "events: %q is no place", fault.Clip(name)).WithHint("PARTITION@OFFSET, as dalamb events shows it")
		}
		partition, _ := strconv.ParseInt(m[1], 10, 32)
		offset, _ := strconv.ParseInt(m[2], 10, 64) // so few digits are numbers
		only[int32(partition)] = append(only[int32(partition)], offset)
	}
	for id, offsets := range only {
		slices.Sort(offsets)
		only[id] = slices.Compact(offsets)
	}
	return only, nil
}

// narrow leaves of what a cursor reads the stretch from the first to the last of some offsets; none = nothing.
func (c *cursor) narrow(offsets []int64) {
	if len(offsets) == 0 {
		c.from = c.to
		return
	}
	c.from = max(c.from, offsets[0])
	c.to = max(c.from, min(c.to, offsets[len(offsets)-1]+1))
}

// getReplayedRuns reads the part of _dalamb.replays that a replay wrote to.
func (a *API) getReplayedRuns(r *http.Request, _ query) (any, error) {
	replay, err := a.catalog.View().Replay(r.PathValue("replay"))
	if err != nil {
		return nil, err
	}
	return a.replayedRuns(r.Context(), replay)
}

func (a *API) replayedRuns(ctx context.Context, replay *catalog.Replay) (*wire.ReplayedRuns, error) {
	t, err := a.topic(ctx, function.TopicReplays)
	if err != nil {
		return nil, err
	}
	story := catalog.StoryOf(replay.Name, t.Partitions)
	b, err := a.log.Bounds(ctx, story)
	if err != nil {
		return nil, fmt.Errorf("read the bounds of %s/%d: %w", story.Topic, story.ID, err)
	}
	out, bytes := &wire.ReplayedRuns{Runs: []function.ReplayedRun{}}, 0
	s := &scan{log: a.log, cursors: []*cursor{{partition: story, from: max(replay.Story, b.Start), to: b.End}}}
	return out, s.run(ctx, func(rec eventlog.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if replay.Ended != nil && rec.Time.After(replay.Ended.At) {
			return errEnough
		}
		e, err := eventlog.ToEvent(rec)
		var run function.ReplayedRun
		if err != nil || e.Subject != replay.Name || e.Type != event.TypeReplayRunFinished || json.Unmarshal(e.Data, &run) != nil {
			return nil
		}
		if bytes += len(e.Data); len(out.Runs) == maxReplayedRuns || bytes > maxReplayedBytes {
			out.More = true
			return errEnough
		}
		out.Runs = append(out.Runs, run)
		return nil
	})
}
