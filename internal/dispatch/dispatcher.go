package dispatch

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// Options of New. Log, Catalog and Invoker are required.
type Options struct {
	Log     eventlog.Log
	Catalog *catalog.Catalog // which somebody runs
	Invoker Invoker          // the fleet
	Shadow  Shadow           // nil = nothing is copied
	Cancels Cancels          // nil = nothing is cancelled
	Bodies  Bodies           // nil = none is kept
	Quotas  Quotas           // of environments; nil = there are none
	// Forgotten says whether the data is gone that a seal (event.Event.Seal) stands for; nil = of none. Must not block.
	Forgotten func(seal string) bool
	Duties    []Duty // of other rooms

	Group      string        // ownership group; "" = "dalamb"
	Drain      time.Duration // how long a stop lets attempts finish; 0 = 30 s
	MaxHeld    int64         // bytes of pending events in memory, on this node; 0 = 128 MiB
	EventLimit int           // bytes of one emitted event; 0 = 1 MiB

	Now     func() time.Time
	Rand    func() float64 // in [0,1), for jitter; safe for concurrent use
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil = counted, not shown
	Tracer  *tracing.Tracer       // nil = nothing is traced
}

// Dispatcher is one node's part in running what the log asks for. Safe for concurrent use.
type Dispatcher struct {
	log      eventlog.Log
	catalog  *catalog.Catalog
	group    string
	drain    time.Duration
	logger   *slog.Logger
	metrics  *metrics
	stages   stages
	ending   stages // those of an outcome that is known
	topics   *topics
	progress *progressLog
	now      func() time.Time
	seed     maphash.Seed
	window   int           // see laneWindow
	parked   int           // see laneParked
	dedupe   int           // see dedupeMost
	stale    int           // see staleKeys
	shown    time.Duration // see mirrorEvery
	duties   []Duty

	elsewhere elsewhere

	quotas Quotas
	budget budget
	gates  gates
	fleet  Expecter // nil = it starts nothing ahead
	solo   *gate    // for runs that were under way when a node died
	plans  atomic.Pointer[plan]
	sought chan struct{} // holds a token when a trigger has been sought
	calmed chan struct{} // holds a token when a partition that no trigger wants may have become calm

	mu         sync.Mutex
	membership eventlog.Member
	partitions map[eventlog.Partition]*partition
	jobs       map[eventlog.Partition]*jobs
	watches    map[eventlog.Partition][]*watch
}

// New checks the options; Run starts.
func New(o Options) (*Dispatcher, error) {
	if o.Log == nil || o.Catalog == nil || o.Invoker == nil {
		return nil, errors.New("dispatch needs a log, a catalog and an invoker")
	}
	if o.Group == "" {
		o.Group = "dalamb"
	}
	if o.Cancels == nil {
		o.Cancels = noCancels{}
	}
	if o.Quotas == nil {
		o.Quotas = noQuotas{}
	}
	if o.Bodies == nil {
		o.Bodies = noBodies{}
	}
	if o.Drain <= 0 {
		o.Drain = 30 * time.Second
	}
	if o.MaxHeld <= 0 {
		o.MaxHeld = 128 << 20
	}
	if o.EventLimit <= 0 {
		o.EventLimit = 1 << 20
	}
	if o.Forgotten == nil {
		o.Forgotten = func(string) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		log: o.Log, catalog: o.Catalog, group: o.Group, drain: o.Drain, logger: o.Logger, now: o.Now,
		seed: maphash.MakeSeed(), window: laneWindow, parked: laneParked, dedupe: dedupeMost, stale: staleKeys,
		quotas: o.Quotas, budget: budget{max: o.MaxHeld}, gates: gates{of: map[int64]*gate{}}, solo: newGate(1),
		shown: mirrorEvery, topics: &topics{log: o.Log}, progress: newProgressLog(o.Log), sought: make(chan struct{}, 1), calmed: make(chan struct{}, 1),
		elsewhere: elsewhere{read: map[int64]mirrored{}}, partitions: map[eventlog.Partition]*partition{}, jobs: map[eventlog.Partition]*jobs{},
		duties: o.Duties, watches: map[eventlog.Partition][]*watch{},
	}
	d.ending = stages{send{topics: d.topics, view: o.Catalog.View, limit: o.EventLimit, now: o.Now, quotas: o.Quotas}, record{now: o.Now}}
	d.stages = stages{
		fetch{log: o.Log, forgotten: o.Forgotten},
		unwrap{view: o.Catalog.View},
		stale{},
		guard{now: o.Now, loops: &loops{most: loopPasses}},
		invoke{invoker: o.Invoker, shadow: o.Shadow, view: o.Catalog.View, now: o.Now, cancels: o.Cancels, bodies: o.Bodies, tracer: o.Tracer},
		classify{now: o.Now, rand: o.Rand},
		emit{topics: d.topics, limit: o.EventLimit, now: o.Now, view: o.Catalog.View, quotas: o.Quotas, tracer: o.Tracer},
		publish{log: o.Log},
		d.ending,
	}
	d.fleet, _ = o.Invoker.(Expecter)
	d.plans.Store(newPlan(o.Catalog.View()))
	m, err := newMetrics(d, o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	d.metrics = m
	return d, nil
}

// Run joins the group and works on what it is given until ctx is done. Then it starts nothing more, waits for what runs, commits and
// leaves. The catalog must be running. An error is final: the log has failed, or ErrFenced, another node has taken the place of
// this one.
func (d *Dispatcher) Run(ctx context.Context) error {
	base, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	if err := d.patiently(ctx, func() error { return d.catalog.CatchUp(ctx) }); err != nil {
		return unlessDone(ctx, err)
	}
	d.plans.Store(newPlan(d.catalog.View()))
	var m eventlog.Member
	err := d.patiently(ctx, func() (err error) {
		m, err = d.log.Join(ctx, eventlog.JoinOptions{
			Group:    d.group,
			Assigned: func(_ context.Context, ps []eventlog.Partition) { d.assigned(base, ps) },
			Revoked:  d.revoked,
			Lost:     d.lost,
		})
		return err
	})
	if err != nil {
		return unlessDone(ctx, fmt.Errorf("join group %s: %w", d.group, err))
	}
	d.mu.Lock()
	d.membership = m
	d.mu.Unlock()

	var helpers sync.WaitGroup
	helpers.Go(func() { newMirror(d).run(ctx) })
	err = d.follow(ctx)
	helpers.Wait()

	leaving, cancel := context.WithTimeout(base, d.drain)
	defer cancel()
	if leaveErr := m.Leave(leaving); leaveErr != nil {
		err = errors.Join(err, fmt.Errorf("leave group %s: %w", d.group, leaveErr))
	}
	d.lost(d.assignedNow())
	return err
}

// follow keeps the partitions in line with the catalog until ctx is done.
func (d *Dispatcher) follow(ctx context.Context) error {
	var topics []string
	for {
		changed := d.catalog.Changed()
		pl := newPlan(d.catalog.View())
		if before := d.plans.Swap(pl); pl.sought > before.sought {
			select {
			case d.sought <- struct{}{}:
			default:
			}
		}
		d.gates.prune(pl.triggers)
		d.metrics.keep(pl)
		for _, p := range d.owned() {
			p.box.post(replan{plan: pl})
		}
		for stale := false; !stale; {
			if wanted := d.wanted(pl, topics); !slices.Equal(wanted, topics) {
				if err := d.patiently(ctx, func() error { return d.member().SetTopics(ctx, wanted) }); err != nil {
					return unlessDone(ctx, fmt.Errorf("share out partitions: %w", err))
				}
				topics = wanted
			}
			select {
			case <-changed:
				stale = true
			case <-d.calmed:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// wanted lists the topics to share out: those of the plan's triggers, and of those before them the ones where attempts are still
// under way. To leave those would hold up what else is to be shared out, because it waits for the attempts.
func (d *Dispatcher) wanted(pl *plan, before []string) []string {
	topics := append(pl.view.Topics(), function.TopicJobs)
	for _, duty := range d.duties {
		if name := duty.Topic(); !slices.Contains(topics, name) {
			topics = append(topics, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pl.replays)) {
		if !slices.Contains(topics, name) {
			topics = append(topics, name)
		}
	}
	busyTopics := map[string]bool{}
	for _, p := range d.owned() {
		if !p.calm(pl.view.Offset) {
			busyTopics[p.id.Topic] = true
		}
	}
	for _, name := range before {
		if busyTopics[name] && !slices.Contains(topics, name) {
			topics = append(topics, name)
		}
	}
	return topics
}

// calmDown says that a partition may have become calm.
func (d *Dispatcher) calmDown() {
	select {
	case d.calmed <- struct{}{}:
	default:
	}
}

// patiently repeats a call for as long as the log is merely not there just now.
func (d *Dispatcher) patiently(ctx context.Context, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		if err == nil || ctx.Err() != nil || !eventlog.Passing(err) {
			return err
		}
		if n == 0 {
			d.logger.Warn("dispatch waits for the log", "err", err)
		}
		if !pause(ctx, n) {
			return ctx.Err()
		}
	}
}

// unlessDone is err, or nil when ctx is done: to be stopped is no error.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *Dispatcher) member() eventlog.Member {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.membership
}

func (d *Dispatcher) plan() *plan { return d.plans.Load() }

func (d *Dispatcher) hash(key string) uint64 { return maphash.String(d.seed, key) }
