package dispatch

import (
	"context"
	"fmt"
	"strings"
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

// ledger counts which events ran on which function.
type ledger struct {
	mu   sync.Mutex
	runs map[string][]string // function -> event ids, in the order of their beginning
}

func (l *ledger) note(c fleet.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[string][]string{}
	}
	l.runs[c.Function] = append(l.runs[c.Function], c.Invocation.Event.ID)
}

func (l *ledger) of(fn string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.runs[fn]...)
}

func lagOf(d *Dispatcher, fn string) Lag {
	lags, _ := d.Lag()
	for _, l := range lags {
		if l.Function == fn && l.Trigger == "t" {
			return l
		}
	}
	return Lag{Behind: -1}
}

func TestAParkedKeyStopsNobody(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	parked := function.Retry{Attempts: 3, Initial: function.Duration(1000 * time.Hour), Max: function.Duration(1000 * time.Hour), Factor: 1}
	w.o.Rand = func() float64 { return 0.9 }
	w.deploy("f", function.Trigger{Name: "t", Retry: parked})
	var l ledger
	n := w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		l.note(c)
		if c.Invocation.Event.Subject == "bad" {
			return fail("no"), nil
		}
		return succeed(), nil
	}))
	w.append("events", newEvent("bad1", "x", "bad"), newEvent("bad2", "x", "bad"))
	for i := range 200 {
		w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i%7)))
	}
	w.awaitFinished(200)
	w.await("the two of the parked key to be pending", func() bool { return lagOf(n.d, "f").Pending == 2 })
	for _, id := range l.of("f") {
		if id == "bad2" {
			t.Error("bad2 ran while bad1 of the same key waits for its next attempt")
		}
	}
}

func TestASlowTriggerLeavesTheScanAndComesBack(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("slow", function.Trigger{Name: "t"})
	w.deploy("fast", function.Trigger{Name: "t"})
	release := make(chan struct{})
	var l ledger
	n := w.nodeWith(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		l.note(c)
		if c.Function == "slow" {
			select {
			case <-release:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return succeed(), nil
	}), func(d *Dispatcher) { d.window = 10 })
	const events = 500
	for i := range events {
		w.append("events", newEvent(fmt.Sprintf("%03d", i), "x", "one"))
	}
	w.await("the fast one to be done", func() bool { return len(l.of("fast")) == events })
	w.await("the slow one to be detached", func() bool {
		lag := lagOf(n.d, "slow")
		return lag.Detached == 1 && lag.Pending == 10 && lag.Behind >= events-11
	})
	close(release)
	w.awaitFinished(2 * events)
	w.await("the slow one to be back", func() bool {
		lag := lagOf(n.d, "slow")
		return lag.Detached == 0 && lag.Behind == 0
	})
	for i, id := range l.of("slow") {
		if id != fmt.Sprintf("%03d", i) {
			t.Fatalf("run %d of the slow one is event %s", i, id)
		}
	}
	if ran := len(l.of("slow")); ran != events {
		t.Errorf("the slow one ran %d times, want %d", ran, events)
	}
}

func TestMemoryIsBoundedHoweverManyEventsCome(t *testing.T) {
	const budget = 256 << 10
	w := newWorld(t, setting{partitions: 2, options: Options{MaxHeld: budget}})
	defer w.close()
	const triggers = 3
	for i := range triggers {
		w.deploy(fmt.Sprintf("stuck%d", i), function.Trigger{Name: "t"})
	}
	release := make(chan struct{})
	n := w.node(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		select {
		case <-release:
			return succeed(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))
	var most atomic.Int64
	batch := make([]*event.Event, 500)
	batches := 20
	if len(enginetest.Brokers()) > 0 {
		batches = 5 // the same is seen with fewer; each takes a network's time
	}
	for b := range batches {
		for i := range batch {
			batch[i] = newEvent(fmt.Sprintf("%d-%d", b, i), "x", "")
		}
		w.append("events", batch...)
		most.Store(max(most.Load(), n.d.budget.held.Load()))
	}
	w.await("the scan to have passed all", func() bool {
		most.Store(max(most.Load(), n.d.budget.held.Load()))
		passed := 0
		for _, p := range n.d.owned() {
			if s := p.status.Load(); p.id.Topic == "events" && s != nil && s.scan >= int64(batches)*500/4 {
				passed++
			}
		}
		return passed == 2
	})
	// A lane that has nothing may take one event whatever is held, and one entry may cross the line.
	if most.Load() > budget+64<<10 {
		t.Errorf("%d bytes are held, want at most %d", most.Load(), budget)
	}
	if pending := lagOf(n.d, "stuck0").Pending; pending == 0 || pending > 2*laneWindow {
		t.Errorf("%d events pending in memory", pending)
	}
	close(release)
	w.awaitFinished(triggers * batches * 500)
	w.await("all memory to be given back", func() bool { return n.d.budget.held.Load() == 0 })
}

func TestAnEventThatKillsTheNodeIsDeadLettered(t *testing.T) {
	w := newWorld(t, setting{partitions: 1, oneNode: true})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 4}})
	var killed atomic.Int32
	player := func() Invoker {
		return play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
			if c.Invocation.Event.ID != "killer" {
				return succeed(), nil
			}
			killed.Add(1)
			<-ctx.Done() // the node never hears of it again
			return nil, ctx.Err()
		})
	}
	var es []*event.Event
	for i := range 50 {
		es = append(es, newEvent(fmt.Sprint(i), "x", fmt.Sprint(i)))
	}
	w.append("events", append(es, newEvent("killer", "x", "killer"))...)
	lives := 0
	for life := int32(1); len(w.dead()) == 0; life++ {
		w.node(player()) // takes over from the one that was killed
		w.await("the node to be killed or the event to be dead", func() bool {
			return killed.Load() >= life || len(w.dead()) > 0
		})
		if lives++; lives > 10 {
			t.Fatal("ten nodes have died of it")
		}
	}
	for _, dl := range w.dead() {
		if dl.Run.Event.ID != "killer" || len(dl.Run.Attempts) != 4 || !strings.Contains(dl.Run.Reason, "4 attempts") {
			t.Errorf("dead letter of %s with %d attempts: %s", dl.Run.Event.ID, len(dl.Run.Attempts), dl.Run.Reason)
		}
		for _, a := range dl.Run.Attempts {
			if a.Outcome != function.Crashed || a.Failure.Message != "the node stopped while this ran" {
				t.Errorf("attempt = %+v", a)
			}
		}
	}
	for _, r := range w.records(function.TopicProgress) {
		// The attempt after the last is none, and a node that dies then must not count it.
		if m, err := decodeRetry(r.Value); strings.HasPrefix(string(r.Key), "r/") && err == nil && m.started > 4 {
			t.Errorf("an attempt %d of 4 was marked", m.started)
		}
	}
	for _, run := range w.awaitFinished(51) {
		if run.Event.ID != "killer" && run.State != function.RunSucceeded {
			t.Errorf("event %s has died with the killer: %s", run.Event.ID, run.Reason)
		}
	}
}

func TestPauseAndResumeLoseAndRepeatNothing(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Emit: &function.Emit{Topic: "out"}})
	w.deploy("g", function.Trigger{Name: "t", Emit: &function.Emit{Topic: "out"}})
	tr := &troupe{emits: true, ordered: true}
	n := w.node(tr.player())
	count := 0
	put := func(k int) {
		for range k {
			w.append("events", newEvent(fmt.Sprintf("%06d", count), "x", fmt.Sprintf("k%d", count%5)))
			count++
		}
	}
	for range 4 {
		put(20)
		w.change(catalog.Pause{Function: "f", Trigger: "t", Paused: true})
		put(20)
		w.change(catalog.Pause{Function: "f", Trigger: "t", Paused: false})
		w.change(catalog.Pause{Function: "f", Trigger: "t", Paused: true})
		put(20)
		w.await("the other to go on", func() bool { return lagOf(n.d, "g").Behind == 0 })
		w.await("Lag to say that it is paused", func() bool { return lagOf(n.d, "f").Paused })
		if count%40 == 0 { // the pause outlives the node
			n.quit()
			n = w.node(tr.player())
		}
		w.change(catalog.Pause{Function: "f", Trigger: "t", Paused: false})
	}
	w.awaitFinished(2 * count)
	n.quit()
	checkExact(t, w, 2*count, true)
}

func TestATriggerMadeAgainIsAnother(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	never := function.Retry{Attempts: 3, Initial: function.Duration(1000 * time.Hour), Max: function.Duration(1000 * time.Hour), Factor: 1}
	w.o.Rand = func() float64 { return 0.9 }
	w.deploy("f", function.Trigger{Name: "t", Retry: never})
	w.deploy("g", function.Trigger{Name: "t"})
	var l ledger
	n := w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		l.note(c)
		if strings.HasPrefix(c.Invocation.Event.ID, "old") {
			return fail("no"), nil
		}
		return succeed(), nil
	}))
	old := uidOf(w, "f")
	w.append("events", newEvent("old1", "x", "k"), newEvent("old2", "x", "k"))
	w.await("the first attempt", func() bool { return len(w.runs()) >= 1 })
	w.change(catalog.Remove{Function: "f"})
	w.append("events", newEvent("between", "x", "k"))
	w.deploy("f", function.Trigger{Name: "t"})
	w.append("events", newEvent("new", "x", "k"))
	w.await("the new one to run", func() bool { return len(l.of("f")) >= 2 })
	if ran := l.of("f"); ran[0] != "old1" || ran[1] != "new" || len(ran) != 2 {
		t.Errorf("f ran %v, want old1, new", ran)
	}
	w.await("the old progress to be gone", func() bool {
		r, err := fold(context.Background(), newProgressLog(w.disk), n.d.keysFor(t, "events", 0))
		if err != nil {
			t.Fatal(err)
		}
		return len(r.retries[old]) == 0 && r.lanes[old].pending == nil
	})
}

func (d *Dispatcher) keysFor(t *testing.T, topic string, partition int32) progressKeys {
	t.Helper()
	tp, err := d.topics.refresh(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return keysOf(tp.ID, partition)
}

func uidOf(w *world, fn string) int64 {
	tr, err := w.cat.View().Trigger(fn, "t")
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return tr.UID
}

// TestANewTriggerStartsExactlyAtItsStart deploys while events come and the scan is behind, at the end or stopped.
func TestANewTriggerStartsExactlyAtItsStart(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	var l ledger
	player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		l.note(c)
		return succeed(), nil
	})
	stopping, stopped := make(chan struct{}), make(chan []eventlog.Position)
	var appended atomic.Int64
	go func() {
		var all []eventlog.Position
		pace := time.NewTicker(200 * time.Microsecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-stopping:
				stopped <- all
				return
			case <-pace.C:
				all = append(all, w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i)))...)
				appended.Add(1)
			}
		}
	}()
	var n *node
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("f%d", i)
		names = append(names, name)
		if i%4 == 1 {
			n = w.node(player)
		}
		w.await("events before the trigger", func() bool { return appended.Load() > int64(i)*20 })
		w.deploy(name, function.Trigger{Name: "t"})
		if i%4 == 3 {
			n.quit()
		}
	}
	n = w.node(player)
	close(stopping)
	all := <-stopped
	for _, name := range names {
		tr, err := w.cat.View().Trigger(name, "t")
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for i, p := range all {
			if p.Offset >= tr.Start[p.Partition] {
				want[fmt.Sprint(i)] = true
			}
		}
		w.await(name, func() bool { return len(l.of(name)) >= len(want) })
		seen := map[string]int{}
		for _, id := range l.of(name) {
			if seen[id]++; !want[id] || seen[id] > 1 {
				t.Fatalf("%s ran event %s, which is before its start or ran already", name, id)
			}
		}
	}
	n.quit()
}

func TestTheNewestDispatcherOwnsEverything(t *testing.T) {
	w := newWorld(t, setting{oneNode: true})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	hang := play(func(ctx context.Context, _ fleet.Call) (*function.Result, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	old := w.node(hang)
	w.append("events", newEvent("1", "x", "k"))
	w.await("the old one to run it", func() bool { return lagOf(old.d, "f").Pending == 1 })
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
	runs := w.awaitFinished(1)
	if runs[0].State != function.RunSucceeded {
		t.Errorf("run = %+v", runs[0])
	}
	w.await("the old one to have nothing", func() bool { return len(old.d.owned()) == 0 })
	if held := old.d.budget.held.Load(); held != 0 {
		t.Errorf("the old one still holds %d bytes", held)
	}
}

func TestAStopLetsFinishWhatRuns(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deployMax("f", 1, function.Trigger{Name: "t", Order: function.OrderNone})
	began, release := make(chan string, 10), make(chan struct{})
	player := play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		began <- c.Invocation.Event.ID
		select {
		case <-release:
			return succeed(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	n := w.node(player)
	w.append("events", newEvent("1", "x", ""), newEvent("2", "x", ""))
	<-began
	owned := n.d.owned()
	n.stop()
	for _, p := range owned {
		<-p.stopping
	}
	close(release)
	<-n.done
	if n.err != nil {
		t.Errorf("Run = %v", n.err)
	}
	if runs := w.finished(); len(runs) != 1 || runs[0].Event.ID != "1" {
		t.Fatalf("runs = %+v, want event 1 alone", runs)
	}
	r, err := fold(context.Background(), newProgressLog(w.disk), n.d.keysFor(t, "events", 0))
	if err != nil || !r.scan.clean {
		t.Errorf("scan = %+v, %v, want clean", r.scan, err)
	}
	w.node(player)
	w.awaitFinished(2)
}

func TestAnInterruptedAttemptIsNone(t *testing.T) {
	w := newWorld(t, setting{partitions: 1, options: Options{Drain: time.Millisecond}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 1}})
	began := make(chan struct{}, 10)
	// As the fleet does where a function has begun, this takes no notice of its context.
	hang := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		began <- struct{}{}
		<-c.Kill
		return nil, unavailable()
	})
	for range 3 {
		n := w.node(hang)
		if len(w.runs()) == 0 && len(w.records("events")) == 0 {
			w.append("events", newEvent("1", "x", "k"))
		}
		<-began
		n.quit()
	}
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) { return succeed(), nil }))
	if run := w.awaitFinished(1)[0]; run.State != function.RunSucceeded || len(run.Attempts) != 1 {
		t.Errorf("run = %+v, want one attempt that succeeded", run)
	}
}

func TestAttemptsThatDalambCannotMakeDoNotCount(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 1}})
	var tries atomic.Int32
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) {
		if tries.Add(1) < 4 {
			return nil, unavailable()
		}
		return succeed(), nil
	}))
	w.append("events", newEvent("1", "x", "k"))
	if run := w.awaitFinished(1)[0]; run.State != function.RunSucceeded || len(run.Attempts) != 1 || run.Attempts[0].Number != 1 {
		t.Errorf("run = %+v, want attempt 1 to have succeeded", run)
	}
}

func TestFailuresAreRememberedUntilTheEnd(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Filter: []byte(`{"type":["passes","dies"]}`)})
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event.Type == "passes" && c.Invocation.Attempt == 3 {
			return succeed(), nil
		}
		return fail(fmt.Sprintf("no, %d", c.Invocation.Attempt)), nil
	}))
	w.append("events", newEvent("1", "passes", "k"), newEvent("2", "dies", "k"))
	for _, run := range w.awaitFinished(2) {
		want, state := 3, function.RunSucceeded
		if run.Event.ID == "2" {
			want, state = 4, function.RunDead
		}
		if run.State != state || len(run.Attempts) != want {
			t.Errorf("run of %s is %s after %d attempts, want %s after %d", run.Event.ID, run.State, len(run.Attempts), state, want)
		}
		for i, a := range run.Attempts {
			if f := a.Failure; a.Number != i+1 || f != nil && f.Message != fmt.Sprintf("no, %d", i+1) {
				t.Errorf("attempt %d = %+v", i+1, a)
			}
		}
	}
	for _, dl := range w.dead() {
		var e event.Event
		if err := e.UnmarshalJSON(dl.Event); err != nil || e.ID != "2" || len(dl.Run.Attempts) != 4 || dl.Appended.IsZero() {
			t.Errorf("dead letter = %+v, %v", dl, err)
		}
	}
}

func TestALoopEndsAsADeadLetter(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("echo", function.Trigger{Name: "t", Order: function.OrderNone})
	// One that listens to the runs, its own among them.
	w.deploy("watch", function.Trigger{Name: "t", Topic: function.TopicRuns, Order: function.OrderNone})
	var watched atomic.Int64
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "watch" {
			watched.Add(1)
			return succeed(), nil
		}
		return succeed(&event.Event{Type: "again"}), nil
	}))
	w.append("events", newEvent("1", "x", "k"))
	w.await("the loop to be dead", func() bool {
		for _, dl := range w.dead() {
			if dl.Run.Function == "echo" {
				return strings.HasPrefix(dl.Run.Reason, "loop")
			}
		}
		return false
	})
	if n := len(w.records("events")); n != event.MaxHops+2 {
		t.Errorf("%d events, want %d", n, event.MaxHops+2)
	}
	last := int64(-1)
	w.await("the watcher to come to rest", func() bool {
		rest := watched.Load() == last && lagOf(w.nodes[0].d, "watch").Behind == 0
		last = watched.Load()
		return rest
	})
}

func TestDamagedProgressStopsItsPartitionAlone(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	player := play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil })
	n := w.node(player)
	w.append("events", newEvent("1", "x", "k"))
	w.awaitFinished(1)
	n.quit()
	k := n.d.keysFor(t, "events", 0)
	if _, err := w.disk.Append(context.Background(), []eventlog.Record{k.record(k.scan(), []byte{99})}); err != nil {
		t.Fatal(err)
	}
	n = w.node(player)
	bad := eventlog.Partition{Topic: "events", ID: 0}
	w.await("the partition to be refused", func() bool { return n.d.Refused()[bad] != nil })
	if err := n.d.Refused()[bad]; !strings.Contains(err.Error(), "format 99") {
		t.Errorf("refused because %v, want the format named", err)
	}
	e := eventlog.FromEvent("events", newEvent("2", "x", "k"))
	e.Partition = 1
	if _, err := w.disk.Append(context.Background(), []eventlog.Record{e}); err != nil {
		t.Fatal(err)
	}
	w.awaitFinished(2)
}
