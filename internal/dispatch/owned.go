package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// owned lists the partitions that this node works on.
func (d *Dispatcher) owned() []*partition {
	d.mu.Lock()
	defer d.mu.Unlock()
	ps := make([]*partition, 0, len(d.partitions))
	for _, p := range d.partitions {
		ps = append(ps, p)
	}
	return ps
}

// Owned is how many partitions of each topic this node works on.
func (d *Dispatcher) Owned() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	owned := map[string]int{}
	for id := range d.partitions {
		owned[id.Topic]++
	}
	return owned
}

// Owns says whether this node works on a partition.
func (d *Dispatcher) Owns(id eventlog.Partition) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.partitions[id] != nil
}

func (d *Dispatcher) assignedNow() []eventlog.Partition {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ps []eventlog.Partition
	for id := range d.partitions {
		ps = append(ps, id)
	}
	for id := range d.jobs {
		ps = append(ps, id)
	}
	for id := range d.watches {
		if d.jobs[id] == nil && d.partitions[id] == nil {
			ps = append(ps, id)
		}
	}
	return ps
}

func (d *Dispatcher) assigned(base context.Context, ids []eventlog.Partition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		kept := d.takeUp(base, id)
		if id.Topic == function.TopicJobs {
			j := newJobs(d, id)
			d.jobs[id] = j
			j.start(base)
			continue
		}
		if kept {
			continue
		}
		p := newPartition(d, id)
		d.partitions[id] = p
		p.start(base)
	}
}

// stopGrace is how long interrupted attempts have to return, and their outcomes to be stored; and duties to end.
const stopGrace = 5 * time.Second

// revoked leaves partitions in order, all at once. No attempt may hold up for long what else is to be shared out.
func (d *Dispatcher) revoked(ctx context.Context, ids []eventlog.Partition) {
	ctx, cancel := context.WithTimeout(ctx, d.drain)
	defer cancel()
	d.drop(ids, func(p *partition) { p.stop(ctx, stopGrace) })
}

// lost drops partitions that are somebody else's.
func (d *Dispatcher) lost(ids []eventlog.Partition) {
	d.drop(ids, func(p *partition) {
		p.abort()
		<-p.done
	})
}

func (d *Dispatcher) drop(ids []eventlog.Partition, end func(p *partition)) {
	d.mu.Lock()
	var ps []*partition
	var js []*jobs
	var ws []*watch
	for _, id := range ids {
		if p := d.partitions[id]; p != nil {
			p.dropped = true
			ps = append(ps, p)
		}
		ws = append(ws, d.watches[id]...)
		if j := d.jobs[id]; j != nil {
			js = append(js, j)
		}
	}
	d.mu.Unlock()
	var ends sync.WaitGroup
	for _, p := range ps {
		ends.Go(func() { end(p) })
	}
	for _, j := range js {
		ends.Go(j.stop)
	}
	for _, w := range ws {
		ends.Go(func() {
			if !w.stop(stopGrace) {
				d.logger.Warn("a duty does not end; it is left behind", "grace", stopGrace)
			}
		})
	}
	ends.Wait()
	d.mu.Lock()
	for _, id := range ids {
		delete(d.partitions, id)
		delete(d.jobs, id)
		delete(d.watches, id)
	}
	d.mu.Unlock()
	d.reshare()
}
