package delay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Waiting is an event that waits.
type Waiting struct {
	ID       string
	Due      time.Time
	Topic    string
	Accepted time.Time
	Event    *event.Event
}

// lookMost bounds the events that are looked at, each by a read of its own, for those of some topics alone.
const lookMost = 10_000

// List returns the first "most" events that wait for topics that are wanted, the next one due first, and how many wait in all; of some topics alone, how many it returns,
// since what waits for which topic is only seen by reading it, and no more than the first lookMost of all that wait are looked at for that. A nil wanted is all topics.
// Whoever asks, the partitions of _dalamb.delayed are read whole first, to know what waits: the cost is that of all that stands in them, and no bound of looking lowers it.
func (d *Delay) List(ctx context.Context, most int, wanted func(topic string) bool) (list []Waiting, total int, err error) {
	n, err := d.count(ctx)
	if err != nil {
		return nil, 0, err
	}
	type place struct {
		mark
		partition int32
	}
	var all []place
	look := most
	if wanted != nil {
		look = d.look // the first that are wanted may stand behind any number of others
	}
	for id := range n {
		k := &keeper{Delay: d, own: eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicDelayed, ID: id}}, calendar: newCalendar()}
		if _, err := k.recall(ctx); err != nil {
			return nil, 0, err
		}
		for _, c := range k.cancels {
			k.calendar.drop(ident{c.due, c.random})
		}
		total += len(k.calendar.live)
		for _, m := range k.calendar.take(1<<62, look) {
			all = append(all, place{m, id})
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	for _, p := range all[:min(look, len(all))] {
		if len(list) == most {
			break
		}
		w, ok, err := d.at(ctx, eventlog.Partition{Topic: function.TopicDelayed, ID: p.partition}, p.offset)
		if err != nil {
			return nil, 0, err
		}
		switch {
		case !ok:
			total-- // it has gone since, or was forgotten
		case wanted == nil || wanted(w.Topic):
			list = append(list, w)
		}
	}
	if wanted != nil {
		total = len(list)
	}
	return list, total, nil
}

// Sealed counts the events that wait and have one of some seals (event.SealIn).
func (d *Delay) Sealed(ctx context.Context, mine func(seal string) bool) (int, error) {
	n, err := d.count(ctx)
	if err != nil {
		return 0, err
	}
	waiting := map[nameOf]bool{}
	for id := range n {
		_, err := eventlog.ReadAll(ctx, d.log, eventlog.Partition{Topic: function.TopicDelayed, ID: id}, func(r *eventlog.Record) error {
			if name, ok := nameIn(r.Key); !ok {
				return nil
			} else if mine(event.SealIn(r.Headers)) {
				waiting[name] = true
			} else {
				delete(waiting, name) // released, cancelled, or to be
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return len(waiting), nil
}

// at reads one event; ok is false when it has gone since.
func (d *Delay) at(ctx context.Context, p eventlog.Partition, offset int64) (w Waiting, ok bool, err error) {
	rs, err := d.log.Read(ctx, p, offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return w, false, fmt.Errorf("read %s/%d offset %d: %w", p.Topic, p.ID, offset, err)
	}
	if len(rs) == 0 || rs[0].Offset != offset {
		return w, false, nil
	}
	if rs[0].Lost() {
		return w, false, nil
	}
	name, ok := nameIn(rs[0].Key)
	h, err := decodeHeld(rs[0].Value)
	if err != nil || !ok {
		return w, false, err
	}
	return Waiting{ID: name.String(), Due: time.UnixMilli(name.due).UTC(), Topic: h.Topic, Accepted: h.Accepted, Event: h.Event}, true, nil
}
