// Package fleet owns instances: it picks a version by its alias, finds or starts an instance of it, queues, scales and
// drains. It does not speak to functions (entry does) and does not retry what a function did (dispatch does).
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/tracing"
)

// Functions is the catalog, as fleet sees it.
type Functions interface {
	// Version is the version that an alias runs for a ticket; see function.Ticket.
	Version(fn, alias string, ticket uint64) (*function.Version, error)
	VersionNumber(fn string, n int) (*function.Version, error)
	// Wanted are the versions that an alias points at; others drain. changed is closed when there may be other ones.
	Wanted() (versions []*function.Version, changed <-chan struct{})
	// Prepared are those of which instances are kept for a roll-out, or because somebody said so. Of one that is not wanted these alone are kept, whatever
	// its manifest says.
	Prepared() []Prepared
}

// Starter makes instances; it is an *entry.Entries.
type Starter interface {
	Start(ctx context.Context, s entry.Start) (entry.Conn, error)
}

// Options of New. Functions, Code and one of Runner and Starter are required.
type Options struct {
	Runner       runner.Runner
	Starter      Starter // nil = entry on Runner
	Functions    Functions
	Code         func(digest string) (dir string, err error)
	Image        func(*function.Image) (layers []string, err error) // nil = there are no images
	Values       Values                                             // nil = no version takes any
	Log          func(function.LogLine)                             // what functions print; must not block
	Replaced     func(Replacement)                                  // gets each replacement; must not block; nil = nobody does
	Calls        Calls                                              // nil = functions reach no others
	Quota        func(environment string) function.Quota            // as it is now; must not block; nil = there are none
	Region       string                                             // what lambda functions are told; default us-east-1
	Logger       *slog.Logger
	Metrics      prometheus.Registerer
	Tracer       *tracing.Tracer // nil = nothing is traced
	Now          func() time.Time
	Rand         func() uint64 // tickets of calls without a key
	MaxAnswer    int64         // of a function that is collected, in bytes; default 6 MiB
	MaxInstances int           // of all versions together; default 256
	MaxStarts    int           // that are made at a time; default twice the CPUs, at least 4
	MaxQueue     int           // calls that wait for one version; default 10000
}

// Fleet runs invocations on instances. Safe for concurrent use.
type Fleet struct {
	o       Options
	metrics *metrics
	lives   sync.WaitGroup // one goroutine per instance

	mu       sync.Mutex
	pools    map[poolKey]*pool
	wanted   map[poolKey]bool         // nil until Run has looked
	shares   map[string]*share        // by function
	spent    map[string]time.Duration // by function, of the CPU, by instances that are gone
	tenants  map[string]*tenant       // by environment
	keepers  []*share                 // those with a reservation
	starts   starts
	untold   []Replacement // that Options.Replaced has to get
	total    int           // instances of all pools, the stopping ones included
	stopping int
	pledged  int  // instances that will stop, for another function, when their calls have ended
	starved  bool // an instance is wanted, and the node's bounds are in its way
	calls    int
	draining bool
	drained  chan struct{} // closed when draining and calls is 0
	closed   bool
	wakeAt   time.Time     // of the next sweep; zero = none
	earlier  chan struct{} // closed when wakeAt has become earlier
}

// New checks the options and starts nothing.
func New(o Options) (*Fleet, error) {
	if o.Functions == nil || o.Code == nil {
		return nil, errors.New("fleet needs Functions and Code")
	}
	if o.Image == nil {
		o.Image = func(i *function.Image) ([]string, error) {
			return nil, fault.New(fault.Unavailable, "this node has no images, and so not %s", i.Reference)
		}
	}
	if o.Values == nil {
		o.Values = noValues{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Starter == nil {
		entries, err := entry.New(entry.Options{Runner: o.Runner, Log: o.Log, Region: o.Region, MaxAnswer: o.MaxAnswer, Now: o.Now})
		if err != nil {
			return nil, fmt.Errorf("make fleet: %w", err)
		}
		o.Starter = entries
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	if o.MaxInstances == 0 {
		o.MaxInstances = 256
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = 10000
	}
	f := &Fleet{o: o, pools: make(map[poolKey]*pool), shares: make(map[string]*share), tenants: make(map[string]*tenant), spent: make(map[string]time.Duration), starts: newStarts(o.MaxStarts), drained: make(chan struct{}), earlier: make(chan struct{})}
	m, err := newMetrics(o.Metrics, f)
	if err != nil {
		return nil, fmt.Errorf("make fleet: %w", err)
	}
	f.metrics = m
	return f, nil
}

// Invoke runs one invocation and blocks until it has a result. ctx bounds the wait for an instance; what a function has
// begun runs to its end, its time-out or the call's Kill. An error means that dalamb failed: NotFound, Exhausted (no instance in time, too many
// calls), Unavailable (stopping, or killed), Invalid or TooLarge (a request's body), Internal. What the function did, a failed start included, is the result.
func (f *Fleet) Invoke(ctx context.Context, c Call) (*function.Result, error) {
	v, err := f.version(c)
	if err != nil {
		return nil, err
	}
	if err := f.enter(len(c.Invocation.Chain.Waiting) > 0); err != nil {
		return nil, err
	}
	defer f.leave()
	inv := c.Invocation
	if inv.ID == "" {
		inv.ID = event.NewID()
	}
	span := f.span(v, inv)
	r, err := f.invoke(ctx, v, c, span)
	endSpan(span, r, err)
	return r, err
}

// invoke runs an invocation of a version that is known.
func (f *Fleet) invoke(ctx context.Context, v *function.Version, c Call, span *tracing.Span) (*function.Result, error) {
	inv := c.Invocation
	if inv.Request != nil {
		if err := entry.Admit(v, inv.Request); err != nil {
			return nil, err
		}
	}
	for {
		asked := f.o.Now()
		g := f.acquire(ctx, v, c)
		f.waited(span, asked, g)
		if g.instance == nil {
			if g.result != nil {
				g.result.Version, g.result.Start = v.Number, f.o.Now()
				f.metrics.invoked(v, g.result, span)
			}
			return g.result, g.err
		}
		r, err := f.run(ctx, g, c)
		if !f.rests(g.instance, r, err) {
			if lost := f.release(g.instance, r, err); lost != nil {
				r, err = lost, nil
			}
		}
		switch {
		case errors.Is(err, entry.ErrUndelivered), err == errNotThawed:
			continue // it ended while it was idle: another one takes it
		case err != nil:
			return nil, fmt.Errorf("invoke %s: %w", v.Function(), err)
		}
		r.Version, r.Instance = v.Number, g.instance.id
		r.Cold = g.cold || v.Spec.Entry.Once()
		if g.cold {
			r.Init = g.instance.started.Sub(g.instance.created)
		}
		f.metrics.invoked(v, r, span)
		return r, nil
	}
}

// run runs a call on an instance that has room for it, and kills the instance when the call is to end before.
func (f *Fleet) run(ctx context.Context, g grant, c Call) (*function.Result, error) {
	i := g.instance
	if g.thaw {
		if err := f.thaw(i); err != nil {
			f.o.Logger.Warn("function not thawed; another instance takes its call", "function", i.pool.version.Function(),
				"version", i.pool.version.Number, "instance", i.id, "err", err)
			return nil, errNotThawed
		}
	}
	i.underway.begin(c.Invocation)
	defer i.underway.end(c.Invocation)
	if c.Kill == nil {
		return i.conn.Invoke(ctx, c.Invocation)
	}
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-c.Kill:
			f.mu.Lock()
			f.retire(i, 0)
			f.mu.Unlock()
		case <-over:
		}
	})
	r, err := i.conn.Invoke(ctx, c.Invocation)
	close(over)
	watch.Wait()
	return r, err
}

func (f *Fleet) version(c Call) (*function.Version, error) {
	if c.Version != 0 {
		return f.o.Functions.VersionNumber(c.Function, c.Version)
	}
	alias := c.Alias
	if alias == "" {
		alias = function.LiveAlias
	}
	ticket := f.o.Rand
	if c.Key != "" {
		ticket = func() uint64 { return function.Ticket(c.Function, c.Key) }
	}
	return f.o.Functions.Version(c.Function, alias, ticket())
}

// errNotThawed says that an instance could not take a call because it stayed frozen.
var errNotThawed = errors.New("the instance does not thaw")

func errStopping() error {
	return fault.New(fault.Unavailable, "the node is stopping and takes no more calls").WithHint("try again when it is up, or another node")
}

func errKilled(v *function.Version) error {
	return fault.New(fault.Unavailable, "the call of %s was given up by the node", v.Function()).WithHint("it is made again")
}

// enter counts a call. One that a function waits for is a part of what runs, and runs to its end like that.
func (f *Fleet) enter(inner bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.draining && (!inner || f.calls == 0) || f.closed {
		return errStopping()
	}
	f.calls++
	return nil
}

func (f *Fleet) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls--
	if f.draining && f.calls == 0 {
		close(f.drained)
	}
}

// Run keeps versions' minimum of instances warm, stops idle ones and those of versions that nobody wants any more, and
// blocks until ctx ends; then it stops all instances, also those that run something, and waits for them.
func (f *Fleet) Run(ctx context.Context) error {
	defer f.shutdown()
	for {
		versions, changed := f.o.Functions.Wanted()
		f.want(versions, f.o.Functions.Prepared())
		if done := f.sweepUntil(ctx, changed); done {
			return nil
		}
	}
}

// sweepUntil sweeps when it is due, until the wanted versions change or ctx ends.
func (f *Fleet) sweepUntil(ctx context.Context, changed <-chan struct{}) (done bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, earlier := f.sweep()
		if next > 0 {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return true
		case <-changed:
			return false
		case <-earlier:
		case <-timer.C:
		}
	}
}

// Drain takes no more calls, stops what is idle and blocks until the accepted calls have their results or ctx ends; then the
// error says how many are left. Run goes on until its own end.
func (f *Fleet) Drain(ctx context.Context) error {
	f.mu.Lock()
	if !f.draining {
		f.draining = true
		if f.calls == 0 {
			close(f.drained)
		}
		for _, p := range f.pools {
			f.retireIdle(p)
		}
	}
	f.mu.Unlock()
	select {
	case <-f.drained:
		return nil
	case <-ctx.Done():
		f.mu.Lock()
		left := f.calls
		f.mu.Unlock()
		if left == 0 {
			return nil // the drain time was over before it was asked for
		}
		return fault.New(fault.Timeout, "drain functions: %d calls still run: %w", left, ctx.Err())
	}
}

// shutdown stops everything and waits.
func (f *Fleet) shutdown() {
	f.mu.Lock()
	f.closed = true
	for _, p := range f.pools {
		f.flush(p, grant{err: errStopping()})
		for _, i := range p.instances {
			f.retire(i, stopGrace)
		}
	}
	f.mu.Unlock()
	f.lives.Wait()
}

// Instance is what people are told about an instance.
type Instance struct {
	ID       string
	Function string
	Version  int
	State    State
	Started  time.Time
	Runs     int64
	MemoryKB int64 // peak; 0 = not known
	CPU      time.Duration
	Outdated bool // what it takes has changed since it was started
}

// Instances lists what there is, by function, version and id.
func (f *Fleet) Instances() []Instance {
	now := f.o.Now()
	f.mu.Lock()
	var out []Instance
	var conns []entry.Conn
	for _, p := range f.pools {
		values := f.o.Values.Offset(p.version)
		for _, i := range p.instances {
			out = append(out, Instance{
				ID: i.id, Function: p.version.Function(), Version: p.version.Number,
				State: i.state(now), Started: i.started, Runs: i.runs, Outdated: i.values < values && !i.started.IsZero(),
			})
			conns = append(conns, i.conn)
		}
	}
	f.mu.Unlock()
	for n, c := range conns {
		if c != nil {
			u := c.Usage()
			out[n].MemoryKB, out[n].CPU = u.MemoryPeak>>10, u.CPU
		}
	}
	sortBy(out, func(i Instance) (string, int, string) { return i.Function, i.Version, i.ID })
	return out
}

// Counts is how many instances each function has. Unlike Instances it asks no sandbox what it has used.
func (f *Fleet) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[string]int{}
	for _, p := range f.pools {
		if n := len(p.instances); n > 0 {
			counts[p.version.Function()] += n
		}
	}
	return counts
}

// Running lists the versions that have instances, in no particular order: those that are let go while a call of theirs runs too.
func (f *Fleet) Running() []*function.Version {
	f.mu.Lock()
	defer f.mu.Unlock()
	var vs []*function.Version
	for _, p := range f.pools {
		if len(p.instances) > 0 {
			vs = append(vs, p.version)
		}
	}
	return vs
}

// sortBy sorts by function, version and instance.
func sortBy[T any](list []T, key func(T) (string, int, string)) {
	slices.SortFunc(list, func(a, b T) int {
		fa, va, ia := key(a)
		fb, vb, ib := key(b)
		return cmp.Or(strings.Compare(fa, fb), cmp.Compare(va, vb), strings.Compare(ia, ib))
	})
}
