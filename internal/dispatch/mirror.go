package dispatch

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// How often positions are mirrored, and how many triggers' at a time: with very many triggers a round takes some of them.
const (
	mirrorEvery = 5 * time.Second
	mirrorMost  = 256
)

// mirrorAnew is how often what does not change is mirrored again: Kafka forgets the positions of a group without members after a week
// (offsets.retention.minutes).
const mirrorAnew = 24 * time.Hour

// mirror shows each trigger's position as a consumer group without members, for people and standard tools. Nothing reads it back.
type mirror struct {
	d     *Dispatcher
	shown map[int64]map[int32]shown // trigger UID -> partition
	anew  time.Time                 // when shown was empty last
}

// shown is what a group says. With its topic it goes.
type shown struct {
	topicID string
	offset  int64
}

func newMirror(d *Dispatcher) *mirror {
	return &mirror{d: d, shown: map[int64]map[int32]shown{}}
}

func (m *mirror) run(ctx context.Context) {
	t := time.NewTicker(m.d.shown)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.round(ctx)
		case <-m.d.sought: // who starts after a crash reads there how far a trigger is
			m.round(ctx)
		}
	}
}

func (m *mirror) round(ctx context.Context) {
	pl := m.d.plan()
	if now := m.d.now(); now.Sub(m.anew) >= mirrorAnew {
		clear(m.shown)
		m.anew = now
	}
	for uid := range m.shown {
		if pl.triggers[uid] == nil {
			delete(m.shown, uid)
		}
	}
	moved := map[int64][]eventlog.GroupOffset{}
	topicIDs := map[eventlog.Partition]string{}
	for p, s := range m.d.started() {
		topicIDs[p] = s.topicID
		for _, t := range pl.byTopic[p.Topic] {
			low := s.of(t, p.ID).low
			if last, ok := m.shown[t.UID][p.ID]; t.Name == function.InvokeTrigger || ok && last == (shown{s.topicID, low}) {
				continue
			}
			if len(moved) == mirrorMost && moved[t.UID] == nil {
				continue
			}
			moved[t.UID] = append(moved[t.UID], eventlog.GroupOffset{Partition: p, Offset: low})
		}
	}
	for uid, offsets := range moved {
		t := pl.triggers[uid]
		if err := m.d.log.CommitOffsets(ctx, groupOf(t), offsets); err != nil {
			if ctx.Err() == nil {
				m.d.logger.Warn("mirror positions", "function", t.Function, "trigger", t.Name, "err", err)
			}
			return
		}
		if m.shown[uid] == nil {
			m.shown[uid] = map[int32]shown{}
		}
		for _, o := range offsets {
			m.shown[uid][o.Partition.ID] = shown{topicIDs[o.Partition], o.Offset}
		}
	}
}

// groupOf is the name of the consumer group that shows a trigger's position.
func groupOf(t *catalog.Trigger) string { return function.GroupOf(t.Function, t.Name) }
