package incoming

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestWhatAHookIsToldIsBroughtAndReported(t *testing.T) {
	w := newWorld(t)
	w.begin()
	if w.receive(told("1", "aa")) {
		t.Error("the first delivery is a repetition")
	}
	f := w.finished(1)
	if f.State != function.HookDelivered || f.ID != "1" || f.After != "aa" || !slices.Equal(f.Functions, []string{"pay version 2 (live)"}) || !slices.Equal(f.Said, []string{"main aa"}) {
		t.Errorf("finished: %+v", f)
	}
	if r := w.reported(1); r.ID != "1" || r.Error != "" {
		t.Errorf("reported: %+v", r)
	}
	want := []string{
		`POST /repos/acme/shop/statuses/aa Bearer t0ken {"context":"dalamb","description":"is being delivered","state":"pending"}`,
		`POST /repos/acme/shop/statuses/aa Bearer t0ken {"context":"dalamb","description":"pay version 2 (live)","state":"success"}`,
	}
	if got := w.forge.all(); !reflect.DeepEqual(got, want) {
		t.Errorf("the provider was told\n%q\nwant\n%q", got, want)
	}
	got := w.git.brought[0]
	got.Access = nil
	if want := (git.Remote{
		Hook: "shop", URL: "https://git.example/acme/shop.git", Repository: "git.example/acme/shop", Ref: "refs/heads/main", Before: "b", After: "aa", Pusher: "jane",
		Link: "https://git.example/acme/shop/commit/aa", ID: "1",
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("brought %+v, want %+v", got, want)
	}
	if !w.git.kept["shop"] || w.git.kept["toys"] {
		t.Errorf("kept %v, want what there is a hook for", w.git.kept)
	}
}

// What comes again changes nothing: the same delivery, and the same commit by another one. One that failed is taken again.
func TestADeliveryIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.receive(told("1", "aa"))
	w.finished(1)
	w.reported(1)
	if !w.receive(told("1", "aa")) {
		t.Error("the same delivery is no repetition")
	}
	w.receive(told("2", "aa"))
	if f := w.finished(2); f.State != function.HookRepeated {
		t.Errorf("the same commit is %s", f.State)
	}
	w.git.outcome = func(git.Remote) error {
		return fault.New(fault.Invalid, "pay/dalamb.yaml:3:1: timout: unknown field\nmore").WithHint("look at it")
	}
	w.receive(told("3", "bb"))
	if f := w.finished(3); f.State != function.HookFailed || !strings.HasPrefix(f.Error, "pay/dalamb.yaml:3:1") || f.Hint != "look at it" {
		t.Errorf("finished: %+v", f)
	}
	w.reported(2)
	if last := w.forge.all()[3]; !strings.Contains(last, `"description":"pay/dalamb.yaml:3:1: timout: unknown field","state":"failure"`) {
		t.Errorf("the provider was told %s", last)
	}
	if e := w.events(function.TopicEvents, event.TypeHookFailed, 1)[0]; e.Source != "/dalamb/hooks/shop" || !strings.Contains(string(e.Data), "timout") {
		t.Errorf("the topic of all has %s of %s: %s", e.Type, e.Source, e.Data)
	}
	w.git.outcome = nil
	if w.receive(told("3", "bb")) {
		t.Error("a delivery that failed is a repetition")
	}
	if f := w.finished(4); f.State != function.HookDelivered {
		t.Errorf("what failed before is %s", f.State)
	}
	list, err := w.keeper.Deliveries(context.Background(), "shop", 10)
	w.ok(err)
	var got []string
	for _, d := range list {
		got = append(got, d.ID+" "+d.State)
	}
	if want := []string{"3 delivered", "2 repeated", "1 delivered"}; !slices.Equal(got, want) {
		t.Errorf("deliveries %q, want %q", got, want)
	}
	if list, err = w.keeper.Deliveries(context.Background(), "shop", 1); err != nil || len(list) != 1 {
		t.Errorf("one delivery: %v, %v", list, err)
	}
}

// What was received is acted upon after a restart, once; what came of it is told the provider, if that is not known to have been done.
func TestARestartGoesOn(t *testing.T) {
	w := newWorld(t)
	w.receive(told("1", "aa"))
	w.receive(told("2", "bb"))
	w.receive(told("2", "bb")) // this node does not own the partition, and so does not know
	w.restart()
	w.begin()
	w.finished(2)
	w.reported(2)
	if n := w.git.count(); n != 2 {
		t.Errorf("brought %d times, want 2", n)
	}
	n := len(w.forge.all())
	w.restart()
	w.begin()
	w.receive(told("3", "cc"))
	w.finished(3)
	w.reported(3)
	if got := len(w.forge.all()) - n; got != 2 {
		t.Errorf("the provider was told %d times of a delivery after a restart, want 2", got)
	}
	// One is ended in the middle.
	began, hang := make(chan struct{}), make(chan struct{})
	w.git.outcome = func(git.Remote) error {
		began <- struct{}{}
		<-hang
		return nil
	}
	w.receive(told("4", "dd"))
	<-began
	go close(hang)
	w.restart()
	w.git.outcome = nil
	w.begin()
	if f := w.finished(4); f.After != "dd" || f.State != function.HookDelivered {
		t.Errorf("finished: %+v", f)
	}
	// The node stops while another is built: that is no failure of it.
	stopped := make(chan struct{})
	w.git.outcome = func(git.Remote) error {
		close(stopped)
		return fmt.Errorf("build pay: %w", git.ErrStopping)
	}
	w.receive(told("5", "ee"))
	<-stopped
	w.restart()
	w.git.outcome = nil
	w.begin()
	if f := w.finished(5); f.After != "ee" || f.State != function.HookDelivered {
		t.Errorf("finished: %+v", f)
	}
}

// Each record is folded twice: the story is the same.
func TestTheStoryIsTheSameWhenItIsToldTwice(t *testing.T) {
	w := newWorld(t)
	w.begin()
	for i := range 5 {
		w.receive(told(fmt.Sprint(i), fmt.Sprint(i%2)))
		w.finished(i + 1)
	}
	once, twice := newStory(), newStory()
	_, err := eventlog.ReadAll(context.Background(), w.log, eventlog.Partition{Topic: function.TopicHooks}, func(r *eventlog.Record) error {
		return errors.Join(once.fold(r), twice.fold(r), twice.fold(r))
	})
	w.ok(err)
	if !reflect.DeepEqual(once, twice) || len(once.all) != 5 {
		t.Errorf("the story is\n%+v\nand told twice\n%+v", once, twice)
	}
}

func TestTheStoryIsBounded(t *testing.T) {
	s := newStory()
	for i := range maxTold + 10 {
		one := told(fmt.Sprint(i), "aa")
		s.all[one.ID] = &function.HookFinished{HookReceived: one.HookReceived, ID: one.ID, State: function.HookWaiting}
		s.order = append(s.order, one.ID)
	}
	for i := range maxTold + 5 {
		over := *s.all[fmt.Sprint(i)]
		over.State = function.HookDelivered
		forgotten := s.finish(over)
		if want := max(0, i-maxTold+1); len(forgotten) > 1 || (i >= maxTold) != (len(forgotten) == 1) || i >= maxTold && forgotten[0] != fmt.Sprint(want-1) {
			t.Fatalf("after %d: forgotten %q", i, forgotten)
		}
	}
	if len(s.all) != maxTold+5 || len(s.waiting()) != 5 {
		t.Errorf("%d are known and %d wait, want %d and 5", len(s.all), len(s.waiting()), maxTold+5)
	}
}

// A provider that is down holds nothing up, and is given up in the end.
func TestAProviderThatIsDown(t *testing.T) {
	w := newWorld(t)
	w.forge.answer = func(int) int { return http.StatusBadGateway }
	w.begin()
	w.receive(told("1", "aa"))
	if f := w.finished(1); f.State != function.HookDelivered {
		t.Errorf("finished: %+v", f)
	}
	if r := w.reported(1); !strings.HasSuffix(r.Error, "answers 502") || len(w.forge.all()) != 1+reportTries {
		t.Errorf("reported %+v after %d requests, want it given up after %d", r, len(w.forge.all()), 1+reportTries)
	}
	w.forge.mu.Lock()
	w.forge.answer = func(n int) int { return []int{http.StatusBadGateway, http.StatusOK}[n%2] }
	w.forge.mu.Unlock()
	w.receive(told("2", "bb"))
	if r := w.reported(2); r.Error != "" {
		t.Errorf("reported %+v, when the provider is there again", r)
	}
	n := len(w.forge.all())
	w.forge.mu.Lock()
	w.forge.answer = func(int) int { return http.StatusForbidden }
	w.forge.mu.Unlock()
	w.receive(told("3", "cc"))
	if r := w.reported(3); !strings.Contains(r.Error, "answers 403 for acme/shop") || len(w.forge.all()) != n+2 {
		t.Errorf("reported %+v after %d requests, want one try", r, len(w.forge.all())-n-1)
	}
}

func TestOutcomesThatAreNoDelivery(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.git.outcome = func(git.Remote) error { return fmt.Errorf("main is at cc: %w", git.ErrSuperseded) }
	w.receive(told("1", "aa"))
	if f := w.finished(1); f.State != function.HookSuperseded {
		t.Errorf("finished: %+v", f)
	}
	w.reported(1)
	if last := w.forge.all()[1]; !strings.Contains(last, `"state":"error"`) {
		t.Errorf("the provider was told %s", last)
	}
	w.git.outcome = nil
	gone := told("2", "")
	tag := told("3", "aa")
	tag.Ref = "refs/tags/v1"
	w.receive(gone, tag)
	w.finished(3)
	w.submit(catalog.RemoveHook{Name: "shop"})
	w.receive(told("4", "dd"))
	if f := w.finished(4); f.State != function.HookFailed || !strings.Contains(f.Error, `no hook "shop"`) {
		t.Errorf("finished: %+v", f)
	}
	if n := len(w.forge.all()); n != 2 {
		t.Errorf("the provider was told %d times, want 2: of the branch's commit alone", n)
	}
}

// Who can tell by one hook fills the part of that one alone.
func TestTooManyWait(t *testing.T) {
	w := newWorld(t)
	for i := range maxWaitingOfHook {
		w.keeper.note(fmt.Sprint(i), "shop", function.HookWaiting)
	}
	one := told("x", "aa")
	if _, err := w.keeper.Received([]function.HookTold{one}); fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), "of the hook shop") {
		t.Errorf("Received = %v, want Exhausted", err)
	}
	one.Hook = "toys"
	if _, err := w.keeper.Received([]function.HookTold{one}); err != nil {
		t.Errorf("Received by another hook = %v", err)
	}
	for i := range maxWaiting {
		w.keeper.note(fmt.Sprint(i), fmt.Sprint(i%10), function.HookWaiting)
	}
	if _, err := w.keeper.Received([]function.HookTold{one}); fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), "of hooks") {
		t.Errorf("Received when all is full = %v, want Exhausted", err)
	}
	if len(w.keeper.storing) != 0 {
		t.Errorf("on its way into the log: %v, want nothing", w.keeper.storing)
	}
}

// The id of a delivery is not signed by every provider: who has seen a request may send it again under another.
func TestTheSameUnderAnotherIDEndsNothingThatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	began, gate := make(chan struct{}), make(chan struct{})
	w.git.outcome = func(git.Remote) error {
		began <- struct{}{}
		<-gate
		return nil
	}
	w.begin()
	w.receive(told("1", "aa"))
	<-began
	w.receive(told("2", "aa"))
	if f := w.finished(1); f.ID != "2" || f.State != function.HookRepeated {
		t.Errorf("finished: %+v, want the second, as a repetition", f)
	}
	w.receive(told("3", "bb"))
	<-began
	w.receive(told("4", "aa")) // the branch goes back: no repetition
	<-began
	close(gate)
	w.finished(4)
	if n := w.git.count(); n != 3 {
		t.Errorf("brought %d times, want 3", n)
	}
}

// What is tried again is told of again.
func TestTheStoryOfASecondTryIsItsOwn(t *testing.T) {
	w := newWorld(t)
	w.git.outcome = func(git.Remote) error { return fault.New(fault.Invalid, "no") }
	w.begin()
	w.receive(told("1", "aa"))
	w.reported(1)
	w.git.mu.Lock()
	w.git.outcome = nil
	w.git.mu.Unlock()
	w.receive(told("1", "aa"))
	w.finished(2)
	s := newStory()
	if _, err := eventlog.ReadAll(context.Background(), w.log, eventlog.Partition{Topic: function.TopicHooks}, func(r *eventlog.Record) error {
		if r.Offset < 5 { // received, finished, reported; received, finished: it is not told yet
			return s.fold(r)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s.told["1"] || s.all["1"].State != function.HookDelivered {
		t.Errorf("told %v, state %s; want that the second outcome is to be told", s.told["1"], s.all["1"].State)
	}
}
