package dispatch

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// What one LagOverall asks of the log at most: so many triggers' positions, so many of them at a time.
const (
	elsewhereMost = 256
	elsewhereWide = 16
)

// LagOverall is Lag with the partitions that other nodes own, or that this one has not started yet, as their mirrors have shown them some
// seconds ago. fn bounds that to the triggers of one function; with "" it is done for the first 256 triggers. It reads the log, for a few
// seconds at most; with an error the lags are what this node knows by itself.
func (d *Dispatcher) LagOverall(ctx context.Context, fn string) ([]Lag, error) {
	pl, own := d.plan(), d.started()
	lags := d.lagIn(pl, own)
	ctx, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	foreign, err := d.foreign(ctx, pl, own)
	if err != nil || len(foreign) == 0 {
		return lags, err
	}
	added := make([]atomic.Int64, len(lags))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(elsewhereWide)
	asked := 0
	for i, l := range lags {
		e, ok := foreign[l.Topic]
		if !ok || l.Trigger == function.InvokeTrigger || fn != "" && l.Function != fn || asked == elsewhereMost {
			continue
		}
		t, err := pl.view.Trigger(l.Function, l.Trigger)
		if err != nil {
			return lags, err
		}
		asked++
		g.Go(func() error {
			behind, err := d.behindElsewhere(ctx, t, e)
			added[i].Store(behind)
			return err
		})
	}
	err = g.Wait()
	for i := range lags {
		lags[i].Behind += added[i].Load()
	}
	return lags, err
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

// behindElsewhere is how far a trigger is from the ends given, as its mirror says.
func (d *Dispatcher) behindElsewhere(ctx context.Context, t *catalog.Trigger, e ends) (int64, error) {
	offsets, err := d.log.Offsets(ctx, groupOf(t))
	if err != nil {
		return 0, fmt.Errorf("read the position of %s/%s: %w", t.Function, t.Name, err)
	}
	at := map[int32]int64{}
	for _, o := range offsets {
		if o.Partition.Topic == t.Topic {
			at[o.Partition.ID] = o.Offset
		}
	}
	var behind int64
	for id, end := range e.of {
		behind += max(0, end-max(at[id], t.Begin(e.topicID, id)))
	}
	return behind, nil
}
