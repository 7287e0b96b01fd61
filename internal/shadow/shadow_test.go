package shadow

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// stage is a shadow with a fleet, a log and roll-outs that the test sets. It is for a synctest bubble.
type stage struct {
	*testing.T
	shadow *Shadow
	stop   func()

	mu      sync.Mutex
	targets []Target
	changed chan struct{}
	answer  func(c fleet.Call) (*function.Result, error)
	crowded bool
	calls   []fleet.Call
	records []eventlog.Record
	refuse  bool
}

func (s *stage) Invoke(_ context.Context, c fleet.Call) (*function.Result, error) {
	s.mu.Lock()
	s.calls = append(s.calls, c)
	answer := s.answer
	s.mu.Unlock()
	r, err := answer(c)
	if r != nil {
		r.Version = c.Version
	}
	return r, err
}

func (s *stage) Crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crowded
}

func (s *stage) Append(_ context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		return nil, errors.New("not now")
	}
	s.records = append(s.records, records...)
	return make([]eventlog.Position, len(records)), nil
}

func (s *stage) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// newStage has one roll-out of pay, from version 1 to 2, of which all is copied. A copy's answer is the text "ok".
func newStage(t *testing.T) *stage {
	s := &stage{T: t, changed: make(chan struct{}), answer: always("ok")}
	s.targets = []Target{s.target(7)}
	var err error
	s.shadow, err = New(Options{Log: s, Fleet: s, Targets: func() ([]Target, <-chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.targets, s.changed
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.shadow.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	synctest.Wait()
	return s
}

func (s *stage) target(id int64) Target {
	to := &function.Version{Number: 2, Spec: function.Spec{Name: "pay", Scale: function.Scale{Max: 4}}}
	return Target{Rollout: id, Function: "pay", Alias: "live", From: 1, To: to, Shadow: function.Shadow{Sample: 100}}
}

func always(body string) func(fleet.Call) (*function.Result, error) {
	return func(fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte(body)}, nil
	}
}

// ran is a live run of an event, by version 1, that answered "ok".
func ran(key, id string) Copy {
	e := &event.Event{ID: id, Source: "/t", Type: "order.created", DataContentType: "application/json", Data: []byte(`{}`)}
	return Copy{
		Function: "pay", Key: key, Event: function.EventRef{Topic: "events", ID: id}, Cause: e,
		Invocation: &function.Invocation{ID: "inv-" + id, Run: "run-" + id, Attempt: 1, Trigger: "t", Event: e},
		Result:     &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte("ok"), Version: 1},
	}
}

// told are the findings in the log, and how many copies it says were dropped.
func (s *stage) told() (runs []function.ShadowRun, dropped int64) {
	s.Helper()
	time.Sleep(2 * gather)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			s.Fatal(err)
		}
		switch e.Type {
		case event.TypeShadowFinished:
			var run function.ShadowRun
			if err := json.Unmarshal(e.Data, &run); err != nil {
				s.Fatal(err)
			}
			runs = append(runs, run)
		case event.TypeShadowDropped:
			var d function.ShadowDropped
			if err := json.Unmarshal(e.Data, &d); err != nil {
				s.Fatal(err)
			}
			dropped += d.Dropped
		}
	}
	return runs, dropped
}

func (s *stage) called() []fleet.Call {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func TestACopyIsComparedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		live := ran("k", "1")
		s.shadow.Offer(live)
		runs, _ := s.told()
		if len(runs) != 1 || runs[0].Kind != "" || runs[0].Rollout != 7 || runs[0].Run != "run-1" || runs[0].Live.Version != 1 || runs[0].Shadow.Version != 2 {
			t.Fatalf("told %+v, want one run that is the same", runs)
		}
		c := s.called()[0]
		inv := c.Invocation
		if c.Function != "pay" || c.Version != 2 || !inv.Shadow || inv.Run != "run-1" || inv.ID == "inv-1" || inv.Trigger != "t" {
			t.Errorf("the copy is %+v of %+v, want version 2 with the run's id and an invocation of its own", c, inv)
		}
		if got := inv.Event.Extensions[event.ExtShadow]; got != true || live.Invocation.Event.Extensions[event.ExtShadow] != nil {
			t.Errorf("the copy's event is marked %v, and the live one %v; want the copy alone", got, live.Invocation.Event.Extensions)
		}
		s.mu.Lock()
		s.answer = always("no")
		s.mu.Unlock()
		s.shadow.Offer(ran("k", "2"))
		if runs, _ = s.told(); len(runs) != 2 || runs[1].Kind != function.ReplayDifferent || len(runs[1].Changes) != 1 || runs[1].Event.ID != "2" {
			t.Errorf("told %+v, want the second to be different", runs)
		}
	})
}

func TestWhatIsNotCopied(t *testing.T) {
	for name, change := range map[string]func(c *Copy){
		"another function":      func(c *Copy) { c.Function = "ship" },
		"another alias":         func(c *Copy) { c.Alias = "next" },
		"another version":       func(c *Copy) { c.Result.Version = 2 },
		"an answer cut off":     func(c *Copy) { c.Result.Abandoned = true },
		"the end of a loop":     func(c *Copy) { c.Cause.SetExtension(event.ExtHops, int32(event.MaxHops+1)) },
		"more than may be held": func(c *Copy) { c.Body = make([]byte, maxHeld) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				defer s.stop()
				c := ran("k", "1")
				change(&c)
				s.shadow.Offer(c)
				s.shadow.Offer(ran("k", "2"))
				if runs, _ := s.told(); len(runs) != 1 || runs[0].Run != "run-2" {
					t.Errorf("told %+v, want run-2 alone", runs)
				}
			})
		})
	}
}

func TestAKeyIsCopiedWholeOrNotAtAllAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		half := s.target(8)
		half.Shadow.Sample = 50
		s.set(func() { s.targets = []Target{half} })
		synctest.Wait()
		s.mu.Lock()
		s.answer = func(c fleet.Call) (*function.Result, error) {
			time.Sleep(time.Duration(10-len(c.Invocation.Run)%7) * time.Millisecond)
			return always("ok")(c)
		}
		s.mu.Unlock()
		want := map[string][]string{}
		for n := range 6 {
			for k := range 20 {
				c := ran(fmt.Sprintf("key-%d", k), fmt.Sprintf("%d-%d", k, n))
				want[c.Key] = append(want[c.Key], c.Invocation.Run)
				s.shadow.Offer(c)
			}
		}
		time.Sleep(5 * time.Second)
		runs, dropped := s.told()
		if dropped != 0 {
			t.Fatalf("%d copies were dropped, want none", dropped)
		}
		got := map[string][]string{}
		for _, r := range runs {
			k, _, _ := strings.Cut(strings.TrimPrefix(r.Run, "run-"), "-")
			got["key-"+k] = append(got["key-"+k], r.Run)
		}
		if len(got) < 4 || len(got) > 16 {
			t.Errorf("%d of 20 keys were copied, want about half", len(got))
		}
		for key, runs := range got {
			if !slices.Equal(runs, want[key]) {
				t.Errorf("%s was copied as %v, want all in order: %v", key, runs, want[key])
			}
		}
	})
}

// A version that hangs takes its workers and what may wait, and no more: the rest is counted, and nobody who offers waits.
func TestAHangingVersionHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.mu.Lock()
		s.answer = func(c fleet.Call) (*function.Result, error) {
			<-c.Kill
			return nil, errors.New("killed")
		}
		s.mu.Unlock()
		began := time.Now()
		const offered = 2000
		for i := range offered {
			s.shadow.Offer(ran(fmt.Sprint(i), fmt.Sprint(i)))
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("Offer took %s, want nothing", waited)
		}
		_, dropped := s.told()
		if most := int64(4*maxQueued + 4); dropped < offered-most || dropped == offered || len(s.called()) != 4 {
			t.Errorf("%d of %d were dropped with %d under way, want all but %d, and 4", dropped, offered, len(s.called()), most)
		}
		s.stop() // which kills what hangs
		if got := s.shadow.held.Load(); got != 0 {
			t.Errorf("%d bytes are held after the end, want none", got)
		}
	})
}

func TestCopiesAreLeftOutWhereLiveCallsNeedTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		s.mu.Lock()
		s.crowded = true
		s.mu.Unlock()
		s.shadow.Offer(ran("k", "1"))
		if runs, dropped := s.told(); len(runs) != 0 || dropped != 1 || len(s.called()) != 0 {
			t.Errorf("told %+v and %d dropped after %d calls, want the copy left out", runs, dropped, len(s.called()))
		}
		s.mu.Lock()
		s.crowded = false
		s.answer = func(fleet.Call) (*function.Result, error) { return nil, errors.New("no instance in time") }
		s.mu.Unlock()
		s.shadow.Offer(ran("k", "2"))
		if runs, dropped := s.told(); len(runs) != 0 || dropped != 2 {
			t.Errorf("told %+v and %d dropped, want what the node could not run to say nothing of the version", runs, dropped)
		}
	})
}

func TestNothingIsToldOfAStepThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		finish := make(chan struct{})
		s.mu.Lock()
		s.answer = func(c fleet.Call) (*function.Result, error) {
			<-finish
			return always("no")(c)
		}
		s.mu.Unlock()
		for i := range 10 {
			s.shadow.Offer(ran("k", fmt.Sprint(i)))
		}
		synctest.Wait()
		s.set(func() { s.targets = nil })
		synctest.Wait()
		s.shadow.Offer(ran("k", "late"))
		close(finish)
		if runs, dropped := s.told(); len(runs) != 0 || dropped != 0 || len(s.called()) != 1 {
			t.Errorf("told %+v, %d dropped after %d calls; want the one under way to end, and nothing said", runs, dropped, len(s.called()))
		}
		if got := s.shadow.held.Load(); got != 0 {
			t.Errorf("%d bytes are held, want none", got)
		}
		s.mu.Lock()
		s.answer = always("ok")
		s.mu.Unlock()
		s.set(func() { s.targets = []Target{s.target(9)} })
		synctest.Wait()
		s.shadow.Offer(ran("k", "new"))
		if runs, _ := s.told(); len(runs) != 1 || runs[0].Rollout != 9 {
			t.Errorf("told %+v, want that of the next roll-out", runs)
		}
	})
}

func TestWhatTheLogDoesNotTakeCountsAsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		s.mu.Lock()
		s.refuse = true
		s.mu.Unlock()
		s.shadow.Offer(ran("k", "1"))
		s.told()
		s.mu.Lock()
		s.refuse = false
		s.mu.Unlock()
		if runs, dropped := s.told(); len(runs) != 0 || dropped != 1 {
			t.Errorf("told %+v and %d dropped, want the one that was not taken", runs, dropped)
		}
	})
}

func TestOfManyDifferencesAFewAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		s.mu.Lock()
		s.answer = always("no")
		s.mu.Unlock()
		for i := range shownDifferences + 5 {
			s.shadow.Offer(ran("k", fmt.Sprint(i)))
		}
		runs, _ := s.told()
		shown := 0
		for _, r := range runs {
			if r.Kind != function.ReplayDifferent {
				t.Errorf("%s is %q, want different", r.Run, r.Kind)
			}
			shown += len(r.Changes)
		}
		if len(runs) != shownDifferences+5 || shown != shownDifferences {
			t.Errorf("%d of %d are shown, want the first %d", shown, len(runs), shownDifferences)
		}
	})
}

func TestARequestsCopyHasItsBodyAndItsMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		ctx, gone := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/orders?token=x", strings.NewReader("spent"))
		r.Header.Set("X-Own", "1")
		gone()
		c := ran("", "1")
		c.Invocation = &function.Invocation{ID: "i", Run: "r", Request: r}
		c.Body, c.Name = []byte("body"), func() string { return "POST /orders?token=[redacted]" }
		s.shadow.Offer(c)
		runs, _ := s.told()
		if len(runs) != 1 || runs[0].Request != "POST /orders?token=[redacted]" {
			t.Fatalf("told %+v", runs)
		}
		got := s.called()[0].Invocation.Request
		body, err := io.ReadAll(got.Body)
		if err != nil || string(body) != "body" || got.ContentLength != 4 || got.Header.Get("X-Own") != "1" || got.Header.Get(function.ShadowHeader) != "true" || got.Context().Err() != nil {
			t.Errorf("the copy has %q of %d, %v (%v, %v)", body, got.ContentLength, got.Header, err, got.Context().Err())
		}
		if r.Header.Get(function.ShadowHeader) != "" {
			t.Error("the live request is marked")
		}
	})
}

func TestAStreamedAnswerIsCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.stop()
		long := bytes.Repeat([]byte("x"), 100)
		streams := func(all []byte) func(fleet.Call) (*function.Result, error) {
			return func(c fleet.Call) (*function.Result, error) {
				w, err := c.Invocation.Responder.Respond(function.Head{Status: 200})
				if err == nil {
					_, err = w.Write(all)
				}
				return &function.Result{Outcome: function.Succeeded, Status: 200, Streamed: int64(len(all))}, err
			}
		}
		for i, test := range []struct {
			answer []byte
			kind   string
		}{{long, ""}, {append(slices.Clone(long), 'y'), function.ReplayDifferent}, {append([]byte("y"), long[1:]...), function.ReplayDifferent}} {
			s.mu.Lock()
			s.answer = streams(test.answer)
			s.mu.Unlock()
			c := ran("", fmt.Sprint(i))
			c.Invocation = &function.Invocation{ID: "i", Run: "r", Request: httptest.NewRequest(http.MethodGet, "/", nil)}
			c.Answer, c.Result.Body, c.Result.Streamed = long[:40], nil, 100
			s.shadow.Offer(c)
			if runs, _ := s.told(); len(runs) != i+1 || runs[i].Kind != test.kind {
				t.Errorf("%d: told %+v, want %q", i, runs, test.kind)
			}
		}
	})
}

func TestAClientContextIsMarked(t *testing.T) {
	for given, want := range map[string]string{
		"":                               `{"custom":{"dalambshadow":"true"}}`,
		`{"client":{"app":"x"}}`:         `{"client":{"app":"x"},"custom":{"dalambshadow":"true"}}`,
		`{"custom":{"a":1,"b":{"c":2}}}`: `{"custom":{"a":1,"b":{"c":2},"dalambshadow":"true"}}`,
		`[1]`:                            `[1]`,
		`null`:                           `null`,
		`{"custom":"mine"}`:              `{"custom":"mine"}`,
	} {
		got, err := base64.StdEncoding.DecodeString(markedContext(base64.StdEncoding.EncodeToString([]byte(given))))
		if err != nil || string(got) != want {
			t.Errorf("markedContext(%s) = %s, %v; want %s", given, got, err, want)
		}
	}
	if got := markedContext("no base64!"); got != "no base64!" {
		t.Errorf("what cannot be read became %q", got)
	}
}
