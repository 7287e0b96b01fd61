package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	monthChunk = 1000 // runs that are told of in one transaction
	monthBatch = 50   // events of one invocation, of every fourth function
	monthMiB   = 128  // memory of a version
)

func monthFunction(i int) string { return fmt.Sprint("f-", i) }

// told is what stands in a log of runs.
type told struct {
	begin, end time.Time
	alone      string           // a run in the midst
	together   string           // one in the midst that was told of with others
	last       map[int32]string // the last run of each partition that has a record of its own
	used       map[time.Time]map[string]*function.Usage
}

// tellRuns writes runs of some days, up to the hour that goes on, into a log that no node has open, as dispatch tells of them, with the usage of their hours.
func tellRuns(ctx context.Context, dir string, days, runs int) (_ *told, err error) {
	l, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	end := time.Now().UTC().Truncate(time.Hour)
	t := &told{begin: end.Add(-time.Duration(days) * 24 * time.Hour), end: end, last: map[int32]string{}, used: map[time.Time]map[string]*function.Usage{}}
	step := end.Sub(t.begin) / time.Duration(runs)
	written := make(chan *chapter, 1) // so that the next ones are written down while these are stored
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(written)
		for first := 0; first < runs; {
			var some errgroup.Group
			all := make([]*chapter, 0, runtime.NumCPU())
			for ; len(all) < cap(all) && first < runs; first += monthChunk {
				c := &chapter{first: first, runs: min(monthChunk, runs-first), begin: t.begin, step: step}
				all = append(all, c)
				some.Go(c.write)
			}
			if err := some.Wait(); err != nil {
				return err
			}
			for _, c := range all {
				select {
				case written <- c:
				case <-both.Done():
					return both.Err()
				}
			}
		}
		return nil
	})
	g.Go(func() error {
		for c := range written {
			at, err := l.Append(both, c.records)
			if err != nil {
				return err
			}
			t.learn(c, at, runs)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return t, t.tellUsage(ctx, l)
}

// learn notes what is in the log of a chapter.
func (t *told) learn(c *chapter, at []eventlog.Position, runs int) {
	for i, id := range c.alone {
		if id != "" {
			t.last[at[i].Partition] = id
			if c.first <= runs/2 {
				t.alone = id
			}
		}
	}
	if c.together != "" && c.first <= runs/2 {
		t.together = c.together
	}
	for _, u := range c.used {
		hour := t.used[u.Hour]
		if hour == nil {
			hour = map[string]*function.Usage{}
			t.used[u.Hour] = hour
		}
		if hour[u.Function] == nil {
			hour[u.Function] = &function.Usage{Hour: u.Hour, Function: u.Function}
		}
		hour[u.Function].Add(u.Used)
	}
}

func (t *told) tellUsage(ctx context.Context, l eventlog.Log) error {
	for hour := t.begin; hour.Before(t.end); hour = hour.Add(time.Hour) {
		var records []eventlog.Record
		tell := func(typ, fn string, data any) error {
			r, err := monthRecord(function.TopicUsage, typ, fn, hour.Add(time.Hour), data)
			r.Partition = 0
			records = append(records, r)
			return err
		}
		for fn, u := range t.used[hour] {
			if err := tell(event.TypeUsage, fn, u); err != nil {
				return err
			}
		}
		if err := tell(event.TypeUsageCompleted, "", function.UsageHour{Hour: hour}); err != nil {
			return err
		}
		if _, err := l.Append(ctx, records); err != nil {
			return err
		}
	}
	return nil
}

// chapter is the runs of a short while. The same place in the month always has the same runs.
type chapter struct {
	first, runs int
	begin       time.Time // of the first run of all
	step        time.Duration
	random      *rand.Rand
	records     []eventlog.Record
	alone       []string // by record: the run that it tells of, where it is the first to
	together    string
	used        []function.Usage
}

func (c *chapter) write() error {
	c.random = rand.New(rand.NewPCG(uint64(c.first), 1))
	for i := 0; i < c.runs; {
		at := c.begin.Add(time.Duration(c.first+i) * c.step)
		share := c.random.Float64()
		fn := int(float64(restartFunctions-1) * share * share * share) // some run often, some seldom
		n := 1
		if fn%4 == 3 {
			if c.random.IntN(monthBatch) > 0 {
				continue // it has as many runs as others have, in fewer invocations
			}
			n = min(monthBatch, c.runs-i)
		}
		if err := c.ended(fn, c.first+i, n, at); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// ended tells of an invocation with n events. One of a hundred that have one event fails: a third of these dies, the others succeed when they are tried again.
func (c *chapter) ended(fn, i, n int, at time.Time) error {
	name := monthFunction(fn)
	took := time.Duration(5+c.random.ExpFloat64()*60) * time.Millisecond
	r := function.Run{
		ID: c.id(), Function: name, Trigger: "t-0", State: function.RunSucceeded, Event: c.event(fn, i), Finished: at, Result: json.RawMessage(`{"ok":true}`),
		Attempts: []function.Attempt{{Number: 1, Version: 1, Instance: c.id()[:13], ID: c.id(), Start: at.Add(-took), Duration: function.Duration(took), Outcome: function.Succeeded, Status: 200}},
	}
	c.use(name, at, took)
	if n > 1 {
		r.Attempts[0].Batch = n
		b := function.RunBatch{Run: r}
		for k := range n - 1 {
			b.Others = append(b.Others, function.RunRef{ID: c.id(), Event: c.event(fn, i+1+k)})
		}
		c.together = b.Others[len(b.Others)/2].ID
		return c.tell(function.TopicRuns, event.TypeBatchFinished, r.ID, "", at, b)
	}
	if c.random.IntN(100) > 0 {
		return c.tell(function.TopicRuns, event.TypeRunFinished, r.ID, r.ID, at, r)
	}
	dead := c.random.IntN(3) == 0
	succeeded := r.Attempts[0]
	failed := &r.Attempts[0]
	failed.Outcome, failed.Status = function.Failed, 500
	failed.Failure = &function.Failure{Type: "Error", Message: fmt.Sprintf("order o-%d: the warehouse %d does not answer", i%100_000, c.random.IntN(8))}
	if r.Result, r.State = nil, function.RunRetrying; !dead {
		failed.Next = at.Add(time.Second)
	}
	if !dead {
		if err := c.tell(function.TopicRuns, event.TypeAttemptFailed, r.ID, "", at, r); err != nil {
			return err
		}
		c.use(name, at, took)
		succeeded.Number, succeeded.ID = 2, c.id()
		r.State, r.Attempts, r.Result = function.RunSucceeded, []function.Attempt{succeeded}, json.RawMessage(`{"ok":true}`)
		return c.tell(function.TopicRuns, event.TypeRunFinished, r.ID, "", at.Add(c.step/2), r)
	}
	r.State, r.Reason = function.RunDead, "it may not be tried again"
	if err := c.tell(function.TopicRuns, event.TypeRunFinished, r.ID, r.ID, at, r); err != nil {
		return err
	}
	text, err := json.Marshal(&event.Event{ID: r.Event.ID, Source: "/bench", Type: r.Event.Type, Time: at, DataContentType: "application/json", Data: fmt.Appendf(nil, `{"order":%d}`, i)})
	if err != nil {
		return err
	}
	return c.tell(function.TopicDead, event.TypeDeadLetterCreated, r.ID, "", at, function.DeadLetter{Run: r, Event: text, Appended: at})
}

func (c *chapter) event(fn, i int) function.EventRef {
	subject := fmt.Sprint("o-", i%100_000)
	return function.EventRef{
		Topic: function.TopicEvents, Partition: int32(i % 8), Offset: int64(i / 8), ID: c.id(), Type: fmt.Sprintf("bench.0.%d", fn), Source: "/bench", Subject: subject, Key: subject,
	}
}

func (c *chapter) use(fn string, at time.Time, took time.Duration) {
	c.used = append(c.used, function.Usage{
		Hour: at.Truncate(time.Hour), Function: fn, Used: function.Used{Invocations: 1, Millis: took.Milliseconds(), MiBMillis: took.Milliseconds() * monthMiB},
	})
}

// id is a UUID as dispatch makes them: one that says nothing of its time.
func (c *chapter) id() string {
	a, b := c.random.Uint64(), c.random.Uint64()
	return fmt.Sprintf("%08x-%04x-8%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func (c *chapter) tell(topic, typ, subject, alone string, at time.Time, data any) error {
	r, err := monthRecord(topic, typ, subject, at, data)
	c.records, c.alone = append(c.records, r), append(c.alone, alone)
	return err
}

func monthRecord(topic, typ, subject string, at time.Time, data any) (eventlog.Record, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return eventlog.Record{}, err
	}
	sum := sha256.Sum256(text)
	r := eventlog.FromEvent(topic, &event.Event{
		ID: fmt.Sprintf("%x", sum[:16]), Source: "/dalamb/dispatch", Type: typ, Subject: subject, Time: at, DataContentType: "application/json", Data: text,
	})
	r.Partition, r.Time = eventlog.AnyPartition, at
	return r, nil
}
