package entry

import (
	"errors"
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
		gone := func(c Conn) bool {
			select {
			case <-c.Done(): // it is noticed a moment after the sandbox has ended
				return true
			case <-time.After(5 * time.Second):
				return false
			}
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
		for _, behaves := range []string{"lambda:hang", "http:hang", "stdio:hang"} {
			hangs := s.start(version(behaves, within(time.Second)))
			r, got := tailed(hangs)
			wantOutcome(t, r, function.TimedOut)
			said := got == "hanging\n" || behaves == "stdio:hang" // whose time begins with its process, which may not come to it
			if ended := gone(hangs); !said || !ended {
				t.Errorf("%s: the tail of a function that hangs is %q, and it is gone: %v", behaves, got, ended)
			}
		}
		if _, got := tailed(s.start(version("stdio:exit=3"))); got != "the reason is on stderr\n" {
			t.Errorf("the tail of a program is %q", got)
		}
	})
}

// What an instance says that ends before it takes an invocation is not of that.
func TestATailHasNothingOfAnInstanceThatDidNotTakeTheInvocation(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		inv := payload(`{"long":"` + strings.Repeat("x", 1<<20) + `"}`) // more than a pipe holds
		inv.Tail = function.NewTail(4 << 10)
		if _, err := s.start(version("stdio:lines-unfit=no such module", byLines)).Invoke(t.Context(), inv); !errors.Is(err, ErrUndelivered) {
			t.Fatalf("Invoke = %v, want ErrUndelivered", err)
		}
		if r := s.invoke(s.start(version("stdio:lines-count", byLines)), inv); r.Outcome != function.Succeeded {
			t.Fatalf("the other instance: %+v", r)
		}
		if got := string(inv.Tail.Take()); strings.Contains(got, "no such module") {
			t.Errorf("the tail is %q", got)
		}
	})
}
