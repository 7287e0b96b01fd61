package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Of how many triggers one LagOverall asks the log at a time, and for how long what that has said is good enough for the next one.
const (
	elsewhereWide = 16
	elsewhereGood = 2 * time.Second
)

// elsewhere remembers what triggers' mirrors have shown. They change every few seconds, and pages that people look at ask more often.
type elsewhere struct {
	asked singleflight.Group // by function, "" = all

	mu   sync.Mutex
	read map[int64]mirrored // by trigger UID
}

// mirrored is where a trigger stands, by partition of its topic, as its mirror has shown when it was read.
type mirrored struct {
	offsets map[int32]int64
	at      time.Time
}

// LagOverall is Lag with the partitions that other nodes own, or that this one has not started yet, as their mirrors have shown them some
// seconds ago. fn bounds that to the triggers of one function, "" = of all. It reads the log, for a few seconds at most. What it has not come to by then, or
// cannot read, makes the lag of those triggers Partial; the error is why, and names none of them. The next one begins with those. Who asks while the same is
// being asked gets the same answer: two that read at once would each come to half.
func (d *Dispatcher) LagOverall(ctx context.Context, fn string) ([]Lag, error) {
	all, err, _ := d.elsewhere.asked.Do(fn, func() (any, error) {
		return d.lagOverall(context.WithoutCancel(ctx), fn) // others wait for it, too; it takes as long as lagPatience
	})
	return slices.Clone(all.([]Lag)), err
}

func (d *Dispatcher) lagOverall(ctx context.Context, fn string) ([]Lag, error) {
	pl, own := d.plan(), d.started()
	lags, why := d.lagIn(pl, own)
	ctx, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	foreign, err := d.foreign(ctx, pl, own)
	if err != nil {
		for i := range lags {
			lags[i].Partial = true
		}
		return lags, cmp.Or(why, err)
	}
	var asked []*Lag
	for i := range lags {
		l := &lags[i]
		if _, ok := foreign[l.Topic]; ok && l.Trigger != function.InvokeTrigger && (fn == "" || l.Function == fn) {
			asked = append(asked, l)
		}
	}
	err = d.askElsewhere(ctx, pl, asked, foreign)
	return lags, cmp.Or(why, err)
}

// askElsewhere adds to lags what the mirrors show of partitions elsewhere, beginning with those that were not read for longest.
func (d *Dispatcher) askElsewhere(ctx context.Context, pl *plan, lags []*Lag, foreign map[string]ends) error {
	type ask struct {
		lag     *Lag
		trigger *catalog.Trigger
		seen    mirrored
		unknown bool
	}
	var asks []*ask
	for _, l := range lags {
		t, err := pl.view.Trigger(l.Function, l.Trigger)
		if err != nil {
			l.Partial = true // it has just gone
			continue
		}
		asks = append(asks, &ask{lag: l, trigger: t})
	}
	d.elsewhere.mu.Lock()
	for uid := range d.elsewhere.read {
		if pl.triggers[uid] == nil {
			delete(d.elsewhere.read, uid)
		}
	}
	for _, a := range asks {
		a.seen = d.elsewhere.read[a.trigger.UID]
	}
	d.elsewhere.mu.Unlock()
	slices.SortStableFunc(asks, func(a, b *ask) int { return a.seen.at.Compare(b.seen.at) })
	var g errgroup.Group
	g.SetLimit(elsewhereWide)
	now := d.now()
	for _, a := range asks {
		if a.seen.offsets != nil && now.Sub(a.seen.at) < elsewhereGood {
			continue
		}
		g.Go(func() error {
			offsets, err := d.mirrored(ctx, a.trigger)
			if a.unknown = err != nil; !a.unknown {
				a.seen = mirrored{offsets, now}
			}
			return err
		})
	}
	err := g.Wait()
	d.elsewhere.mu.Lock()
	defer d.elsewhere.mu.Unlock()
	for _, a := range asks {
		if a.unknown {
			a.lag.Partial = true
			continue
		}
		a.lag.Behind += behindElsewhere(a.trigger, foreign[a.trigger.Topic], a.seen.offsets)
		d.elsewhere.read[a.trigger.UID] = a.seen
	}
	return err
}

// ends is where the partitions of a topic end that other nodes own.
type ends struct {
	topicID string
	of      map[int32]int64
}

// foreign lists the ends of all partitions that triggers want and that are not this node's own, by topic.
func (d *Dispatcher) foreign(ctx context.Context, pl *plan, own map[eventlog.Partition]*status) (map[string]ends, error) {
	topics, err := d.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	foreign := map[string]ends{}
	for _, t := range topics {
		for id := range t.Partitions {
			p := eventlog.Partition{Topic: t.Name, ID: id}
			if own[p] != nil || len(pl.byTopic[t.Name]) == 0 {
				continue
			}
			b, err := d.log.Bounds(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
			}
			if foreign[t.Name].of == nil {
				foreign[t.Name] = ends{t.ID, map[int32]int64{}}
			}
			foreign[t.Name].of[id] = b.End
		}
	}
	return foreign, nil
}

// mirrored is where a trigger's mirror says that it stands, by partition of its topic.
func (d *Dispatcher) mirrored(ctx context.Context, t *catalog.Trigger) (map[int32]int64, error) {
	offsets, err := d.log.Offsets(ctx, groupOf(t))
	if err != nil {
		return nil, fmt.Errorf("read how far triggers are on other nodes: %w", err)
	}
	at := map[int32]int64{}
	for _, o := range offsets {
		if o.Partition.Topic == t.Topic {
			at[o.Partition.ID] = o.Offset
		}
	}
	return at, nil
}

// behindElsewhere is how far a trigger is from the ends given, by where it stands.
func behindElsewhere(t *catalog.Trigger, e ends, at map[int32]int64) (behind int64) {
	for id, end := range e.of {
		behind += max(0, end-max(at[id], t.Begin(e.topicID, id)))
	}
	return behind
}
