package catalog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// newLog is a real log with the topics that a catalog needs.
func newLog(t testing.TB) eventlog.Log {
	t.Helper()
	return openLog(t, enginetest.Options{})
}

func openLog(t testing.TB, o enginetest.Options) eventlog.Log {
	t.Helper()
	log, err := enginetest.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	for name, partitions := range map[string]int32{function.TopicControl: 1, function.TopicInvoke: 2, "events": 2, "other": 1} {
		topic := eventlog.Topic{Name: name, Partitions: partitions}
		if name == function.TopicControl {
			topic.Retention, topic.MaxBytes = eventlog.Forever, eventlog.Forever // as a node makes it: tests give its events old times
		}
		if err := log.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// memory is a Store without a disk.
type memory struct{ data atomic.Pointer[[]byte] }

func (m *memory) Load() ([]byte, error) {
	if data := m.data.Load(); data != nil {
		return *data, nil
	}
	return nil, nil
}

func (m *memory) Save(data []byte) error {
	m.data.Store(&data)
	return nil
}

// start runs a catalog on the log until the test ends, or until the returned function is called.
func start(t *testing.T, log eventlog.Log, snapshot Store) (*Catalog, func()) {
	t.Helper()
	c, err := New(Options{Log: log, Snapshot: snapshot})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	t.Cleanup(stop)
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, stop
}

func version(name string, triggers ...function.Trigger) function.Version {
	return function.Version{Code: "sha256:00", Spec: function.Spec{
		Name: name, Scale: function.Scale{Max: 10}, Triggers: triggers,
		Entry: function.Entry{Type: function.EntryHTTP, Concurrency: 4},
	}}
}

func on(name, topic, typ string) function.Trigger {
	return function.Trigger{Name: name, Topic: topic, Filter: fmt.Appendf(nil, `{"type":[%q]}`, typ)}
}

func submit(t *testing.T, c *Catalog, ch Change) *View {
	t.Helper()
	v, err := c.Submit(t.Context(), ch)
	if err != nil {
		t.Fatalf("Submit(%T) = %v", ch, err)
	}
	return v
}

func matching(v *View, topic, typ string) []string {
	var names []string
	if set := v.Match(topic); set != nil {
		e := &event.Event{ID: "1", Source: "/t", Type: typ}
		for _, tr := range set.MatchEvent(e, nil) {
			names = append(names, tr.Function+"/"+tr.Name)
		}
	}
	return names
}

func TestDeployMakesVersionsAndMovesLive(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	v := submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	first, err := v.Trigger("pay", "a")
	if err != nil {
		t.Fatal(err)
	}
	if first.Max != 40 {
		t.Errorf("Max = %d, want instances times concurrency, 40", first.Max)
	}
	v = submit(t, c, Deploy{Version: version("pay", on("a", "events", "y"), on("b", "events", "y"))})
	live, err := v.Version("pay", "", 0)
	if err != nil || live.Number != 2 {
		t.Fatalf("live = %v, %v, want version 2", live, err)
	}
	kept, _ := v.Trigger("pay", "a")
	added, _ := v.Trigger("pay", "b")
	if kept.UID != first.UID {
		t.Errorf("a kept trigger's UID went from %d to %d", first.UID, kept.UID)
	}
	if added.UID == first.UID || added.Since(0) <= first.Since(0) {
		t.Errorf("an added trigger has UID %d, the first one %d; want a later one", added.UID, first.UID)
	}
	if got, want := matching(v, "events", "y"), []string{"pay/a", "pay/b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("matching = %v, want %v", got, want)
	}
	if got := matching(v, "events", "x"); got != nil {
		t.Errorf("the old version's filter still matches: %v", got)
	}
	v = submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1}})
	if got, want := matching(v, "events", "x"), []string{"pay/a"}; !reflect.DeepEqual(got, want) {
		t.Errorf("after shifting back: matching = %v, want %v", got, want)
	}
}

func TestTriggerStartsWhereItsTopicEnded(t *testing.T) {
	log := newLog(t)
	c, _ := start(t, log, nil)
	for range 3 {
		if _, err := log.Append(t.Context(), []eventlog.Record{{Topic: "events", Partition: 1, Value: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
	}
	v := submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	tr, _ := v.Trigger("pay", "a")
	if want := map[int32]int64{0: 0, 1: 3}; !reflect.DeepEqual(tr.Start, want) {
		t.Errorf("Start = %v, want %v", tr.Start, want)
	}
	if _, err := log.Append(t.Context(), []eventlog.Record{{Topic: "events", Partition: 1, Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	v = submit(t, c, Deploy{Version: version("pay", on("a", "events", "z"))})
	if tr, _ := v.Trigger("pay", "a"); tr.Start[1] != 3 {
		t.Errorf("a kept trigger's start moved to %d", tr.Start[1])
	}
	v = submit(t, c, Deploy{Version: version("pay", on("a", "other", "z"))})
	if moved, _ := v.Trigger("pay", "a"); moved.UID == tr.UID {
		t.Error("a trigger that changed its topic kept its UID")
	}
	submit(t, c, Remove{Function: "pay"})
	v = submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	if again, _ := v.Trigger("pay", "a"); again.UID == tr.UID || again.Start[1] != 4 {
		t.Errorf("removed and made again: UID %d (before %d), start %d; want another UID and start 4", again.UID, tr.UID, again.Start[1])
	}
}

func TestPauseKeepsTheTriggerAndItsPlace(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	before, _ := submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))}).Trigger("pay", "a")
	paused, _ := submit(t, c, Pause{"pay", "a", true}).Trigger("pay", "a")
	if !paused.Paused || before.Paused || paused.UID != before.UID {
		t.Errorf("paused = %+v, before = %+v; want the same trigger, paused in the new view alone", paused, before)
	}
	redeployed, _ := submit(t, c, Deploy{Version: version("pay", on("a", "events", "y"))}).Trigger("pay", "a")
	if !redeployed.Paused {
		t.Error("a deploy resumed a paused trigger")
	}
	resumed, _ := submit(t, c, Pause{"pay", "a", false}).Trigger("pay", "a")
	if resumed.Paused {
		t.Error("still paused after resume")
	}
}

func TestPausedKeysAreKeptWithTheirTrigger(t *testing.T) {
	log := newLog(t)
	file := &memory{}
	c, stop := start(t, log, file)
	strict := on("strict", "events", "x")
	strict.Order = function.OrderPartition
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"), strict)})
	for _, key := range []string{"b", "a", "b"} {
		submit(t, c, PauseKey{"pay", "a", key, true})
	}
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "y"), strict)})
	if tr, _ := c.View().Trigger("pay", "a"); !reflect.DeepEqual(tr.PausedKeys, []string{"a", "b"}) {
		t.Errorf("paused keys = %q, want a and b", tr.PausedKeys)
	}
	for name, tc := range map[string]struct {
		change PauseKey
		kind   fault.Kind
	}{
		"not paused":         {PauseKey{"pay", "a", "c", false}, fault.NotFound},
		"empty":              {PauseKey{"pay", "a", "", true}, fault.Invalid},
		"in partition order": {PauseKey{"pay", "strict", "a", true}, fault.Conflict},
		"of nothing":         {PauseKey{"pay", "z", "a", true}, fault.NotFound},
	} {
		if _, err := c.Submit(t.Context(), tc.change); fault.KindOf(err) != tc.kind {
			t.Errorf("%s: error = %v, want kind %v", name, err, tc.kind)
		}
	}
	stop()
	again, _ := start(t, log, file)
	submit(t, again, PauseKey{"pay", "a", "a", false})
	if tr, _ := again.View().Trigger("pay", "a"); !reflect.DeepEqual(tr.PausedKeys, []string{"b"}) {
		t.Errorf("after a restart and resume of a, paused keys = %q, want b", tr.PausedKeys)
	}
	for i := range MaxPausedKeys - 1 {
		submit(t, again, PauseKey{"pay", "a", fmt.Sprint("k", i), true})
	}
	if _, err := again.Submit(t.Context(), PauseKey{"pay", "a", "one more", true}); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one key more than the bound: %v, want exhausted", err)
	}
}

func TestSubmitRefusesWhatDoesNotFit(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	submit(t, c, Deploy{Version: version("pay")})
	for name, tc := range map[string]struct {
		change Change
		kind   fault.Kind
	}{
		"remove unknown":         {Remove{"pya"}, fault.NotFound},
		"pause unknown":          {Pause{"pay", "nope", true}, fault.NotFound},
		"shift to no version":    {Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 7}}, fault.NotFound},
		"weight of no version":   {Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1, Weights: map[int]int{9: 10}}}, fault.NotFound},
		"weights over the whole": {Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1, Weights: map[int]int{1: 101}}}, fault.Invalid},
		"start in the future":    {Deploy{Version: version("mail", function.Trigger{Name: "a", Topic: "events", Start: "2999-01-01T00:00:00Z"})}, fault.Invalid},
		"unknown topic":          {Deploy{Version: version("mail", on("a", "evnts", "x"))}, fault.NotFound},
	} {
		if _, err := c.Submit(t.Context(), tc.change); fault.KindOf(err) != tc.kind {
			t.Errorf("%s: error = %v, want kind %v", name, err, tc.kind)
		}
	}
	_, err := c.Submit(t.Context(), Remove{"pya"})
	if got, want := fault.HintOf(err), "did you mean pay?"; got != want {
		t.Errorf("hint = %q, want %q", got, want)
	}
}

func TestTwoWritersNeedNoLock(t *testing.T) {
	log := newLog(t)
	a, _ := start(t, log, nil)
	b, _ := start(t, log, nil)
	const each = 20
	var wg sync.WaitGroup
	for _, c := range []*Catalog{a, b} {
		wg.Go(func() {
			for done := 0; done < each; {
				v := version("pay", on("a", "events", "x"))
				v.Spec.Keep = 2 * each
				_, err := c.Submit(t.Context(), Deploy{Version: v})
				switch {
				case err == nil:
					done++
				case fault.KindOf(err) != fault.Conflict:
					t.Errorf("Submit = %v, want nil or a conflict", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, c := range []*Catalog{a, b} {
		if err := c.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		f, err := c.View().Function("pay")
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Versions) != 2*each {
			t.Errorf("%d versions, want one for each accepted deploy, %d", len(f.Versions), 2*each)
		}
		for i, v := range f.Versions {
			if v.Number != i+1 {
				t.Fatalf("version %d stands at place %d", v.Number, i+1)
			}
		}
	}
}

func TestFoldIsTheSameFromSnapshotAndAfterRedelivery(t *testing.T) {
	log := newLog(t)
	file := &memory{}
	c, stop := start(t, log, file)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	submit(t, c, Deploy{Version: version("mail", on("a", "events", "x"))})
	submit(t, c, Pause{"mail", "a", true})
	stop()

	fresh, _ := start(t, log, nil)
	submit(t, fresh, Remove{"mail"}) // behind the snapshot
	again, _ := start(t, log, file)
	if got, want := describe(again.View()), describe(fresh.View()); got != want {
		t.Errorf("from the snapshot: %s\nfrom the log:      %s", got, want)
	}

	records, err := log.Read(t.Context(), control, 0, eventlog.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	var twice []eventlog.Record
	for _, r := range records {
		twice = append(twice, r, r)
	}
	if lost := s.foldAll(twice, fresh.logger); lost != nil {
		t.Errorf("redelivered events counted as lost: %v", lost)
	}
	if got, want := describe(s.publish(nil)), describe(fresh.View()); got != want {
		t.Errorf("each event twice: %s\nonce:             %s", got, want)
	}

	other, _ := start(t, newLog(t), file)
	if n := len(other.View().Functions()); n != 0 {
		t.Errorf("a snapshot of another log was taken: %d functions", n)
	}
}

func describe(v *View) string {
	s := fmt.Sprint(v.Offset)
	for _, f := range v.Functions() {
		s += fmt.Sprintf(" %s@%d(%d versions)", f.Name, f.Last, len(f.Versions))
		for _, tr := range f.Triggers {
			s += fmt.Sprintf(" %s:%d:%v:%v", tr.Name, tr.UID, tr.Paused, tr.Start)
		}
	}
	return s + fmt.Sprint(matching(v, "events", "x"))
}

func TestAliasWeights(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	for range 3 {
		submit(t, c, Deploy{Version: version("pay")})
	}
	v := submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 3, Weights: map[int]int{1: 10, 2: 20}}})
	live, err := v.Alias("pay", "")
	if err != nil {
		t.Fatal(err)
	}
	for ticket := range uint64(100) {
		if got, err := v.Version("pay", "live", ticket); err != nil || got.Number != live.Pick(ticket) {
			t.Errorf("Version(ticket %d) = %v, %v, want %d", ticket, got, err, live.Pick(ticket))
		}
	}
	if got := len(v.Wanted()); got != 3 {
		t.Errorf("%d versions wanted, want 3", got)
	}
	if _, err := v.Version("pay", "prod", 0); fault.KindOf(err) != fault.NotFound {
		t.Errorf("unknown alias: %v, want not found", err)
	}
}

func TestMatchSetsOfOtherTopicsAreShared(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	before := submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	set := before.Match("events")
	after := submit(t, c, Deploy{Version: version("mail", on("a", "other", "x"))})
	if after.Match("events") != set {
		t.Error("a deploy on another topic compiled this topic's set again")
	}
	if got, want := after.Topics(), []string{function.TopicInvoke, "events", "other"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Topics = %v, want %v", got, want)
	}
}

func TestAsyncCallsHaveTheirTrigger(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	v := submit(t, c, Deploy{Version: version("pay")})
	e := &event.Event{ID: "1", Source: "/t", Type: event.TypeInvokeRequested, Subject: "pay"}
	got := v.Match(function.TopicInvoke).MatchEvent(e, nil)
	if len(got) != 1 || got[0].Name != function.InvokeTrigger || got[0].Function != "pay" {
		t.Errorf("an invoke request matched %v, want the trigger %q of pay", got, function.InvokeTrigger)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx, 99); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want canceled", err)
	}
}
