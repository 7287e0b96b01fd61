package dispatch

import (
	"cmp"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
)

// plan is a view of the catalog, arranged for the partitions.
type plan struct {
	view     *catalog.View
	triggers map[int64]*catalog.Trigger    // by UID, those of single partitions too
	heirs    map[int64]*catalog.Trigger    // by the UIDs that they had before they were sought
	byTopic  map[string][]*catalog.Trigger // the newest first
	replays  map[string][]*catalog.Trigger // of replays that are not over, by topic
	sought   int64                         // control offset at which a trigger was sought last; 0 = none was
}

func newPlan(v *catalog.View) *plan {
	pl := &plan{view: v, triggers: map[int64]*catalog.Trigger{}, heirs: map[int64]*catalog.Trigger{}, byTopic: map[string][]*catalog.Trigger{}, replays: map[string][]*catalog.Trigger{}}
	for _, f := range v.Functions() {
		for _, t := range f.Triggers {
			if t.Topic != "" {
				pl.add(t)
				pl.byTopic[t.Topic] = append(pl.byTopic[t.Topic], t)
			}
		}
		for _, r := range f.Replays {
			if r.Ended == nil {
				pl.triggers[r.Own.UID] = r.Own
				pl.replays[r.Topic] = append(pl.replays[r.Topic], r.Own)
			}
		}
	}
	for _, ts := range pl.byTopic {
		slices.SortFunc(ts, func(a, b *catalog.Trigger) int { return cmp.Compare(b.Newest(), a.Newest()) })
	}
	return pl
}

// replan gives the actor a newer plan.
type replan struct{ plan *plan }

func (m replan) apply(_ scope, p *partition) {
	if m.plan.view.Offset < p.control || m.plan == p.plan {
		return
	}
	before := p.control
	p.plan, p.set, p.control = m.plan, m.plan.view.Match(p.id.Topic), m.plan.view.Offset
	for uid, l := range p.lanes {
		switch t := p.known(m.plan, uid); {
		case l.removed:
		case t == nil:
			l.remove(p.leaveOf(m.plan, uid))
		default:
			l.retarget(t)
		}
	}
	for _, t := range m.plan.byTopic[p.id.Topic] {
		if t.Newest() < before {
			break
		}
		if t.Since(p.id.ID) >= before {
			p.welcome(t)
		}
	}
	for _, t := range m.plan.replays[p.id.Topic] {
		if t.Since(p.id.ID) >= before {
			p.welcomeReplay(t)
		}
	}
	for _, t := range m.plan.byTopic[p.id.Topic] {
		p.holdBack(t)
	}
	p.remember()
}

// welcome begins a trigger that this partition's scan has not known: at its start, wherever the scan is by now.
func (p *partition) welcome(t *catalog.Trigger) {
	if start := t.Begin(p.topicID, p.id.ID); start < p.scan {
		l := p.newLane(t)
		l.detach(start)
		l.setDedupe()
		p.pull(l)
	}
}

// holdBack keeps a trigger where it stands whose filter this binary cannot compile: the scan would pass it by.
func (p *partition) holdBack(t *catalog.Trigger) {
	if t.Err == nil {
		return
	}
	l := p.lanes[t.In(p.id.ID)]
	if l == nil {
		l = p.newLane(t)
	}
	if l.attached {
		l.detach(p.scan)
	}
}
