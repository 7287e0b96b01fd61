package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

const (
	compactKeys  = 1 << 18 // keys that one pass holds in memory, about 12 MiB
	compactMin   = 1000    // new records that make a pass worth it
	compactBatch = 1000    // records removed by one write
)

// keyDigest stands for a key. 128 bits of SHA-256 do not collide by accident or by design.
type keyDigest [16]byte

func digestOf(key []byte) keyDigest {
	sum := sha256.Sum256(key)
	return keyDigest(sum[:16])
}

// errEnough ends a scan early.
var errEnough = errors.New("enough")

// Compact is eventlog.Compacter's. It waits for a sweep that runs.
func (l *Log) Compact(ctx context.Context, topic string) error {
	leave, err := l.enterSweep(ctx)
	if err != nil {
		return err
	}
	defer leave()
	l.view.RLock()
	t := l.topics[topic]
	var w topicView
	if t != nil {
		w = topicView{t.settings, t.partitions}
	}
	l.view.RUnlock()
	if t == nil {
		return eventlog.MissingTopic(topic, nil)
	}
	if !w.settings.Compact {
		return nil
	}
	for _, p := range w.parts {
		if err := l.compact(ctx, p, true); err != nil {
			return err
		}
	}
	return nil
}

// compact keeps the newest record of each key. A pass reads the records that no pass has seen, as many as have
// compactKeys different keys, and then removes, from the start on, what those made old. It removes in offset order and
// each time durably, so a crash in between leaves only more than needed: a tombstone goes after all that it deletes.
func (l *Log) compact(ctx context.Context, p *partition, all bool) error {
	for {
		b := l.seen(p)
		from := max(p.cleaned.Load(), b.Start)
		if fresh := b.End - from; !all && (fresh < compactMin || fresh < p.kept.Load()) {
			return nil
		}
		to, err := l.compactPass(ctx, p, b.Start, from, b.End)
		if err != nil {
			return fmt.Errorf("compact %s/%d: %w", p.topic.name, p.id, err)
		}
		if to >= b.End {
			return nil
		}
	}
}

// compactPass makes one pass over [start, to), where [from, to) is the part that no pass has seen, and returns to.
func (l *Log) compactPass(ctx context.Context, p *partition, start, from, end int64) (to int64, err error) {
	newest := make(map[keyDigest]int64)
	to = end
	err = p.scan(l.db, from, end, func(offset int64, stored []byte) error {
		key, _, err := recordKeyOf(stored)
		if err != nil {
			return err
		}
		if len(newest) >= compactKeys {
			to = offset
			return errEnough
		}
		newest[digestOf(key)] = offset
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}

	grace := l.now().Add(-tombstoneAge).UnixMilli()
	first, kept := int64(-1), int64(0)
	r := &removal{log: l, p: p}
	flush := func() error {
		err := l.do(ctx, r)
		r = &removal{log: l, p: p}
		return err
	}
	err = p.scan(l.db, start, to, func(offset int64, stored []byte) error {
		key, tombstone, err := recordKeyOf(stored)
		if err != nil {
			return err
		}
		at, _, _, err := recordTimes(stored)
		if err != nil {
			return err
		}
		if latest, ok := newest[digestOf(key)]; (ok && latest > offset) || (tombstone && at < grace) {
			r.offsets = append(r.offsets, offset)
			r.bytes += int64(len(stored))
			if len(r.offsets) >= compactBatch {
				return flush()
			}
			return ctx.Err()
		}
		kept++
		if first < 0 {
			first = offset
		}
		return ctx.Err()
	})
	if err != nil {
		return 0, err
	}
	r.cleaned, r.start, r.from = to, first, start
	if first < 0 {
		r.start = to
	}
	if err := flush(); err != nil {
		return 0, err
	}
	p.kept.Store(kept)
	return to, nil
}

// tombstoneAge is how long a null stays after it has become the newest record of its key, so that a reader who lags
// sees it. As Kafka's delete.retention.ms.
const tombstoneAge = 24 * time.Hour
