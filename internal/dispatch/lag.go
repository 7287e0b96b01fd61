package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Lag is how far a trigger is behind the log, over all partitions of its topic.
type Lag struct {
	Function string
	Trigger  string
	Topic    string
	Behind   int64 // offsets that it has not looked at yet, and events that matched and are not finished
	Pending  int64 // events that matched and are not finished
	Parked   int64 // of those, events that wait long or whose key is paused, with what is blocked behind them
	Detached int   // partitions in which it has left the shared scan
	Paused   bool
	Partial  bool // of some partitions it is not known where they end, or how far the trigger is there: it may be further behind
}

// lagPatience is how long the log is asked where partitions end. People and Prometheus wait for the answer.
const lagPatience = 2 * time.Second

// statusEvery is how often an actor publishes its status at most.
const statusEvery = 200 * time.Millisecond

// status is what an actor lets others know.
type status struct {
	topicID string
	control int64 // control offset of the catalog that the actor acts by
	scan    int64
	lanes   map[int64]laneStatus // by trigger UID; a trigger without one is where the scan is
	err     error                // the partition is not started because of it
}

// of is how far a trigger is in the partition. One that the actor has not heard of yet, being new or sought elsewhere, is at its beginning.
func (s *status) of(t *catalog.Trigger, partition int32) laneStatus {
	if ls, ok := s.lanes[t.In(partition)]; ok {
		return ls
	}
	at := t.Begin(s.topicID, partition)
	if t.Since(partition) < s.control {
		at = max(at, s.scan)
	}
	return laneStatus{scanned: at, low: at, attached: true}
}

type laneStatus struct {
	scanned, low, pending, parked int64
	attached                      bool
}

// publish makes the actor's status known, a while after the last time.
func (p *partition) publish(now time.Time) {
	if !p.changed {
		return
	}
	if now.Before(p.statusAt) {
		return
	}
	p.changed, p.statusAt = false, now.Add(statusEvery)
	s := &status{topicID: p.topicID, control: p.control, scan: p.scan, lanes: make(map[int64]laneStatus, len(p.lanes))}
	for uid, l := range p.lanes {
		ls := laneStatus{scanned: l.scanned, low: l.low(p.scan), pending: int64(l.live + len(l.unloaded)), parked: int64(l.parked), attached: l.attached}
		if l.attached {
			ls.scanned = p.scan
		}
		s.lanes[uid] = ls
	}
	p.status.Store(s)
}

// Lag says how far each trigger is behind in the partitions that this node owns, by function and trigger. Where the log does not say within two seconds where
// they end, the lag is Partial: as of what this node has read. The error is why.
func (d *Dispatcher) Lag() ([]Lag, error) { return d.lagIn(d.plan(), d.started()) }

// started is what the actors say of the partitions that this node owns and works on.
func (d *Dispatcher) started() map[eventlog.Partition]*status {
	all := map[eventlog.Partition]*status{}
	for _, p := range d.owned() {
		if s := p.status.Load(); s != nil && s.err == nil {
			all[p.id] = s
		}
	}
	return all
}

func (d *Dispatcher) lagIn(pl *plan, started map[eventlog.Partition]*status) (all []Lag, why error) {
	lags := make(map[int64]*Lag, len(pl.triggers))
	for _, ts := range pl.byTopic { // plan.triggers has replays too, and a trigger that was sought in a partition twice
		for _, t := range ts {
			lags[t.UID] = &Lag{Function: t.Function, Trigger: t.Name, Topic: t.Topic, Paused: t.Paused}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lagPatience)
	defer cancel()
	for p, s := range started {
		end := s.scan
		if why == nil { // else the log does not answer for this one either, and what this node has read is known all the same
			switch b, err := d.log.Bounds(ctx, p); {
			case fault.KindOf(err) == fault.NotFound:
				continue // the topic has just gone
			case err != nil:
				why = fmt.Errorf("read where %s/%d ends: %w", p.Topic, p.ID, err)
			default:
				end = b.End
			}
		}
		for _, t := range pl.byTopic[p.Topic] {
			lag, ls := lags[t.UID], s.of(t, p.ID)
			lag.Behind += max(0, end-ls.scanned) + ls.pending
			lag.Pending += ls.pending
			lag.Parked += ls.parked
			lag.Partial = lag.Partial || why != nil
			if !ls.attached {
				lag.Detached++
			}
		}
	}
	all = make([]Lag, 0, len(lags))
	for _, l := range lags {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b Lag) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Trigger, b.Trigger))
	})
	return all, why
}

// Refused lists the partitions that are not started, with the reason.
func (d *Dispatcher) Refused() map[eventlog.Partition]error {
	refused := map[eventlog.Partition]error{}
	for _, p := range d.owned() {
		if s := p.status.Load(); s != nil && s.err != nil {
			refused[p.id] = s.err
		}
	}
	return refused
}
