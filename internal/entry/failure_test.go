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
