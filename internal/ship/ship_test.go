package ship

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// place is a sink that notes what it takes.
type place struct {
	mu     sync.Mutex
	answer func(lines []Line) error // nil = takes all
	got    []Line
	tries  int
}

func (p *place) Send(_ context.Context, lines []Line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.answer != nil {
		if err := p.answer(lines); err != nil {
			return err
		}
	}
	p.got = append(p.got, lines...)
	return nil
}

func (p *place) Check(context.Context) error { return nil }
func (p *place) Close() error                { return nil }

func (p *place) becomes(answer func([]Line) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *place) texts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, l := range p.got {
		all = append(all, l.Text)
	}
	return strings.Join(all, " ")
}

var own = eventlog.Partition{Topic: function.TopicLogs}

type world struct {
	*testing.T
	log *disk.Log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, topic := range []eventlog.Topic{{Name: own.Topic, Partitions: 1}, {Name: function.TopicProgress, Partitions: 1, Compact: true}} {
		if err := l.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	return &world{t, l}
}

// keep ships until stop is called, which returns when nothing is under way.
func (w *world) keep(targets ...Target) (s *Ship, stop func()) {
	w.Helper()
	s, err := New(Options{Log: w.log, Targets: targets, Linger: time.Millisecond, Metrics: prometheus.NewRegistry()})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := s.Keep(ctx, eventlog.Owned{Partition: own, Commit: w.log.Append}); err != nil {
			w.Errorf("Keep = %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); keeping.Wait() })
	w.Cleanup(stop)
	for _, t := range targets {
		w.until("sink "+t.Name+" has a position", func() bool { _, ok := w.position(t.Name); return ok })
	}
	return s, stop
}

func (w *world) position(sink string) (int64, bool) {
	w.Helper()
	known, err := recall(context.Background(), w.log, w.keys())
	if err != nil {
		w.Fatal(err)
	}
	at, ok := known[sink]
	return at.next, ok
}

func (w *world) keys() keys {
	w.Helper()
	k, err := keysIn(context.Background(), w.log, own)
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// store has a value stand as a sink's position.
func (w *world) store(sink string, value []byte) {
	w.Helper()
	r, err := w.keys().record(sink, 0)
	if err != nil {
		w.Fatal(err)
	}
	r.Value = value
	if _, err := w.log.Append(w.Context(), []eventlog.Record{r}); err != nil {
		w.Fatal(err)
	}
}

// moves puts a sink elsewhere.
func (w *world) moves(sink string, next int64) {
	w.Helper()
	r, err := w.keys().record(sink, next)
	if err == nil {
		_, err = w.log.Append(context.Background(), []eventlog.Record{r})
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) say(fn string, texts ...string) {
	w.Helper()
	var rs []eventlog.Record
	for _, text := range texts {
		data, err := json.Marshal(function.LogLine{Function: fn, Version: 2, Instance: "i", Run: "r", Stream: "stdout", Text: text, Time: time.Unix(1_700_000_000, 0)})
		if err != nil {
			w.Fatal(err)
		}
		rs = append(rs, eventlog.FromEvent(own.Topic, &event.Event{ID: event.NewID(), Source: "/dalamb/logs", Type: event.TypeLogWritten, Subject: fn, Data: data}))
	}
	if _, err := w.log.Append(context.Background(), rs); err != nil {
		w.Fatal(err)
	}
}

func (w *world) until(what string, there func() bool) {
	w.Helper()
	for deadline := time.Now().Add(20 * time.Second); !there(); runtime.Gosched() {
		if time.Now().After(deadline) {
			w.Fatalf("not in 20s: %s", what)
		}
	}
}

func (w *world) untilGot(p *place, want string) {
	w.Helper()
	w.until("the sink has "+want, func() bool { return p.texts() == want })
}

func TestASinkGetsWhatItWantsFromItsFirstStartOn(t *testing.T) {
	w := newWorld(t)
	w.say("pay", "before")
	all, some := &place{}, &place{}
	w.keep(Target{Name: "all", Sink: all}, Target{Name: "some", Sink: some, Level: function.LogWarn, Wants: func(fn string) bool { return fn == "pay" }})
	w.say("pay", "a", "ERROR b")
	if _, err := w.log.Append(t.Context(), []eventlog.Record{{Topic: own.Topic, Value: []byte("no event")}, eventlog.FromEvent(own.Topic, &event.Event{ID: "x", Source: "/x", Type: event.TypeInstanceReplaced, Data: []byte("{}")})}); err != nil {
		t.Fatal(err)
	}
	w.say("bake", "ERROR c")
	w.untilGot(all, "a ERROR b ERROR c")
	w.untilGot(some, "ERROR b")
	w.until("the position of a sink that wants little moves too", func() bool { at, _ := w.position("some"); return at == 6 })
}

func TestASinkThatIsAwayGetsAllLaterAndHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	away, well := &place{answer: func([]Line) error { return errors.New("nobody there") }}, &place{}
	s, stop := w.keep(Target{Name: "away", Sink: away}, Target{Name: "well", Sink: well})
	w.say("pay", "a", "b")
	w.untilGot(well, "a b")
	w.until("it is said", func() bool {
		st := s.States()
		return st[0].Failing != nil && st[0].Behind == 2 && st[1].Failing == nil && st[1].Behind == 0
	})
	stop()
	w.say("pay", "c")
	if at, _ := w.position("away"); at != 0 {
		t.Errorf("the position is %d, want that of what it has taken", at)
	}
	away.becomes(nil)
	s, _ = w.keep(Target{Name: "away", Sink: away}, Target{Name: "well", Sink: well})
	w.untilGot(away, "a b c")
	w.untilGot(well, "a b c")
	w.until("it is said that it is well", func() bool { st := s.States(); return st[0].Failing == nil && st[0].Behind == 0 })
}

// stuck is a sink whose first try fails and whose second one hangs.
func stuck() (*place, chan struct{}) {
	let, tries := make(chan struct{}), 0
	return &place{answer: func([]Line) error {
		if tries++; tries > 1 {
			<-let
		}
		return errors.New("nobody there")
	}}, let
}

func TestWhatIsKnownOfASinkThatHangsIsNew(t *testing.T) {
	w := newWorld(t)
	p, let := stuck()
	s, err := New(Options{Log: w.log, Targets: []Target{{Name: "p", Sink: p}}, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.look = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { _ = s.Keep(ctx, eventlog.Owned{Partition: own, Commit: w.log.Append}) })
	w.until("the sink has a position", func() bool { _, ok := w.position("p"); return ok })
	w.say("pay", "a")
	w.until("it fails", func() bool { return s.States()[0].Failing != nil })
	w.say("pay", "b", "c")
	w.until("it is known to be 3 behind", func() bool { return s.States()[0].Behind == 3 })
	cancel()
	close(let)
	keeping.Wait()
}

// closed is a sink that notes when it is closed under somebody.
type closed struct {
	*place
	under  chan struct{} // holds a value while something is sent
	let    chan struct{}
	misuse atomic.Bool
}

func (c *closed) Send(context.Context, []Line) error {
	c.under <- struct{}{}
	<-c.let
	<-c.under
	return errors.New("nobody there")
}

func (c *closed) Close() error {
	c.misuse.Store(len(c.under) > 0)
	return nil
}

// TestASinkIsNotClosedUnderWhatADutySends: one that did not end in time was left behind.
func TestASinkIsNotClosedUnderWhatADutySends(t *testing.T) {
	w := newWorld(t)
	sink := &closed{place: &place{}, under: make(chan struct{}, 1), let: make(chan struct{})}
	s, err := New(Options{Log: w.log, Targets: []Target{{Name: "p", Sink: sink}}, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var keeping sync.WaitGroup
	left := make(chan error, 1)
	keeping.Go(func() { left <- s.Keep(t.Context(), eventlog.Owned{Partition: own, Commit: w.log.Append}) })
	w.until("the sink has a position", func() bool { _, ok := w.position("p"); return ok })
	w.say("pay", "a")
	w.until("something is sent", func() bool { return len(sink.under) > 0 })
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	w.until("it is being closed", func() bool {
		s.targets[0].mu.Lock()
		defer s.targets[0].mu.Unlock()
		return s.targets[0].closed
	})
	close(sink.let)
	if err := <-done; err != nil || sink.misuse.Load() {
		t.Errorf("Close = %v, while something was sent: %t", err, sink.misuse.Load())
	}
	keeping.Wait()
	if err := <-left; !errors.Is(err, errClosed) {
		t.Errorf("Keep = %v, want that the sink is closed", err)
	}
}

// TestASinkOfAnOlderInstallationGoesOn: where its position was that of a consumer group, and once only.
func TestASinkOfAnOlderInstallationGoesOn(t *testing.T) {
	w, p := newWorld(t), new(place)
	w.say("pay", "a", "b", "c")
	if err := w.log.CommitOffsets(t.Context(), formerGroup("p"), []eventlog.GroupOffset{{Partition: own, Offset: 1}}); err != nil {
		t.Fatal(err)
	}
	_, stop := w.keep(Target{Name: "p", Sink: p})
	w.untilGot(p, "b c")
	stop()
	_, stop = w.keep(Target{Name: "p", Sink: p})
	w.say("pay", "d")
	w.untilGot(p, "b c d")
	stop()
}

// TestALineComesAgainWithTheSameID: a node that was killed ahead of storing the position.
func TestALineComesAgainWithTheSameID(t *testing.T) {
	w := newWorld(t)
	p := &place{}
	_, stop := w.keep(Target{Name: "p", Sink: p})
	w.say("pay", "a", "b")
	w.untilGot(p, "a b")
	stop()
	w.moves("p", 0)
	w.keep(Target{Name: "p", Sink: p})
	w.untilGot(p, "a b a b")
	if p.got[0].ID == "" || p.got[0].ID != p.got[2].ID || p.got[1].ID != p.got[3].ID || p.got[0].ID == p.got[1].ID {
		t.Errorf("ids are %v", []string{p.got[0].ID, p.got[1].ID, p.got[2].ID, p.got[3].ID})
	}
}

// TestASinkGoesOnAfterItsGroupWasForgotten: Kafka forgets the positions of groups when no node runs for a week.
func TestASinkGoesOnAfterItsGroupWasForgotten(t *testing.T) {
	w := newWorld(t)
	p := &place{}
	_, stop := w.keep(Target{Name: "p", Sink: p})
	w.say("pay", "a")
	w.until("it is stored that it has it", func() bool { at, _ := w.position("p"); return at == 1 })
	stop()
	w.say("pay", "b")
	groups, err := w.log.Groups(t.Context())
	if err != nil || len(groups) != 0 {
		t.Errorf("Groups = %v, %v, want none that can be forgotten", groups, err)
	}
	w.keep(Target{Name: "p", Sink: p})
	w.untilGot(p, "a b")
}

// TestADeletedPositionIsNone: the sink begins at the end, as a new one.
func TestADeletedPositionIsNone(t *testing.T) {
	w := newWorld(t)
	w.say("pay", "a", "b")
	w.moves("p", 0)
	w.moves("q", 0)
	w.store("p", nil)
	p, q := &place{}, &place{}
	w.keep(Target{Name: "p", Sink: p}, Target{Name: "q", Sink: q})
	w.say("pay", "c")
	w.untilGot(p, "c")
	w.untilGot(q, "a b c")
}

// TestAPositionThatCannotBeUnderstoodHoldsUpItsSinkAlone until it is mended: a sink that began at the end would leave lines out.
func TestAPositionThatCannotBeUnderstoodHoldsUpItsSinkAlone(t *testing.T) {
	w := newWorld(t)
	w.say("pay", "a")
	w.moves("q", 0)
	w.store("p", []byte("\x02{}"))
	p, q := &place{}, &place{}
	s, err := New(Options{Log: w.log, Targets: []Target{{Name: "p", Sink: p}, {Name: "q", Sink: q}}, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.ask = 10 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := s.Keep(ctx, eventlog.Owned{Partition: own, Commit: w.log.Append}); err != nil {
			t.Errorf("Keep = %v", err)
		}
	})
	defer keeping.Wait()
	defer stop()
	w.untilGot(q, "a")
	w.until("the other one is told of", func() bool {
		s.targets[0].mu.Lock()
		defer s.targets[0].mu.Unlock()
		return fault.KindOf(s.targets[0].failing[0].err) == fault.Internal && s.targets[0].failing[0].err != nil
	})
	if got := p.texts(); got != "" {
		t.Errorf("the sink whose position is not known got %q", got)
	}
	w.moves("p", 0)
	w.untilGot(p, "a")
}

// TestAPositionThatCannotBeUnderstoodIsNotPassedOver: its sink is known to have one.
func TestAPositionThatCannotBeUnderstoodIsNotPassedOver(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"", "\x02{}", "\x01{\"next\":-1}", "\x01{\"next\":1,\"more\":2}"} {
		w.store("p", []byte(value))
		known, err := recall(t.Context(), w.log, w.keys())
		if err != nil {
			t.Fatal(err)
		}
		if bad := known["p"].bad; bad == nil || fault.KindOf(bad) != fault.Internal || !strings.Contains(bad.Error(), "/0/p") {
			t.Errorf("with %q: %v, want an error that names the record", value, bad)
		}
	}
}

func TestALineThatASinkRefusesIsLeftOutAlone(t *testing.T) {
	w := newWorld(t)
	p := &place{answer: func(lines []Line) error {
		if slices.ContainsFunc(lines, func(l Line) bool { return l.Text == "bad" }) {
			return fault.New(fault.Invalid, "it answers 400")
		}
		return nil
	}}
	s, _ := w.keep(Target{Name: "p", Sink: p})
	w.say("pay", "a", "b", "bad", "c", "d")
	w.untilGot(p, "a b c d")
	w.until("the position is behind it", func() bool { at, _ := w.position("p"); return at == 5 })
	if n := counted(t, s, "p", "refused"); n != 1 {
		t.Errorf("%v lines were refused, want 1", n)
	}
}

func TestWhatASinkHasTakenInPartIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	var batches, sent int
	p := &place{answer: func(lines []Line) error {
		batches++
		sent += len(lines)
		return partly{1, "too old"}
	}}
	s, stop := w.keep(Target{Name: "p", Sink: p})
	w.say("pay", "a", "b", "bad", "c", "d")
	w.until("the position is behind it", func() bool { at, _ := w.position("p"); return at == 5 })
	stop()
	if refused := counted(t, s, "p", "refused"); sent != 5 || refused != float64(batches) || counted(t, s, "p", "sent") != 5-refused {
		t.Errorf("%d lines were sent in %d batches, %v are refused; want each line once", sent, batches, refused)
	}
}

func TestRefusalsAreToldOfOnceAMinute(t *testing.T) {
	var to target
	now := time.Unix(1, 0)
	told := ""
	for range 130 { // one a second
		if n, tell := to.refuses(2, now); tell {
			told += fmt.Sprint(n, " ")
		}
		now = now.Add(time.Second)
	}
	if told != "2 120 120 " {
		t.Errorf("told of %s, want 2 120 120", told)
	}
}

// forgetful is a log whose retention has taken what a sink had not got yet.
type forgetful struct {
	eventlog.Log
	start int64
}

func (f *forgetful) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	b, err := f.Log.Bounds(ctx, p)
	if p == own {
		b.Start = f.start
	}
	return b, err
}

func (f *forgetful) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if p == own {
		from = max(from, f.start)
	}
	return f.Log.Read(ctx, p, from, o)
}

func TestWhatRetentionTakesFirstIsCounted(t *testing.T) {
	w := newWorld(t)
	w.say("pay", "a", "b", "c", "d")
	w.moves("p", 0)
	p := &place{}
	s, err := New(Options{Log: &forgetful{w.log, 3}, Targets: []Target{{Name: "p", Sink: p}}, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { _ = s.Keep(ctx, eventlog.Owned{Partition: own, Commit: w.log.Append}) })
	w.untilGot(p, "d")
	cancel()
	keeping.Wait()
	if n := counted(t, s, "p", "expired"); n != 3 {
		t.Errorf("%v lines expired, want 3", n)
	}
}

func counted(t *testing.T, s *Ship, sink, outcome string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(s.metrics.lines)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if labels := fmt.Sprint(m.GetLabel()); strings.Contains(labels, sink) && strings.Contains(labels, outcome) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// some are lines to send.
func some(texts ...string) []Line {
	var all []Line
	for i, text := range texts {
		l := Line{ID: fmt.Sprint("id-", i), LogLine: function.LogLine{Time: time.Unix(1_700_000_000, 5e6).UTC(), Function: "pay", Version: 2, Instance: "i-1", Run: "r-1", Stream: "stderr", Text: text}}
		l.Said = l.Read()
		all = append(all, l)
	}
	return all
}
