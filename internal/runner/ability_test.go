package runner

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestStrictDemandsAllOfTheFence(t *testing.T) {
	whole := Ability{Isolated: true, Users: true, Limits: AllLimits()}
	for _, c := range []struct {
		name  string
		spoil func(*Ability)
		want  []string // named in the refusal; none = permitted
	}{
		{"the whole fence", func(*Ability) {}, nil},
		{"no fence", func(a *Ability) { *a = Ability{} }, []string{"any isolation"}},
		{"no limit on memory", func(a *Ability) { a.Limits = []string{"cpu", "pids", "files", "tmp"} }, []string{"a limit on memory"}},
		{"an ordinary user", func(a *Ability) { a.Users, a.Limits = false, []string{"pids", "files", "tmp"} }, []string{"a user of its own", "a limit on memory", "a limit on cpu"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := whole
			c.spoil(&a)
			if err := a.Permits(&Spec{Function: "f"}); err != nil {
				t.Errorf("Permits of a function that demands nothing = %v, want nil", err)
			}
			err := a.Permits(&Spec{Function: "f", Strict: true})
			if c.want == nil {
				if err != nil {
					t.Errorf("Permits = %v, want nil", err)
				}
				return
			}
			if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "dalamb doctor") {
				t.Fatalf("Permits = %v, hint %q; want Unavailable and the next step", err, fault.HintOf(err))
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Permits = %v, want %q in it", err, want)
				}
			}
		})
	}
}
