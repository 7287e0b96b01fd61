package entry

import (
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestATailHasAllThatWasPrintedBeforeTheAnswer(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		tailed := func(c Conn) (*function.Result, string) {
			inv := payload("{}")
			inv.Tail = function.NewTail(4 << 10)
			r := s.invoke(c, inv)
			return r, string(inv.Tail.Take())
		}
		c := s.start(version("lambda:print"))
		for range 50 {
			_, got := tailed(c)
			if len(got) != len("line one\nline two\n") || !strings.Contains(got, "line one\n") || !strings.Contains(got, "line two\n") {
				t.Fatalf("the tail is %q, want both lines of this invocation", got)
			}
		}
		if _, got := tailed(s.start(version("lambda:crash"))); !strings.Contains(got, "segmentation fault, sort of\n") {
			t.Errorf("the tail of a crash is %q", got)
		}
		r, got := tailed(s.start(version("lambda:hang", within(200*time.Millisecond))))
		wantOutcome(t, r, function.TimedOut)
		if got != "hanging\n" {
			t.Errorf("the tail of a function that hangs is %q", got)
		}
		if _, got := tailed(s.start(version("stdio:exit=3"))); got != "the reason is on stderr\n" {
			t.Errorf("the tail of a program is %q", got)
		}
	})
}
