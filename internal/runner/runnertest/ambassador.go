package runnertest

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// ambassador tests the names by which a function reaches its node, with a runner that gives functions a network of their own; any other must refuse.
func (s *suite) ambassador(t *testing.T) {
	r := s.runner(t)
	if !s.ability.Isolated {
		spec := s.spec(t, "args")
		spec.Calls = []string{"orders.dalamb"}
		if _, err := r.Start(t.Context(), spec); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
			t.Errorf("Start = %v, want an Unavailable fault with a hint", err)
		}
		return
	}
	bases := map[string]func(args ...string) runner.Spec{
		"scratch": func(args ...string) runner.Spec { return s.spec(t, args...) },
		"host": func(args ...string) runner.Spec {
			spec := s.spec(t, args...)
			spec.Base = "host"
			return spec
		},
	}
	if s.ability.Images {
		bases["image"] = func(args ...string) runner.Spec { return s.imageSpec(t, args...) }
	}
	for base, with := range bases {
		t.Run(base, func(t *testing.T) {
			for _, name := range []string{"orders.dalamb", "pay-cards.dalamb"} {
				spec := with("dial", name+":80")
				spec.Calls, spec.Listen = []string{"orders.dalamb", "pay-cards.dalamb"}, 9001
				b := start(t, r, spec)
				l := b.Sandbox.(runner.Caller).Calls()
				answer(t, l)
				if e := b.end(); e.Code != 0 || b.out.String() != "hello yourself" {
					t.Errorf("%s: exit %+v, stdout %q, stderr %q; want code 0, hello yourself", name, e, b.out.String(), b.err.String())
				}
				if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept after Done = %v, want net.ErrClosed", err)
				}
			}
		})
	}
	t.Run("another name", func(t *testing.T) {
		spec := s.spec(t, "dial", "other.dalamb:80")
		spec.Calls = []string{"orders.dalamb"}
		b := start(t, r, spec)
		if e := b.end(); e.Code != 1 || !strings.Contains(b.err.String(), "lookup other.dalamb") {
			t.Errorf("exit %+v, stderr %q; want code 1, and that the name is not found", e, b.err.String())
		}
	})
	t.Run("none", func(t *testing.T) {
		b := start(t, r, s.spec(t, "dial", "127.0.0.80:80"))
		if l := b.Sandbox.(runner.Caller).Calls(); l != nil {
			t.Errorf("Calls = %v, want nil", l)
		}
		if e := b.end(); e.Code != 1 || !strings.Contains(b.err.String(), "refused") {
			t.Errorf("exit %+v, stderr %q; want code 1, and a refused connection", e, b.err.String())
		}
	})
	for name, change := range map[string]func(*runner.Spec){
		"no name":                 func(sp *runner.Spec) { sp.Calls = []string{"a b"} },
		"a second line":           func(sp *runner.Spec) { sp.Calls = []string{"a\n1.2.3.4 b"} },
		"the network of the host": func(sp *runner.Spec) { sp.Calls, sp.Network = []string{"a.dalamb"}, "host" },
		"more than anybody reads": func(sp *runner.Spec) { sp.Calls = strings.Split(strings.Repeat("a,", 300)+"a", ",") },
	} {
		spec := s.spec(t, "args")
		change(&spec)
		if _, err := r.Start(t.Context(), spec); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: Start = %v, want an Invalid fault", name, err)
		}
	}
}
