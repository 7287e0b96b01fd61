package dispatch

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// recovered is what the log knows of a partition's progress.
type recovered struct {
	scan    *scanRecord // nil: nobody has scanned it yet
	lanes   map[int64]laneRecord
	retries map[int64]map[int64]retryRecord  // by trigger and offset
	newest  map[int64]map[int64]newestRecord // by trigger and key
	end     int64                            // of the progress partition
}

// recover makes the actor's state from the log. It returns false when the partition was taken away before that was done. Progress
// that cannot be understood is an error that lasts: the partition is not started, and says so.
func (p *partition) recover(sc scope) bool {
	ctx, cancel := context.WithCancel(sc.life)
	defer cancel()
	p.helpers.Go(func() {
		select {
		case <-p.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	if p.again && !pause(ctx, againAfter) {
		return false
	}
	for n := 0; ; n++ {
		err := p.restore(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		p.d.logger.Error("partition not started", "topic", p.id.Topic, "partition", p.id.ID, "err", err)
		p.status.Store(&status{err: err})
		if !pause(ctx, n) {
			return false
		}
	}
}

func (p *partition) restore(ctx context.Context) error {
	topic, err := p.d.topics.refresh(ctx, p.id.Topic)
	if err != nil {
		return err
	}
	p.topicID, p.keys = topic.ID, keysOf(topic.ID, p.id.ID)
	p.shelf = newShelf(p.d.log, p.keys)
	p.d.reshare()
	r, err := fold(ctx, p.d.progress, p.keys)
	if err != nil {
		return fmt.Errorf("read progress of %s/%d: %w", p.id.Topic, p.id.ID, err)
	}
	bounds, err := p.d.log.Bounds(ctx, p.id)
	if err != nil {
		return fmt.Errorf("read the bounds of %s/%d: %w", p.id.Topic, p.id.ID, err)
	}
	if r.scan != nil {
		// An older catalog than the one used before would take triggers for removed.
		if err := p.d.catalog.Wait(ctx, r.scan.control-1); err != nil {
			return err
		}
	}
	pl := p.d.plan()
	if r.scan != nil && pl.view.Offset < r.scan.control {
		pl = newPlan(p.d.catalog.View())
	}
	p.adoptFirst(r, pl, bounds)
	return nil
}

// adoptFirst sets the actor up. r has been checked; nothing here can fail.
func (p *partition) adoptFirst(r *recovered, pl *plan, bounds eventlog.Bounds) {
	p.plan, p.set = pl, pl.view.Match(p.id.Topic)
	p.life, p.progressEnd = rand.Uint64(), r.end
	p.lazyAt = p.d.now().Add(lazily)
	triggers := pl.byTopic[p.id.Topic]
	var seen int64
	if r.scan != nil {
		seen, p.scan, p.commits = r.scan.control, r.scan.position, r.scan.commit
		if !r.scan.clean {
			p.opened, p.carefulBelow = true, bounds.End
		}
	}
	p.control = max(pl.view.Offset, seen)
	p.scan = p.firstWanted(p.scan, seen, triggers, len(r.lanes) > 0, bounds)
	for uid, lr := range r.lanes {
		t := p.known(pl, uid)
		if t == nil {
			if p.discardLeft(pl, uid, lr, r.retries[uid]) {
				continue
			}
			if n := len(lr.pending); n > 0 {
				p.d.logger.Warn("a removed trigger's waiting events are given up", "topic", p.id.Topic, "partition", p.id.ID,
					"offset", lr.pending[0], "count", n)
			}
			p.abandon(uid, r.retries[uid])
			continue
		}
		p.newLane(t).restore(lr, r.retries[uid])
	}
	for uid, rs := range r.retries {
		if p.lanes[uid] == nil && r.lanes[uid].pending == nil {
			p.abandon(uid, rs) // of no pending run
		}
	}
	for _, t := range triggers {
		if t.Since(p.id.ID) >= seen && p.lanes[t.In(p.id.ID)] == nil {
			p.welcome(t)
		}
		p.holdBack(t)
	}
	for _, t := range pl.replays[p.id.Topic] {
		if t.Since(p.id.ID) >= seen && p.lanes[t.UID] == nil {
			p.welcomeReplay(t)
		}
	}
	p.remember()
	p.recallNewest(pl, r.newest)
	p.ahead, p.changed = p.scan, true
}

// firstWanted is where the scan goes on. Where no trigger depends on where it stood, it need not pass what nobody wants.
func (p *partition) firstWanted(scan, seen int64, triggers []*catalog.Trigger, lanes bool, b eventlog.Bounds) int64 {
	first := b.End
	for _, t := range triggers {
		if t.Since(p.id.ID) < seen {
			return scan
		}
		first = min(first, t.Begin(p.topicID, p.id.ID))
	}
	if lanes {
		return scan
	}
	return max(scan, first)
}

// restore gives a lane what it had to do.
func (l *lane) restore(r laneRecord, retries map[int64]retryRecord) {
	l.scanned, l.stored = r.scanned, true
	if r.attached {
		l.scanned = l.p.scan
	}
	l.attached, l.unloaded, l.recalled = false, r.pending, retries
	l.cursor = l.scanned
	if len(l.unloaded) > 0 {
		l.cursor = l.unloaded[0]
	}
	l.touch()
	l.setDedupe()
	l.p.pull(l)
}

// abandon takes the progress of a trigger that is no more out of the log.
func (p *partition) abandon(uid int64, retries map[int64]retryRecord) {
	p.push(item{records: one(p.keys.record(p.keys.lane(uid), nil))})
	for offset, r := range retries {
		p.push(item{records: p.keys.forget(uid, offset, r.attempts)})
	}
}

// fold reads all progress of one partition. An error of kind Invalid or Internal means that it cannot be understood.
func fold(ctx context.Context, from *progressLog, keys progressKeys) (*recovered, error) {
	newest, end, err := from.read(ctx, keys)
	if err != nil {
		return nil, err
	}
	r := &recovered{lanes: map[int64]laneRecord{}, retries: map[int64]map[int64]retryRecord{}, newest: map[int64]map[int64]newestRecord{}, end: end}
	for key, value := range newest {
		if err := r.take(keys, key, value); err != nil {
			return nil, fault.New(fault.Internal, "progress record %s: %w", key, err).
				WithHint("it was written by a newer dalamb, or it is damaged; this partition is left alone until it can be read")
		}
	}
	return r, r.check()
}

func (r *recovered) take(keys progressKeys, key string, value []byte) error {
	kind, trigger, offset, _, err := keys.parse(key)
	if err != nil {
		return err
	}
	switch kind {
	case 's':
		s, err := decodeScan(value)
		r.scan = &s
		return err
	case 'l':
		l, err := decodeLane(value)
		r.lanes[trigger] = l
		return err
	case 'r':
		retry, err := decodeRetry(value)
		if r.retries[trigger] == nil {
			r.retries[trigger] = map[int64]retryRecord{}
		}
		r.retries[trigger][offset] = retry
		return err
	case 'q':
		n, err := decodeNewest(value)
		if r.newest[trigger] == nil {
			r.newest[trigger] = map[int64]newestRecord{}
		}
		r.newest[trigger][offset] = n // here the second number is a key
		return err
	}
	return nil
}

// check looks for records that contradict each other.
func (r *recovered) check() error {
	for uid, l := range r.lanes {
		switch n := len(l.pending); {
		case r.scan == nil:
			return fault.New(fault.Internal, "progress of trigger %d without a position of the scan", uid)
		case l.attached && n > 0 && l.pending[n-1] >= r.scan.position, l.scanned > r.scan.position:
			return fault.New(fault.Internal, "trigger %d is ahead of the scan, which stands at %d", uid, r.scan.position)
		}
	}
	return nil
}
