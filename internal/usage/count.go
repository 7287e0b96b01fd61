package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// count reads what the log has stamped within an hour. The same records give the same sums, whoever reads them and whenever.
func (k *Keeper) count(ctx context.Context, from, to time.Time) ([]function.Usage, error) {
	ps, err := k.sources(ctx)
	if err != nil {
		return nil, err
	}
	c := k.newCounter(from)
	for _, p := range ps {
		at, err := k.offsetAt(ctx, p, from)
		if err != nil {
			return nil, err
		}
		// Stamps go back on a partition where the clocks of nodes differ: none of the hour stands before the first record that is not older than it, and after
		// one that is later by what clocks may differ, none comes any more.
		_, err = k.read(ctx, p, at, func(r *eventlog.Record) bool {
			if !r.Time.Before(from) && r.Time.Before(to) {
				c.take(r)
			}
			return r.Time.Before(to.Add(settling))
		})
		if err != nil {
			return nil, err
		}
	}
	return sorted(c.sums), nil
}

// sources are the partitions that tell of usage.
func (k *Keeper) sources(ctx context.Context) ([]eventlog.Partition, error) {
	topics, err := k.o.Log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var all []eventlog.Partition
	for _, t := range topics {
		if t.Name != function.TopicRequests && t.Name != function.TopicRuns && t.Name != function.TopicBuilds {
			continue
		}
		for id := range t.Partitions {
			all = append(all, eventlog.Partition{Topic: t.Name, ID: id})
		}
	}
	return all, nil
}

func (k *Keeper) offsetAt(ctx context.Context, p eventlog.Partition, t time.Time) (int64, error) {
	at, err := k.o.Log.OffsetAt(ctx, p, t)
	if err != nil {
		return 0, fmt.Errorf("find a time in %s/%d: %w", p.Topic, p.ID, err)
	}
	return at, nil
}

// read gives each record from an offset on until each says that it is enough, and returns where to read on, also with an error.
func (k *Keeper) read(ctx context.Context, p eventlog.Partition, next int64, each func(*eventlog.Record) (on bool)) (int64, error) {
	for {
		rs, err := k.o.Log.Read(ctx, p, next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return next, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		for i := range rs {
			next = rs[i].Offset + 1
			if !each(&rs[i]) {
				return next, nil
			}
		}
		if len(rs) == 0 {
			return next, nil
		}
	}
}

// counter sums an hour up.
type counter struct {
	keeper *Keeper
	hour   time.Time
	sums   map[string]*function.Usage
	told   map[string]bool          // attempts and builds that more than one record may tell of
	memory map[string]map[int]int64 // in MiB, of versions
}

func (k *Keeper) newCounter(hour time.Time) *counter {
	return &counter{keeper: k, hour: hour, sums: map[string]*function.Usage{}, told: map[string]bool{}, memory: map[string]map[int]int64{}}
}

func (c *counter) of(fn string) *function.Usage {
	u := c.sums[fn]
	if u == nil {
		u = &function.Usage{Hour: c.hour, Function: fn}
		c.sums[fn] = u
	}
	return u
}

func (c *counter) take(r *eventlog.Record) {
	e, err := eventlog.ToEvent(*r)
	if err != nil {
		return
	}
	switch e.Type {
	case event.TypeRequestCompleted:
		var q struct {
			Function   string            `json:"function"`
			Version    int               `json:"version"`
			BodySize   int64             `json:"bodySize"`
			AnswerSize int64             `json:"answerSize"`
			Duration   function.Duration `json:"duration"`
		}
		if json.Unmarshal(e.Data, &q) == nil && q.Function != "" {
			u := c.of(q.Function)
			u.BytesIn += max(0, q.BodySize)
			u.BytesOut += max(0, q.AnswerSize)
			c.invoked(u, q.Version, q.Duration)
		}
	case event.TypeRunFinished, event.TypeAttemptFailed:
		var run function.Run
		if json.Unmarshal(e.Data, &run) == nil {
			c.run(&run)
		}
	case event.TypeBatchFinished:
		var b function.RunBatch
		if json.Unmarshal(e.Data, &b) == nil {
			c.run(&b.Run)
		}
	case event.TypeBuildFinished:
		var b function.BuildEvent
		if json.Unmarshal(e.Data, &b) == nil && len(b.Functions) > 0 && !c.told["build "+b.ID] {
			c.told["build "+b.ID] = true
			// What one build made for several functions is the first one's, so that it is counted once.
			c.of(b.Functions[0]).BuildMillis += max(0, b.Took.Std().Milliseconds())
		}
	}
}

// run counts the newest attempt of a run; the ones before it have been told of.
func (c *counter) run(run *function.Run) {
	if run.Function == "" || len(run.Attempts) == 0 {
		return
	}
	a := run.Attempts[len(run.Attempts)-1]
	if a.Version == 0 || a.ID != "" && c.told[a.ID] {
		return // nobody knows what it took
	}
	if a.ID != "" && (a.Outcome != function.Succeeded || a.Batch > 1) { // one event's success is told of once
		c.told[a.ID] = true
	}
	c.invoked(c.of(run.Function), a.Version, a.Duration)
}

// invoked adds an invocation: its time is counted in whole milliseconds, rounded up, with the memory that its version may have.
func (c *counter) invoked(u *function.Usage, version int, took function.Duration) {
	u.Invocations++
	millis := int64((max(0, took.Std()) + time.Millisecond - 1) / time.Millisecond)
	u.Millis += millis
	u.MiBMillis += millis * c.mib(u.Function, version)
}

// mib is the memory of a version; of one that is gone nobody knows it, and it counts as none.
func (c *counter) mib(fn string, version int) int64 {
	known := c.memory[fn]
	if known == nil {
		known = map[int]int64{}
		c.memory[fn] = known
	}
	m, ok := known[version]
	if !ok {
		if v, err := c.keeper.o.Catalog.View().VersionNumber(fn, version); err == nil {
			m = (int64(v.Spec.Resources.Memory) + 1<<20 - 1) >> 20
		}
		known[version] = m
	}
	return m
}
