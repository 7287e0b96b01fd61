package entry

import (
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

func TestTheLimitOfAnswersIsTheNodes(t *testing.T) {
	s := newStage(t, func(o *Options) { o.MaxAnswer = 1000 })
	for _, c := range []struct{ fits, over string }{
		{"lambda:big=1000", "lambda:big=1001"},
		{"http:big=1000", "http:big=1001"},
		{"stdio:big=1000", "stdio:big=1001"},
	} {
		wantOutcome(t, s.once(c.fits, payload(`{}`)), function.Succeeded)
		wantFailure(t, s.once(c.over, payload(`{}`)), function.BadAnswer, "Function.ResponseSizeTooLarge",
			"function shop answered with more than the limit of 1000 bytes (1000); answer with less or with where the rest is, stream it on a route, or raise limits.response of the node")
	}
}

func TestAnAnswerIsStoppedWhereWhoAskedHasRoomForNoMore(t *testing.T) {
	s := newStage(t)
	asks := func(most int64) *function.Invocation {
		inv := payload(`{}`)
		inv.MaxAnswer = most
		return inv
	}
	for _, behaves := range []string{"lambda:big=1001", "http:big=1001", "stdio:big=1001"} {
		wantOutcome(t, s.once(behaves, asks(1001)), function.Succeeded)
		wantFailure(t, s.once(behaves, asks(1000)), function.BadAnswer, function.AnswerTooLarge,
			"function shop answered with more than the 1000 bytes (1000) that who asked has room for; answer with less or with where the rest is")
		wantOutcome(t, s.once(behaves, asks(1<<40)), function.Succeeded)
	}
	c := s.start(version("stdio:lines-limit", byLines)) // which answers with as much as a line may have
	for range 2 {
		wantFailure(t, s.invoke(c, asks(1000)), function.BadAnswer, function.AnswerTooLarge, "1000 bytes")
	}
	if r := s.invoke(c, payload(`{}`)); r.Outcome != function.Succeeded || len(r.Body) != defaultAnswer {
		t.Errorf("after an answer that was too long: %s, %d bytes, %+v; want the next one whole, of the same instance", r.Outcome, len(r.Body), r.Failure)
	}
}

func TestAFunctionThatEndsBeforeItIsReadyIsNamed(t *testing.T) {
	s := newStage(t)
	for script, want := range map[string]string{
		"echo no such table: orders >&2; exit 3": "function shop ended with exit status 3 before it was ready: no such table: orders",
		"exit 3":                                 "function shop ended with exit status 3 before it was ready; it printed nothing: let it say why on stderr",
	} {
		v := version("lambda:echo", func(spec *function.Spec) { spec.Entry.Command = []string{"sh", "-c", script} })
		if got := s.startError(v).Failure.Message; got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
}
