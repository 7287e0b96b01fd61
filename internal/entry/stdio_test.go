package entry

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

func TestStdioTellsTheInvocation(t *testing.T) {
	s := newStage(t)
	inv := payload("{}")
	inv.Attempt, inv.TraceParent = 3, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := s.once("stdio:env", inv)
	wantOutcome(t, r, function.Succeeded)
	for _, want := range []string{"DALAMB_FUNCTION=shop", "DALAMB_VERSION=3", "DALAMB_RUN=run-1", "DALAMB_ATTEMPT=3", "DALAMB_REQUEST_ID=" + inv.ID, "TRACEPARENT=" + inv.TraceParent} {
		if !strings.Contains(string(r.Body), want+"\n") {
			t.Errorf("environment has no %s: %s", want, r.Body)
		}
	}
}

func TestStdioAnswersARequest(t *testing.T) {
	s := newStage(t)
	request := func() *function.Invocation {
		r := httptest.NewRequest("PUT", "/a/b%00c?x=1", strings.NewReader("hello"))
		r.Header.Set("Content-Type", "text/csv")
		return &function.Invocation{ID: event.NewID(), Request: r}
	}
	r := s.once("stdio:echo", request())
	if r.Status != 200 || string(r.Body) != "hello" || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("answer = %d %v %q", r.Status, r.Header, r.Body)
	}
	r = s.once("stdio:env", request())
	for _, want := range []string{"REQUEST_METHOD=PUT", "QUERY_STRING=x=1", "CONTENT_TYPE=text/csv"} {
		if !strings.Contains(string(r.Body), want+"\n") {
			t.Errorf("environment has no %s: %s", want, r.Body)
		}
	}
	if strings.Contains(string(r.Body), "PATH_INFO") {
		t.Errorf("a path that no environment can hold is in it: %s", r.Body)
	}
}

// Not in parallel with others: what a machine is too busy to take is lost, and that is another result.
func TestHowMuchAStdioFunctionMayAnswer(t *testing.T) {
	s := newStage(t)
	wantOutcome(t, s.once("stdio:big=6291456", payload("{}")), function.Succeeded)
	wantFailure(t, s.once("stdio:big=6291457", payload("{}")), function.BadAnswer, "Function.ResponseSizeTooLarge", "6291456")
}

func TestStdioTakesOneInvocation(t *testing.T) {
	s := newStage(t)
	c := s.start(version("stdio:echo"))
	s.invoke(c, payload("{}"))
	if _, err := c.Invoke(t.Context(), payload("{}")); err == nil {
		t.Error("a second invocation was run")
	}
	unused := s.start(version("stdio:echo"))
	unused.Stop(0)
	<-unused.Done()
	if _, err := unused.Invoke(t.Context(), payload("{}")); err == nil {
		t.Error("an invocation was run after Stop")
	}
}

// eager is a runner whose programs have printed something before Start returns.
type eager struct{ runner.Runner }

func (r eager) Start(ctx context.Context, s runner.Spec) (runner.Sandbox, error) {
	s.Stderr([]byte("early\n"))
	return r.Runner.Start(ctx, s)
}

func TestWhatStdioPrintsAtOnceBelongsToItsRun(t *testing.T) {
	s := newStage(t, func(o *Options) { o.Runner = eager{o.Runner} })
	s.once("stdio:echo", payload("{}"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == 0 || s.lines[0].Text != "early" || s.lines[0].Run != "run-1" {
		t.Errorf("lines = %+v, want the first of run-1", s.lines)
	}
}
