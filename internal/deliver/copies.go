package deliver

import (
	"encoding/json"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of the differences that are shown: they stay in the control topic.
const (
	shownExamples = 5
	shownChanges  = 5
	shownBytes    = 16 << 10
)

// copies is what a record tells of a roll-out's copies.
type copies struct {
	rollout   int64
	none      bool  // it tells of those that were not made:
	dropped   int64 // so many
	run       function.ShadowRun
	live, new invocation
}

func readCopies(rec *eventlog.Record) (*copies, bool) {
	if header(rec, "ce_type") == event.TypeShadowDropped {
		var d function.ShadowDropped
		if json.Unmarshal(rec.Value, &d) != nil || d.Dropped < 0 {
			return nil, false
		}
		return &copies{rollout: d.Rollout, none: true, dropped: d.Dropped}, true
	}
	c := &copies{}
	if json.Unmarshal(rec.Value, &c.run) != nil {
		return nil, false
	}
	c.rollout, c.live, c.new = c.run.Rollout, ofSide(c.run.Live), ofSide(c.run.Shadow)
	return c, true
}

func ofSide(s function.ShadowSide) invocation {
	i := invocation{version: s.Version, failed: s.Failed}
	if !i.failed && !s.Cold {
		i.took = s.Duration.Std()
	}
	return i
}

// mirrored counts copies in one stretch of time.
type mirrored struct {
	pair
	facts function.ShadowFacts
	bytes int // of the examples
}

func (m *mirrored) add(c *copies) {
	if c.none {
		m.facts.Dropped += c.dropped
		return
	}
	m.old.add(c.live)
	m.new.add(c.new)
	m.facts.Compared++
	switch c.run.Kind {
	case "":
		return
	case function.ReplayNewlyFailing:
		m.facts.NewlyFailing++
	case function.ReplayNewlyPassing:
		m.facts.NewlyPassing++
	default:
		m.facts.Different++
	}
	m.show(c.run)
}

// show keeps one of the first differences.
func (m *mirrored) show(run function.ShadowRun) {
	run.Changes = run.Changes[:min(len(run.Changes), shownChanges)]
	text, err := json.Marshal(run)
	if err != nil || len(run.Changes) == 0 || len(m.facts.Examples) == shownExamples || m.bytes+len(text) > shownBytes {
		return
	}
	m.bytes += len(text)
	m.facts.Examples = append(m.facts.Examples, run)
}

// figures are what is known of it.
func (m *mirrored) figures() (f function.RolloutFacts) {
	f.New, f.Old = m.new.figures(), m.old.figures()
	shown := m.facts
	shown.Examples = slices.Clone(shown.Examples)
	f.Shadow = &shown
	return f
}
