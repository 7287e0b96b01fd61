package deliver

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// longestBefore is how far back before a roll-out the old version's figures are looked for.
	longestBefore = 5 * time.Minute
	// mostRead bounds one measuring, in records of one partition, so that a gate that has failed is not kept waiting by those behind it.
	mostRead = 50_000
)

// pair are the figures of both versions in one stretch of time.
type pair struct{ old, new tally }

// meter follows what the log tells of a roll-out's two versions. One goroutine owns it.
type meter struct {
	log      eventlog.Log
	function string
	now      func() time.Time

	reader *reader
	next   map[eventlog.Partition]int64
	step   int       // that now is about
	since  time.Time // from when on
	before tally     // the old version, before the roll-out
	all    pair      // since the first traffic moved
	recent pair      // of the step
	copies mirrored  // of the step, where it is the one with copies
}

// measure reads on, and returns what is known of the step that the roll-out is in; of all its steps, where that is too little to judge by.
func (m *meter) measure(ctx context.Context, r *catalog.Rollout) (*function.RolloutFacts, error) {
	if m.next == nil {
		if err := m.begin(ctx, r); err != nil {
			return nil, err
		}
	}
	if m.step != r.Step || !m.since.Equal(r.Since) {
		m.step, m.since, m.recent, m.copies = r.Step, r.Since, pair{}, mirrored{}
	}
	until := m.now()
	for p := range m.next {
		if err := m.follow(ctx, p, r); err != nil {
			return nil, err
		}
	}
	if r.Shadowing() {
		facts := m.copies.figures()
		facts.Since, facts.Until = r.Since, until
		return &facts, nil
	}
	sample := int64(r.Gates.Sample)
	facts := &function.RolloutFacts{Since: r.Since, Until: until, New: m.recent.new.figures(), Old: m.recent.old.figures()}
	if facts.New.Invocations < sample {
		facts.Since, facts.New, facts.Old = r.Moved(), m.all.new.figures(), m.all.old.figures()
	}
	if facts.Old.Invocations < sample && m.before.count >= sample {
		facts.Old, facts.Before = m.before.figures(), true
	}
	return facts, nil
}

// begin finds where to read from: where the time before the roll-out begins that counts.
func (m *meter) begin(ctx context.Context, r *catalog.Rollout) error {
	topics, err := m.log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	from := r.Began.Add(-min(max(r.Every.Std(), r.Watch.Std()), longestBefore))
	next := map[eventlog.Partition]int64{}
	for _, t := range topics {
		if t.Name != function.TopicRequests && t.Name != function.TopicRuns {
			continue
		}
		for id := range t.Partitions {
			p := eventlog.Partition{Topic: t.Name, ID: id}
			if next[p], err = m.log.OffsetAt(ctx, p, from); err != nil {
				return fmt.Errorf("find %s in %s/%d: %w", from.UTC().Format(time.RFC3339), t.Name, id, err)
			}
		}
	}
	m.next, m.reader = next, &reader{function: m.function, told: map[string]bool{}}
	m.before, m.all, m.recent, m.copies = tally{}, pair{}, pair{}, mirrored{}
	return nil
}

func (m *meter) follow(ctx context.Context, p eventlog.Partition, r *catalog.Rollout) error {
	for seen := 0; seen < mostRead; {
		rs, err := m.log.Read(ctx, p, m.next[p], eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			return nil
		}
		for i := range rs {
			m.next[p] = rs[i].Offset + 1
			if one, ok := m.reader.read(&rs[i]); ok {
				m.count(one, r)
			}
		}
		seen += len(rs)
	}
	return nil
}

// count puts an invocation where it belongs by its time.
func (m *meter) count(i invocation, r *catalog.Rollout) {
	moved := r.Moved()
	switch {
	case i.copies != nil:
		if i.copies.rollout == r.ID && r.Shadowing() && !i.at.Before(r.Since) {
			m.copies.add(i.copies)
		}
		return
	case moved.IsZero(), i.at.Before(moved):
		if i.version == r.From {
			m.before.add(i)
		}
		return
	}
	for _, to := range []struct {
		since time.Time
		pair  *pair
	}{{moved, &m.all}, {r.Since, &m.recent}} {
		switch {
		case i.at.Before(to.since):
		case i.version == r.To:
			to.pair.new.add(i)
		case i.version == r.From:
			to.pair.old.add(i)
		}
	}
}
