package idempotency

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// openLog opens an empty log with the topic.
func openLog(t *testing.T) eventlog.Log {
	t.Helper()
	log, err := enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicIdempotency, Partitions: Partitions, Compact: true}); err != nil {
		t.Fatal(err)
	}
	return log
}

// shared is a log that other nodes may have open.
type shared struct{ eventlog.Log }

func (shared) Shared() bool { return true }

// alone is one that no other has.
type alone struct{ eventlog.Log }

func (alone) Shared() bool { return false }

// node starts keys that fold the log until the test, or stop, ends them.
func node(t *testing.T, o Options) (k *Keys, stop func()) {
	t.Helper()
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := k.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return k, stop
}

func request(key string) Request {
	return Request{Key: DigestOf(key), Fingerprint: DigestOf("the body"), Function: "pay", Route: "r", Bound: time.Minute}
}

func enter(t *testing.T, k *Keys, r Request) *Entered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, err := k.Enter(ctx, r)
	if err != nil {
		t.Fatalf("Enter = %v", err)
	}
	return e
}

// claim enters a request that is to be run.
func claim(t *testing.T, k *Keys, r Request) *Entered {
	t.Helper()
	e := enter(t, k, r)
	if e.Claim == nil {
		t.Fatalf("Enter gave the answer %+v, want a claim", e.Answer)
	}
	return e
}

func says(body string) *function.Answer {
	return &function.Answer{Status: 201, Body: []byte(body), Size: int64(len(body))}
}

func answer(t *testing.T, c *Claim, body string) {
	t.Helper()
	if err := c.Answer(t.Context(), says(body), time.Hour); err != nil {
		t.Fatalf("Answer = %v", err)
	}
}

func TestARequestIsRunOnceAndAnsweredAgainOnEveryNode(t *testing.T) {
	log := openLog(t)
	one, _ := node(t, Options{Log: shared{log}})
	two, _ := node(t, Options{Log: shared{log}})
	first := claim(t, one, request("k"))
	if first.Attempt != 1 || first.Run == "" {
		t.Errorf("the first is attempt %d of run %q", first.Attempt, first.Run)
	}
	answer(t, first.Claim, "paid")
	third, _ := node(t, Options{Log: shared{log}}) // that starts later
	for name, k := range map[string]*Keys{"the same node": one, "another": two, "a later one": third} {
		e := enter(t, k, request("k"))
		if e.Answer == nil || string(e.Answer.Body) != "paid" || e.Answer.Status != 201 || e.Run != first.Run {
			t.Errorf("%s gives %+v of run %s, want what was answered in run %s", name, e.Answer, e.Run, first.Run)
		}
	}
	if e := claim(t, two, request("another key")); e.Run == first.Run {
		t.Error("another key is the same run")
	}
}

func TestOfManyThatComeAtOnceOneRuns(t *testing.T) {
	log := openLog(t)
	one, _ := node(t, Options{Log: shared{log}})
	two, _ := node(t, Options{Log: shared{log}})
	for round := range 20 {
		r := request(fmt.Sprint("k", round))
		var ran atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				k := one
				if i%2 == 0 {
					k = two
				}
				e, err := k.Enter(t.Context(), r)
				switch {
				case err != nil:
					t.Errorf("Enter = %v", err)
				case e.Claim != nil:
					ran.Add(1)
					answer(t, e.Claim, "once")
				case string(e.Answer.Body) != "once":
					t.Errorf("a twin got %q", e.Answer.Body)
				}
			})
		}
		if all.Wait(); ran.Load() != 1 {
			t.Fatalf("of eight %d ran, want one", ran.Load())
		}
	}
}

func TestATwinWaitsForAsLongAsItsCaller(t *testing.T) {
	k, _ := node(t, Options{Log: alone{openLog(t)}})
	claim(t, k, request("k"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := k.Enter(ctx, request("k")); !errors.Is(err, ErrBusy) {
		t.Errorf("Enter beside one that runs = %v, want ErrBusy", err)
	}
}

func TestAClaimThatFailsEndsNoOther(t *testing.T) {
	k, _ := node(t, Options{Log: alone{openLog(t)}})
	r := request("k")
	claim(t, k, r)
	k.parts[partitionOf(r.Key)].orphan(r.Key, "another claim")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if e, err := k.Enter(ctx, r); !errors.Is(err, ErrBusy) {
		t.Errorf("Enter beside one that runs = %+v, %v, want ErrBusy", e, err)
	}
}

func TestAKeyOfAnotherRequestIsRefused(t *testing.T) {
	k, _ := node(t, Options{Log: alone{openLog(t)}})
	other := request("k")
	other.Fingerprint = DigestOf("another body")
	c := claim(t, k, request("k")).Claim
	if _, err := k.Enter(t.Context(), other); !errors.Is(err, ErrOther) {
		t.Errorf("while it runs: %v, want ErrOther", err)
	}
	answer(t, c, "done")
	if _, err := k.Enter(t.Context(), other); !errors.Is(err, ErrOther) {
		t.Errorf("when it is answered: %v, want ErrOther", err)
	}
}

func TestAKeyThatIsFreeIsRunAgain(t *testing.T) {
	k, _ := node(t, Options{Log: alone{openLog(t)}})
	first := claim(t, k, request("k"))
	var twin *Entered
	var waiting sync.WaitGroup
	waiting.Go(func() { twin = claim(t, k, request("k")) })
	if err := first.Claim.Free(t.Context()); err != nil {
		t.Fatal(err)
	}
	if waiting.Wait(); twin.Run == first.Run || twin.Attempt != 1 {
		t.Errorf("the second is attempt %d of run %s, want a run of its own", twin.Attempt, twin.Run)
	}
	answer(t, twin.Claim, "second")
	if e := enter(t, k, request("k")); e.Answer == nil || string(e.Answer.Body) != "second" {
		t.Errorf("then it is %+v", e)
	}
}

func TestAnAnswerIsForgottenWhenItsTimeIsOver(t *testing.T) {
	var late atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	k, _ := node(t, Options{Log: alone{openLog(t)}, Now: now})
	first := claim(t, k, request("k"))
	answer(t, first.Claim, "early")
	late.Store(int64(59 * time.Minute))
	if e := enter(t, k, request("k")); e.Answer == nil {
		t.Fatal("a minute ahead of its time the answer is gone")
	}
	late.Store(int64(61 * time.Minute))
	if e := claim(t, k, request("k")); e.Run == first.Run {
		t.Error("it is the same run")
	}
}

// killed makes a claim on a node that ends in the midst of the request.
func killed(t *testing.T, log eventlog.Log) *Entered {
	t.Helper()
	k, stop := node(t, Options{Log: log})
	e := claim(t, k, request("k"))
	stop()
	return e
}

func TestARequestOfAKilledNodeIsRunAgainAtOnceWhereNoOtherNodeIs(t *testing.T) {
	log := alone{openLog(t)}
	lost := killed(t, log)
	k, _ := node(t, Options{Log: log})
	e := claim(t, k, request("k"))
	if e.Run != lost.Run || e.Attempt != 2 {
		t.Errorf("it is attempt %d of run %s, want the second of run %s", e.Attempt, e.Run, lost.Run)
	}
	third, _ := node(t, Options{Log: log})
	begun, bound := lost.Claim.rec.At, time.Minute
	if lost.Before != (Before{}) || e.Before != (Before{begun, begun.Add(bound)}) {
		t.Errorf("the first attempt is behind %v, the second one behind %v", lost.Before, e.Before)
	}
	if l := claim(t, third, request("k")); l.Before != (Before{begun, e.Claim.rec.At.Add(bound)}) || l.Attempt != 3 {
		t.Errorf("attempt %d is behind %v, want the third behind the first two", l.Attempt, l.Before)
	}
	other := request("k")
	other.Fingerprint = DigestOf("another body")
	if _, err := k.Enter(t.Context(), other); !errors.Is(err, ErrOther) {
		t.Errorf("another request: %v, want ErrOther", err)
	}
}

func TestARequestOfAKilledNodeOfSeveralIsRunAgainWhenItsTimeIsOver(t *testing.T) {
	log := openLog(t)
	slow, _ := node(t, Options{Log: shared{log}})
	lost := claim(t, slow, request("k"))
	early, _ := node(t, Options{Log: shared{log}})
	<-early.parts[partitionOf(DigestOf("k"))].ready
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if e, err := early.Enter(ctx, request("k")); !errors.Is(err, ErrBusy) {
		t.Fatalf("ahead of its time: %+v, %v; want ErrBusy", e, err)
	}
	k, _ := node(t, Options{Log: shared{log}, Now: func() time.Time { return time.Now().Add(time.Minute) }})
	e := claim(t, k, request("k"))
	if e.Run != lost.Run || e.Attempt != 2 {
		t.Errorf("it is attempt %d of run %s, want the second of run %s", e.Attempt, e.Run, lost.Run)
	}
	if err := lost.Claim.Answer(t.Context(), says("too late"), time.Hour); !errors.Is(err, ErrLost) {
		t.Errorf("the answer of who was taken for dead: %v, want ErrLost", err)
	}
	answer(t, e.Claim, "in time")
	if e := enter(t, k, request("k")); string(e.Answer.Body) != "in time" {
		t.Errorf("the answer is %q", e.Answer.Body)
	}
}

func TestWhoWaitsForAKilledNodeIsNextWhenItsTimeIsOver(t *testing.T) {
	log := openLog(t)
	one, stop := node(t, Options{Log: shared{log}})
	short := request("k")
	short.Bound = 200 * time.Millisecond
	lost := claim(t, one, short)
	stop()
	two, _ := node(t, Options{Log: shared{log}})
	if e := claim(t, two, short); e.Run != lost.Run || e.Attempt != 2 {
		t.Errorf("it is attempt %d of run %s, want the second of run %s", e.Attempt, e.Run, lost.Run)
	}
}

func TestAnotherRequestIsNoAttemptOfWhatIsOver(t *testing.T) {
	log := openLog(t)
	one, _ := node(t, Options{Log: shared{log}})
	lost := claim(t, one, request("k"))
	later, _ := node(t, Options{Log: shared{log}, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	other := request("k")
	other.Fingerprint = DigestOf("another body")
	if e := claim(t, later, other); e.Run == lost.Run || e.Attempt != 1 || e.Before != (Before{}) {
		t.Errorf("it is attempt %d of run %s behind %v, want a run of its own", e.Attempt, e.Run, e.Before)
	}
}

// hole is a log that has lost, from when it is said where, what stood at an offset, and has what came behind.
type hole struct {
	eventlog.Log
	lost atomic.Pointer[eventlog.Position]
}

func (*hole) Shared() bool { return true }

func (l *hole) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if at := l.lost.Load(); at != nil && p.Topic == at.Topic && p.ID == at.Partition && from == at.Offset {
		from++
	}
	return l.Log.Read(ctx, p, from, o)
}

func TestWhatComesBehindAnAnswerIsNotItsOwn(t *testing.T) {
	log := &hole{Log: openLog(t)}
	k, _ := node(t, Options{Log: log})
	answer(t, claim(t, k, request("k")).Claim, "lost")
	again := request("k")
	p := partitionOf(again.Key)
	for i := 0; ; i++ { // of the same partition, and the same request by its fingerprint
		if next := request(fmt.Sprint(i)); partitionOf(next.Key) == p {
			answer(t, claim(t, k, next).Claim, "another's")
			break
		}
	}
	log.lost.Store(&eventlog.Position{Topic: function.TopicIdempotency, Partition: p, Offset: 1})
	if e, err := k.Enter(t.Context(), again); !errors.Is(err, ErrGone) {
		t.Errorf("Enter = %+v, %v; want ErrGone", e, err)
	}
}

// flaky is a log whose appends may fail, before they are stored or after.
type flaky struct {
	eventlog.Log
	before, after atomic.Bool
	read          func(key []byte) // waits until a record that was stored is folded
}

func (l *flaky) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	away := fault.New(fault.Unavailable, "the log is away")
	if l.before.Load() {
		return nil, away
	}
	at, err := l.Log.Append(ctx, records)
	if l.after.Load() {
		l.read(records[0].Key)
		return nil, away
	}
	return at, err
}

// folded waits until the newest record of a key is the state of these keys.
func folded(k *Keys, key []byte) {
	d, claim, _, err := decode(&eventlog.Record{Key: key})
	if err != nil {
		panic(err)
	}
	p := k.parts[partitionOf(d)]
	for there := false; !there; runtime.Gosched() {
		p.mu.Lock()
		e := p.state.keys[d]
		there = e == nil || e.open != nil && e.open.Claim == claim
		p.mu.Unlock()
	}
}

func TestALogThatFailsLeavesNoKeyTaken(t *testing.T) {
	for name, fail := range map[string]func(*flaky) *atomic.Bool{
		"before it has stored": func(l *flaky) *atomic.Bool { return &l.before },
		"after it has stored":  func(l *flaky) *atomic.Bool { return &l.after },
	} {
		t.Run(name, func(t *testing.T) {
			log := &flaky{Log: openLog(t)}
			k, _ := node(t, Options{Log: shared{log}})
			log.read = func(key []byte) { folded(k, key) }
			fail(log).Store(true)
			if e, err := k.Enter(t.Context(), request("k")); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
				t.Fatalf("Enter = %+v, %v; want Unavailable with a hint", e, err)
			}
			fail(log).Store(false)
			c := claim(t, k, request("k")).Claim
			fail(log).Store(true)
			if err := c.Free(t.Context()); err == nil {
				t.Error("Free says that it is stored")
			}
			fail(log).Store(false)
			claim(t, k, request("k"))
		})
	}
}

func TestAnAnswerThatTheLogDidNotTakeLeavesTheKeyTaken(t *testing.T) {
	log := &flaky{Log: openLog(t)}
	k, _ := node(t, Options{Log: log})
	c := claim(t, k, request("k")).Claim
	log.before.Store(true)
	if err := c.Answer(t.Context(), says("x"), time.Hour); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("Answer = %v", err)
	}
	log.before.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := k.Enter(ctx, request("k")); !errors.Is(err, ErrBusy) {
		t.Errorf("then Enter = %v, want ErrBusy: the function has run", err)
	}
}

func TestAnAnswerThatIsNotInTheLogAnyMoreIsGoneAndNotRunAgain(t *testing.T) {
	log, err := enginetest.Open(enginetest.Options{OneNode: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicIdempotency, Partitions: Partitions, Compact: true, MaxBytes: 1 << 10}); err != nil {
		t.Fatal(err)
	}
	k, _ := node(t, Options{Log: log})
	answer(t, claim(t, k, request("k")).Claim, strings.Repeat("x", 10<<10))
	for i := 0; i < 100; i++ { // what pushes it out
		answer(t, claim(t, k, request(fmt.Sprint(i))).Claim, strings.Repeat("y", 1<<10))
	}
	if err := log.(*disk.Log).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, err := k.Enter(t.Context(), request("k")); !errors.Is(err, ErrGone) {
		t.Errorf("Enter = %+v, %v; want ErrGone", e, err)
	}
}

func TestNewWantsALog(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "needs a log") {
		t.Errorf("New = %v", err)
	}
}

func TestARecordIsOfItsKeyAndItsClaim(t *testing.T) {
	d := DigestOf("k")
	good := encode(d, "a", &record{Claim: "a", Run: "r"})
	if digest, claim, rec, err := decode(&good); err != nil || digest != d || claim != "a" || rec == nil || rec.Run != "r" {
		t.Errorf("decode = %v, %q, %+v, %v", digest, claim, rec, err)
	}
	other := encode(d, "b", &record{Claim: "a"})
	long, short, value := good, good, good
	long.Key, short.Key, value.Value = append([]byte("00"), good.Key...), good.Key[2:], []byte("{")
	for name, r := range map[string]eventlog.Record{"another claim's": other, "a long digest": long, "a short digest": short, "no JSON": value, "no digest": {Key: []byte("k.a")}} {
		if _, _, rec, err := decode(&r); err == nil {
			t.Errorf("%s: decode = %+v, want an error", name, rec)
		}
	}
}

func TestAnAttemptThatIsYieldedIsMadeByWhoComesNext(t *testing.T) {
	log := openLog(t)
	gone, stop := node(t, Options{Log: alone{log}})
	first := claim(t, gone, request("k"))
	stop()
	k, _ := node(t, Options{Log: alone{log}})
	second := claim(t, k, request("k"))
	if second.Attempt != 2 || second.Run != first.Run {
		t.Fatalf("after a crash it is attempt %d of %s", second.Attempt, second.Run)
	}
	for range 2 {
		second.Claim.Yield(second.Before)
		next := claim(t, k, request("k"))
		if next.Attempt != 2 || next.Run != first.Run || !next.Before.Since.Equal(second.Before.Since) || !next.Before.Until.Equal(second.Before.Until) {
			t.Errorf("who comes next makes attempt %d of %s, and looks through %v; want 2 of %s and %v", next.Attempt, next.Run, next.Before, first.Run, second.Before)
		}
		second = next
	}
}

func TestAClaimThatDoesNotSayWhenItsRequestWasBegun(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for attempt, want := range map[int]time.Time{1: at, 3: at.Add(-2 * (time.Minute + function.MaxKeep))} {
		if got := (&record{Attempt: attempt, At: at, Deadline: at.Add(time.Minute)}).begun(); !got.Equal(want) {
			t.Errorf("attempt %d: %s, want %s", attempt, got, want)
		}
	}
}
