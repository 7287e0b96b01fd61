package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// Options of New. All but Logger and Every are required.
type Options struct {
	Log     eventlog.Log
	Catalog *catalog.Catalog // which somebody runs
	History *history.History // which somebody runs
	// Owns says whether this node works on a partition: of all nodes the one that owns a replay's first partition ends it.
	Owns   func(eventlog.Partition) bool
	Logger *slog.Logger
	Every  time.Duration // how often it is looked whether a replay can be ended, and whether its topic is still there; 0 = a second
}

// Keeper follows the replays that are under way. Safe for concurrent use.
type Keeper struct {
	o        Options
	comparer comparer

	mu     sync.Mutex
	follow map[string]*follower // by the replay's name
}

// follower keeps the report of one replay.
type follower struct {
	replay *catalog.Replay
	tally  *tally
	stop   context.CancelFunc
}

// New checks the options; Run starts.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.Catalog == nil || o.History == nil || o.Owns == nil {
		return nil, errors.New("replay needs a log, a catalog, a history and who owns partitions")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	return &Keeper{o: o, comparer: comparer{o.Log, o.History}, follow: map[string]*follower{}}, nil
}

// Run follows what there is to follow until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	var followers sync.WaitGroup
	defer followers.Wait()
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		changed := k.o.Catalog.Changed()
		active := map[string]*catalog.Replay{}
		for _, r := range k.o.Catalog.View().Replays() {
			if r.Ended == nil {
				active[r.Name] = r
			}
		}
		k.settle(ctx, active, &followers)
		for stale := false; !stale; {
			select {
			case <-changed:
				stale = true
			case <-tick.C:
				k.endOrphans(ctx, active)
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// settle starts and stops followers, so that there is one for each replay that is under way.
func (k *Keeper) settle(ctx context.Context, active map[string]*catalog.Replay, followers *sync.WaitGroup) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, f := range k.follow {
		if r := active[name]; r == nil || r.Own.UID != f.replay.Own.UID {
			f.stop()
			delete(k.follow, name)
		}
	}
	for name, r := range active {
		if k.follow[name] != nil {
			continue
		}
		f := &follower{replay: r, tally: newTally()}
		var own context.Context
		own, f.stop = context.WithCancel(ctx)
		k.follow[name] = f
		followers.Go(func() { k.run(own, f) })
	}
}

// run reads a replay's story until the replay is over and somebody has ended it.
func (k *Keeper) run(ctx context.Context, f *follower) {
	for ctx.Err() == nil {
		err := k.tell(ctx, f)
		if err == nil || ctx.Err() != nil {
			return
		}
		k.o.Logger.Warn("a replay's report waits for the log", "replay", f.replay.Name, "err", err)
		f.tally.reset()
		wait(ctx, k.o.Every)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (k *Keeper) tell(ctx context.Context, f *follower) error {
	if err := k.o.History.CatchUp(ctx); err != nil {
		return err
	}
	topics, err := k.o.Log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	var story eventlog.Partition
	for _, t := range topics {
		if t.Name == function.TopicReplays {
			story = catalog.StoryOf(f.replay.Name, t.Partitions)
		}
	}
	var partitions []int32
	for id, end := range f.replay.End {
		if f.replay.Own.Start[id] < end {
			partitions = append(partitions, id)
		}
	}
	for from := f.replay.Story; !f.tally.over(partitions); {
		rs, err := k.o.Log.Read(ctx, story, from, eventlog.ReadOptions{})
		if err != nil {
			return fmt.Errorf("read %s: %w", story.Topic, err)
		}
		for _, r := range rs {
			from = r.Offset + 1
			if err := k.take(ctx, f, r); err != nil {
				return err
			}
		}
	}
	return k.finish(ctx, f)
}

// take counts one record of a story, which may be another replay's.
func (k *Keeper) take(ctx context.Context, f *follower, r eventlog.Record) error {
	e, err := eventlog.ToEvent(r)
	if err != nil || e.Subject != f.replay.Name {
		return nil
	}
	switch e.Type {
	case event.TypeReplayPartitionFinished:
		var p function.ReplayedPartition
		if json.Unmarshal(e.Data, &p) == nil {
			f.tally.finish(p.Partition)
		}
	case event.TypeReplayRunFinished:
		var run function.ReplayedRun
		if err := json.Unmarshal(e.Data, &run); err != nil {
			k.o.Logger.Warn("a replayed run cannot be read", "replay", f.replay.Name, "offset", r.Offset, "err", err)
			return nil
		}
		v, err := k.comparer.judge(ctx, &run, f.replay.Own.Batch != nil)
		if err != nil {
			return err
		}
		var difference *function.ReplayDifference
		if v.kind != "" && f.tally.wantsDifference() {
			d, err := k.comparer.difference(ctx, v, &run)
			if err != nil {
				return err
			}
			difference = &d
		}
		f.tally.add(&run, v, difference)
	}
	return nil
}

// finish ends a replay of which nothing is left to do, on the node that owns its first partition.
func (k *Keeper) finish(ctx context.Context, f *follower) error {
	first := eventlog.Partition{Topic: f.replay.Topic}
	for ctx.Err() == nil {
		if k.o.Owns(first) {
			err := k.end(ctx, f.replay.Name, function.ReplayFinished)
			if err == nil || fault.KindOf(err) == fault.NotFound {
				return nil
			}
			k.o.Logger.Warn("end a replay", "replay", f.replay.Name, "err", err)
		}
		wait(ctx, k.o.Every)
	}
	return nil
}

// Tries to change the catalog when others change the same function at the same time.
const endTries = 5

// end puts a replay's report and end into the control log.
func (k *Keeper) end(ctx context.Context, name, state string) error {
	report, err := json.Marshal(k.show(name))
	if err != nil {
		return fmt.Errorf("encode the report of %s: %w", name, err)
	}
	for n := 1; ; n++ {
		_, err := k.o.Catalog.Submit(ctx, catalog.EndReplay{Name: name, State: state, Report: report})
		if err == nil || fault.KindOf(err) != fault.Conflict || n == endTries {
			return err
		}
	}
}

// endOrphans ends replays whose topic is gone; another of the same name holds other events.
func (k *Keeper) endOrphans(ctx context.Context, active map[string]*catalog.Replay) {
	if len(active) == 0 {
		return
	}
	topics, err := k.o.Log.Topics(ctx)
	if err != nil {
		return // whoever follows says so
	}
	ids := map[string]string{}
	for _, t := range topics {
		ids[t.Name] = t.ID
	}
	for name, r := range active {
		if ids[r.Topic] == r.TopicID {
			continue
		}
		k.o.Logger.Warn("a replay ends because its topic is gone", "replay", name, "topic", r.Topic)
		if err := k.end(ctx, name, function.ReplayFailed); err != nil && fault.KindOf(err) != fault.NotFound {
			k.o.Logger.Warn("end a replay", "replay", name, "err", err)
		}
	}
}

// Cancel ends a replay before it is over. What is under way is finished; its report stays as it is now.
func (k *Keeper) Cancel(ctx context.Context, name string) error {
	return k.end(ctx, name, function.ReplayCancelled)
}

func (k *Keeper) show(name string) function.ReplayReport {
	k.mu.Lock()
	f := k.follow[name]
	k.mu.Unlock()
	if f == nil {
		return function.ReplayReport{Differences: []function.ReplayDifference{}}
	}
	return f.tally.show()
}

// Report is what is known of a replay: as it stands while it is under way, and for good when it is over.
func (k *Keeper) Report(r *catalog.Replay) (function.ReplayReport, error) {
	if r.Ended == nil {
		return k.show(r.Name), nil
	}
	report := function.ReplayReport{Differences: []function.ReplayDifference{}}
	if len(r.Ended.Report) > 0 {
		if err := json.Unmarshal(r.Ended.Report, &report); err != nil {
			return report, fmt.Errorf("decode the report of %s: %w", r.Name, err)
		}
	}
	return report, nil
}
