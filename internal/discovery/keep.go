package discovery

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// forget is how long an instance that sends no heartbeats any more is kept, so that it can be seen that it is missing.
	forget = time.Hour
	// longestNap is how long the owner waits at most before it looks again, so that a clock that was set is noticed.
	longestNap = 10 * time.Second
)

// Topic implements dispatch.Duty.
func (d *Discovery) Topic() string { return function.TopicServices }

// Keep judges the instances until ctx is done: it runs their checks, and sees who has missed his time.
func (d *Discovery) Keep(ctx context.Context, own eventlog.Owned) error {
	if err := d.CatchUp(ctx); err != nil {
		return unlessOver(ctx, err)
	}
	k := &keeper{Discovery: d, checks: newChecks(d.o.Probe)}
	defer k.checks.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := d.Changed()
		k.checks.follow(ctx, d.View())
		records, nap := k.overdue()
		if len(records) > 0 {
			if _, err := own.Commit(ctx, records); err != nil {
				return unlessOver(ctx, fmt.Errorf("store the health of services: %w", err))
			}
			nap = longestNap // the fold wakes this up
		}
		timer.Reset(nap)
		select {
		case <-timer.C:
		case <-changed:
		case v := <-k.checks.verdicts:
			if err := k.heard(ctx, own, v); err != nil {
				return unlessOver(ctx, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// unlessOver leaves out what comes of the end itself.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// keeper is the owner's part.
type keeper struct {
	*Discovery
	checks *checks
}

// patience is how old the last sign of life of an instance may be that this node knows of. Others store one only when half of the time is over.
func (k *keeper) patience(i *function.ServiceInstance) time.Duration {
	if k.shared {
		return i.TTL.Std() * 3 / 2
	}
	return i.TTL.Std()
}

// overdue are the records that say who has missed his time, and who is taken away for that; nap is until there may be more.
func (k *keeper) overdue() (records []eventlog.Record, nap time.Duration) {
	now := k.o.Now()
	nap = longestNap
	services := k.View().Services()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range services {
		for at := range s.Instances {
			i := &s.Instances[at]
			switch id := (key{i.Service, i.Instance}); {
			case i.TTL == 0:
			case !i.Healthy:
				if now.Sub(i.Since) >= forget {
					records = append(records, gone(id)...)
				}
			default:
				left := k.patience(i) - now.Sub(k.seen[id].at)
				if left > 0 {
					nap = min(nap, left)
					continue
				}
				records = append(records, healthChanged(i, fmt.Sprintf("no heartbeat came for %s", i.TTL), now))
			}
		}
	}
	return records, nap
}

// heard stores what a check says, where that is news. That the same instance fails for another reason is none: the reasons of one that
// is away may change with each check.
func (k *keeper) heard(ctx context.Context, own eventlog.Owned, v verdict) error {
	i, there := k.View().Instance(v.of.service, v.of.instance)
	if !there || i.ID != v.id || i.Healthy == (v.reason == "") && i.Reason != notChecked {
		return nil
	}
	at, err := own.Commit(ctx, []eventlog.Record{healthChanged(&i, v.reason, k.o.Now())})
	if err != nil {
		return fmt.Errorf("store the health of %s: %w", v.of.registration(), err)
	}
	return k.asFold().Wait(ctx, at[0].Offset) // else the next verdict is held against what was before
}
