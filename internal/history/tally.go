package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	// TallySpan is how far back runs are counted.
	TallySpan = 15 * time.Minute
	// tallyTriggers bounds the triggers of one minute that are counted each for itself, tallyNames the topics and types of one of them.
	tallyTriggers, tallyNames = 2000, 16
	// tallySeed bounds the rows that are read at the start: what the tally of the process before had counted.
	tallySeed = 5000
)

// Counts are how many runs there were lately: each where it stands now, in the minute of the newest that is known of it.
type Counts struct {
	Since    time.Time // from when on all runs are counted
	Triggers []TriggerCounts
	Others   map[function.RunState]int64 // runs of the triggers beyond the bound
}

// TriggerCounts are those of one trigger.
type TriggerCounts struct {
	Function, Trigger string
	Runs              map[function.RunState]int64
	Emitted           map[string]int64 // events, by topic
	Wants, Emits      []string         // types of events that its runs were about, and that they emitted; some of them where they are many
}

// tally counts runs by the minute while they are folded, so that nobody has to read them for that.
type tally struct {
	mu      sync.Mutex
	minutes map[int64]*minute
	since   time.Time
}

type minute struct {
	triggers map[triggerName]*counted
	others   map[function.RunState]int64
}

type triggerName struct{ function, trigger string }

type counted struct {
	runs         map[function.RunState]int64
	emitted      map[string]int64
	wants, emits map[string]bool
}

// happened is a change of a tally: so many runs that are in a state now; fewer than none where they were and are no more.
type happened struct {
	at      time.Time
	name    triggerName
	state   function.RunState
	runs    int64
	wants   string
	emitted []function.Emitted
}

func newTally(since time.Time) *tally { return &tally{minutes: map[int64]*minute{}, since: since} }

func minuteOf(at time.Time) int64 { return at.Unix() / 60 }

// add counts what happened; what is older than the span, or of a minute that is over for long, is let go.
func (t *tally) add(now time.Time, all []happened) {
	oldest := minuteOf(now.Add(-TallySpan))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range all {
		h := &all[i]
		at := minuteOf(h.at)
		if at < oldest || at > minuteOf(now)+1 { // clocks of nodes differ, but not by so much
			continue
		}
		m := t.minutes[at]
		if m == nil {
			maps.DeleteFunc(t.minutes, func(k int64, _ *minute) bool { return k < oldest })
			m = &minute{triggers: map[triggerName]*counted{}, others: map[function.RunState]int64{}}
			t.minutes[at] = m
		}
		m.add(h)
	}
}

func (m *minute) add(h *happened) {
	c := m.triggers[h.name]
	if c == nil {
		if len(m.triggers) >= tallyTriggers {
			m.others[h.state] += h.runs
			return
		}
		c = &counted{runs: map[function.RunState]int64{}, emitted: map[string]int64{}, wants: map[string]bool{}, emits: map[string]bool{}}
		m.triggers[h.name] = c
	}
	c.runs[h.state] += h.runs
	note(c.wants, h.wants)
	for _, e := range h.emitted {
		if _, there := c.emitted[e.Topic]; there || len(c.emitted) < tallyNames {
			c.emitted[e.Topic] += max(-1, min(1, h.runs)) // the first of a batch names all that they emitted
		}
		note(c.emits, e.Type)
	}
}

func note(names map[string]bool, name string) {
	if name != "" && len(names) < tallyNames {
		names[name] = true
	}
}

// sum is what happened within the span.
func (t *tally) sum(now time.Time) Counts {
	oldest := minuteOf(now.Add(-TallySpan))
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[triggerName]*counted{}
	out := Counts{Since: now.Add(-TallySpan), Others: map[function.RunState]int64{}}
	if t.since.After(out.Since) {
		out.Since = t.since
	}
	for at, m := range t.minutes {
		if at < oldest {
			continue
		}
		for state, n := range m.others {
			out.Others[state] += n
		}
		for name, c := range m.triggers {
			to := all[name]
			if to == nil {
				to = &counted{runs: map[function.RunState]int64{}, emitted: map[string]int64{}, wants: map[string]bool{}, emits: map[string]bool{}}
				all[name] = to
			}
			for state, n := range c.runs {
				to.runs[state] += n
			}
			for topic, n := range c.emitted {
				to.emitted[topic] += n
			}
			maps.Copy(to.wants, c.wants)
			maps.Copy(to.emits, c.emits)
		}
	}
	none := func(_ function.RunState, n int64) bool { return n <= 0 }
	maps.DeleteFunc(out.Others, none)
	for name, c := range all {
		maps.DeleteFunc(c.runs, none)
		if len(c.runs) == 0 {
			continue
		}
		out.Triggers = append(out.Triggers, TriggerCounts{
			Function: name.function, Trigger: name.trigger, Runs: c.runs, Emitted: c.emitted,
			Wants: slices.Sorted(maps.Keys(c.wants)), Emits: slices.Sorted(maps.Keys(c.emits)),
		})
	}
	slices.SortFunc(out.Triggers, func(a, b TriggerCounts) int {
		if by := strings.Compare(a.Function, b.Function); by != 0 {
			return by
		}
		return strings.Compare(a.Trigger, b.Trigger)
	})
	return out
}

// Counts are how many runs there were within TallySpan.
func (h *History) Counts() Counts { return h.tally.sum(h.now()) }

// talliedRun is what a tally has to know of a run, or of a batch of them.
type talliedRun struct {
	Function string             `json:"function"`
	Trigger  string             `json:"trigger"`
	State    function.RunState  `json:"state"`
	Emitted  []function.Emitted `json:"emitted"`
	Event    function.EventRef  `json:"event"`
}

// talliedOf is a run that is whole.
func talliedOf(r *function.Run) *talliedRun {
	return &talliedRun{Function: r.Function, Trigger: r.Trigger, State: r.State, Emitted: r.Emitted, Event: r.Event}
}

func (r *talliedRun) happened(at time.Time, runs int64) happened {
	return happened{at: at, name: triggerName{r.Function, r.Trigger}, state: r.State, runs: runs, wants: r.Event.Type, emitted: r.Emitted}
}

// tallied decodes a row.
func tallied(id string, r row) (happened, error) {
	if !many(id) {
		var one talliedRun
		if err := json.Unmarshal(r.doc, &one); err != nil {
			return happened{}, fmt.Errorf("decode run %s: %w", id, err)
		}
		return one.happened(r.at, 1), nil
	}
	var all struct {
		Run    talliedRun `json:"run"`
		Others []struct{} `json:"others"`
	}
	if err := json.Unmarshal(r.doc, &all); err != nil {
		return happened{}, fmt.Errorf("decode batch of runs: %w", err)
	}
	return all.Run.happened(r.at, int64(1+len(all.Others))), nil
}

// seed counts what had been folded before the folds of this process begin.
func (h *History) seed() error {
	now := h.now()
	since := now.Add(-TallySpan)
	s, err := h.newScan(runsTable(), Query{Since: since}, []probe{{term: term{index: indexAll}}})
	if err != nil {
		return err
	}
	defer s.close()
	for n := 0; s.next(); n++ {
		if n == tallySeed {
			since = s.row.at.Add(time.Millisecond) // others of its time may be left, too
			break
		}
		one, err := tallied(s.id, s.row)
		if err != nil {
			return err
		}
		h.tally.add(now, []happened{one})
	}
	h.tally.mu.Lock()
	defer h.tally.mu.Unlock()
	h.tally.since = since
	return s.err
}
