package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// reporter is what the harness needs of a *testing.T, a *testing.B or a *rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// world is a log with a catalog, and the nodes that work on it.
type world struct {
	t     reporter
	disk  eventlog.Log // the engine
	log   eventlog.Log // what nodes are given; the engine unless a test wraps it
	cat   *catalog.Catalog
	o     Options // of new nodes
	stop  context.CancelFunc
	done  sync.WaitGroup
	nodes []*node
	read  [2]int64 // of the runs' partitions
	told  map[string]function.Run
	over  int // of told, the runs that are over
}

// setting of a world.
type setting struct {
	partitions int32  // of topic events
	dir        string // "" = in memory
	wrap       func(eventlog.Log) eventlog.Log
	now        func() time.Time // of the log
	oneNode    bool             // only on an engine where the newest node owns everything, so that older ones are as good as killed
	options    Options
}

func newWorld(t reporter, s setting) *world {
	t.Helper()
	if s.partitions == 0 {
		s.partitions = 2
	}
	l, err := enginetest.Open(enginetest.Options{Dir: s.dir, Now: s.now, OneNode: s.oneNode})
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	w := &world{t: t, told: map[string]function.Run{}, disk: l, log: l, o: s.options}
	if s.wrap != nil {
		w.log = s.wrap(l)
	}
	for _, topic := range []eventlog.Topic{
		{Name: function.TopicControl, Partitions: 1},
		{Name: function.TopicProgress, Partitions: max(2, s.partitions), Compact: true},
		{Name: function.TopicDelayed, Partitions: max(2, s.partitions), Compact: true},
		{Name: function.TopicRuns, Partitions: 2},
		{Name: function.TopicInvoke, Partitions: 2},
		{Name: function.TopicReplays, Partitions: 2},
		{Name: function.TopicJobs, Partitions: 2},
		{Name: function.TopicDead, Partitions: 2, Compact: true},
		{Name: function.TopicEvents, Partitions: s.partitions},
		{Name: "out", Partitions: 2},
	} {
		if err := l.CreateTopic(context.Background(), topic); err != nil {
			t.Fatalf("create topic %s: %v", topic.Name, err)
		}
	}
	if w.cat, err = catalog.New(catalog.Options{Log: l}); err != nil {
		t.Fatalf("catalog: %v", err)
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	w.done.Go(func() {
		if err := w.cat.Run(ctx); err != nil {
			t.Logf("catalog: %v", err)
		}
	})
	return w
}

// close stops everything, newest node first, so that older ones are found fenced.
func (w *world) close() {
	for i := len(w.nodes) - 1; i >= 0; i-- {
		w.nodes[i].quit()
	}
	w.stop()
	w.done.Wait()
	if err := w.disk.Close(); err != nil {
		w.t.Logf("close log: %v", err)
	}
}

// deploy makes a version of a function with these triggers.
func (w *world) deploy(name string, triggers ...function.Trigger) {
	w.t.Helper()
	w.deployMax(name, 16, triggers...)
}

func (w *world) deployMax(name string, most int, triggers ...function.Trigger) {
	w.t.Helper()
	for i := range triggers {
		t := &triggers[i]
		if t.Topic == "" {
			t.Topic = function.TopicEvents
		}
		if t.Order == "" {
			t.Order = function.OrderKey
		}
		if t.Retry.Attempts == 0 {
			t.Retry = function.Retry{Attempts: 4, Initial: function.Duration(time.Millisecond), Max: function.Duration(4 * time.Millisecond), Factor: 2}
		}
	}
	spec := function.Spec{Name: name, Scale: function.Scale{Max: most}, Triggers: triggers}
	w.change(catalog.Deploy{Version: function.Version{Spec: spec}})
}

func (w *world) change(c catalog.Change) {
	w.t.Helper()
	if _, err := w.cat.Submit(context.Background(), c); err != nil {
		w.t.Fatalf("change the catalog: %v", err)
	}
}

// append puts events in a topic, in one call.
func (w *world) append(topic string, es ...*event.Event) []eventlog.Position {
	w.t.Helper()
	rs := make([]eventlog.Record, len(es))
	for i, e := range es {
		rs[i] = eventlog.FromEvent(topic, e)
	}
	ps, err := w.disk.Append(context.Background(), rs)
	if err != nil {
		w.t.Fatalf("append to %s: %v", topic, err)
	}
	return ps
}

// newEvent makes the event n of a key.
func newEvent(id, typ, key string) *event.Event {
	e := &event.Event{ID: id, Source: "/test", Type: typ, Subject: key, DataContentType: "application/json"}
	e.Data = fmt.Appendf(nil, `{"id":%q}`, id)
	return e
}

// node is a dispatcher that runs.
type node struct {
	t    reporter
	d    *Dispatcher
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// node starts a dispatcher. One that ran before is fenced by it.
func (w *world) node(i Invoker) *node { return w.nodeWith(i, func(*Dispatcher) {}) }

// nodeWith starts a dispatcher that has been changed a little.
func (w *world) nodeWith(i Invoker, change func(d *Dispatcher)) *node {
	w.t.Helper()
	o := w.o
	o.Log, o.Catalog, o.Invoker = w.log, w.cat, i
	if o.Drain == 0 {
		o.Drain = 10 * time.Second
	}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(logWriter{w.t}, nil))
	}
	d, err := New(o)
	if err != nil {
		w.t.Fatalf("New = %v", err)
	}
	change(d)
	n := &node{t: w.t, d: d, done: make(chan struct{})}
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	go func() {
		defer close(n.done)
		n.err = d.Run(ctx)
	}()
	w.nodes = append(w.nodes, n)
	return n
}

type logWriter struct{ t reporter }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// quit stops a node in order.
func (n *node) quit() {
	n.stop()
	<-n.done
	if n.err != nil && !errors.Is(n.err, eventlog.ErrFenced) {
		n.t.Errorf("Run = %v", n.err)
	}
}

// play is an Invoker that does what a function says.
type play func(ctx context.Context, c fleet.Call) (*function.Result, error)

func (f play) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) { return f(ctx, c) }

func succeed(events ...*event.Event) *function.Result {
	return &function.Result{Outcome: function.Succeeded, Version: 1, Status: 200, Events: events, Start: time.Now()}
}

func fail(message string) *function.Result {
	return &function.Result{
		Outcome: function.Failed, Version: 1, Status: 200, Start: time.Now(),
		Failure: &function.Failure{Type: "Error", Message: message},
	}
}

// patience is how long a test waits for anything: under the race detector, on a machine that has other tests to run, much takes its time.
const patience = 3 * time.Minute

// await waits until a condition holds.
func (w *world) await(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// records reads a whole topic.
func (w *world) records(topic string) []eventlog.Record {
	w.t.Helper()
	ctx := context.Background()
	var all []eventlog.Record
	topics, err := w.disk.Topics(ctx)
	if err != nil {
		w.t.Fatalf("list topics: %v", err)
	}
	for _, tp := range topics {
		for id := range tp.Partitions {
			if tp.Name != topic {
				continue
			}
			for from := int64(0); ; {
				rs, err := w.disk.Read(ctx, eventlog.Partition{Topic: topic, ID: id}, from, eventlog.ReadOptions{NoWait: true})
				if err != nil {
					w.t.Fatalf("read %s: %v", topic, err)
				}
				if len(rs) == 0 {
					break
				}
				all = append(all, rs...)
				from = rs[len(rs)-1].Offset + 1
			}
		}
	}
	return all
}

// runs reads the newest word on each run. It reads on from where it was the last time.
func (w *world) runs() map[string]function.Run {
	w.t.Helper()
	for id := range int32(2) {
		for {
			p := eventlog.Partition{Topic: function.TopicRuns, ID: id}
			rs, err := w.disk.Read(context.Background(), p, w.read[id], eventlog.ReadOptions{NoWait: true})
			if err != nil {
				w.t.Fatalf("read runs: %v", err)
			}
			if len(rs) == 0 {
				break
			}
			w.read[id] = rs[len(rs)-1].Offset + 1
			for _, r := range rs {
				w.note(r)
			}
		}
	}
	return w.told
}

func (w *world) note(r eventlog.Record) {
	e, err := eventlog.ToEvent(r)
	if err != nil {
		w.t.Fatalf("read a run: %v", err)
	}
	if e.Type != event.TypeRunFinished && e.Type != event.TypeAttemptFailed && e.Type != event.TypeBatchFinished {
		return
	}
	for _, run := range w.runsIn(e) {
		w.noteRun(run)
	}
}

// runsIn reads the runs that an event of _dalamb.runs tells of.
func (w *world) runsIn(e *event.Event) []function.Run {
	var all function.RunBatch
	into := any(&all)
	if e.Type != event.TypeBatchFinished {
		into = &all.Run
	}
	if err := json.Unmarshal(e.Data, into); err != nil {
		w.t.Fatalf("decode a run: %v", err)
	}
	return all.Runs()
}

func (w *world) noteRun(run function.Run) {
	if old, ok := w.told[run.ID]; !ok || old.State == function.RunRetrying {
		if run.State != function.RunRetrying {
			w.over++
		}
	}
	w.told[run.ID] = run
}

// finished lists the runs that are over.
func (w *world) finished() []function.Run {
	var over []function.Run
	for _, run := range w.runs() {
		if run.State != function.RunRetrying {
			over = append(over, run)
		}
	}
	return over
}

func (w *world) awaitFinished(n int) []function.Run {
	w.t.Helper()
	w.await(fmt.Sprintf("%d runs to finish", n), func() bool {
		w.runs()
		return w.over >= n
	})
	return w.finished()
}

// dead reads the dead letters that there are.
func (w *world) dead() map[string]function.DeadLetter {
	w.t.Helper()
	all := map[string]function.DeadLetter{}
	for _, r := range w.records(function.TopicDead) {
		if r.Value == nil {
			delete(all, string(r.Key))
			continue
		}
		var dl function.DeadLetter
		if err := json.Unmarshal(r.Value, &dl); err != nil {
			w.t.Fatalf("decode a dead letter: %v", err)
		}
		if dl.Run.ID != string(r.Key) {
			w.t.Fatalf("dead letter %s stands under key %s", dl.Run.ID, r.Key)
		}
		all[dl.Run.ID] = dl
	}
	return all
}

// brittle is a log whose commits fail now and then: before or after they were stored.
type brittle struct {
	eventlog.Log
	fail func() (before, after bool)
}

func (l brittle) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := l.Log.Join(ctx, o)
	return brittleMember{m, l.fail}, err
}

type brittleMember struct {
	eventlog.Member
	fail func() (before, after bool)
}

func (m brittleMember) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	before, after := m.fail()
	if before {
		return nil, unavailable()
	}
	ps, err := m.Member.Commit(ctx, t)
	if err == nil && after {
		return nil, unavailable()
	}
	return ps, err
}

// checks makes rapid try a property n times, unless the command line says how often.
func checks(t *testing.T, n int) {
	t.Helper()
	const name = "rapid.checks"
	f := flag.Lookup(name)
	if f.Value.String() != f.DefValue {
		return
	}
	if err := flag.Set(name, strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(name, f.DefValue); err != nil {
			t.Fatal(err)
		}
	})
}

// brittleEvery wraps a log whose every so many-th commit fails: before it was stored, or after.
func brittleEvery(n *atomic.Int32, every int) func(eventlog.Log) eventlog.Log {
	return func(l eventlog.Log) eventlog.Log {
		return brittle{l, func() (before, after bool) {
			k := int(n.Add(1))
			return k%every == 0, k%(every+2) == 0
		}}
	}
}
