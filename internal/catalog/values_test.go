package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

func TestValuesHaveRevisionsAndSurviveARestart(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	sealed := func(text string) SetSecret {
		return SetSecret{Name: "db", Sealed: secret.Sealed{Key: "age1x", Text: []byte(text)}}
	}
	submit(t, c, sealed("one"))
	before := submit(t, c, SetConfig{Name: "level", Value: "info"})
	submit(t, c, sealed("two"))
	v := submit(t, c, SetConfig{Name: "level", Value: "debug"})
	if old, _ := before.ConfigValue("level"); old.Text != "info" || old.Revision != 1 {
		t.Errorf("the older view = %+v, want it unchanged", old)
	}
	check := func(when string, v *View) {
		t.Helper()
		s, err := v.Secret("db")
		if err != nil || s.Revision != 2 || string(s.Sealed.Text) != "two" || s.Sealed.Key != "age1x" || s.Changed.IsZero() {
			t.Errorf("%s: secret = %+v, %v", when, s, err)
		}
		l, err := v.ConfigValue("level")
		if err != nil || l.Revision != 2 || l.Text != "debug" || l.Offset <= s.Offset {
			t.Errorf("%s: configuration value = %+v, %v", when, l, err)
		}
		if len(v.Secrets()) != 1 || len(v.Config()) != 1 {
			t.Errorf("%s: there are %d secrets and %d configuration values", when, len(v.Secrets()), len(v.Config()))
		}
	}
	check("at once", v)
	stop()
	c, stop = start(t, log, store)
	check("from the snapshot", caughtUp(t, c))
	stop()
	c, _ = start(t, log, nil)
	check("from the log", caughtUp(t, c))

	v = submit(t, c, RemoveSecret{Name: "db"})
	if _, err := v.Secret("db"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a removed secret = %v, want not found", err)
	}
	v = submit(t, c, sealed("three"))
	if s, err := v.Secret("db"); err != nil || s.Revision != 1 || s.Offset == 0 {
		t.Errorf("a secret that was made again = %+v, %v", s, err)
	}
}

func caughtUp(t *testing.T, c *Catalog) *View {
	t.Helper()
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c.View()
}

func TestWhatAFunctionTakesIsThere(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	taking := version("pay")
	taking.Spec.Secrets = []function.Secret{{Name: "db", Env: "DB"}}
	taking.Spec.Config = []function.Setting{{Name: "level", Env: "LEVEL"}}
	refused := func(ch Change, kind fault.Kind, words string) {
		t.Helper()
		if _, err := c.Submit(t.Context(), ch); fault.KindOf(err) != kind || !strings.Contains(err.Error(), words) || fault.HintOf(err) == "" {
			t.Errorf("Submit(%T) = %v (%s), want %v with %q", ch, err, fault.HintOf(err), kind, words)
		}
	}
	refused(Deploy{Version: taking}, fault.NotFound, `takes a secret that is not there: there is no secret "db"`)
	submit(t, c, SetSecret{Name: "db"})
	refused(Deploy{Version: taking}, fault.NotFound, `there is no configuration value "level"`)
	_, err := c.Submit(t.Context(), Deploy{Version: taking})
	if got, want := fault.HintOf(err), "set it first: dalamb config set level=VALUE"; got != want {
		t.Errorf("the hint is %q, want %q", got, want)
	}
	set := submit(t, c, SetConfig{Name: "level", Value: "info"})
	if got := set.ValuesOffset(&taking.Spec); got == 0 {
		t.Error("ValuesOffset = 0, want that of the newest value")
	}
	submit(t, c, Deploy{Version: taking})
	refused(RemoveSecret{Name: "db"}, fault.Conflict, `secret "db" is taken by pay`)
	refused(RemoveConfig{Name: "level"}, fault.Conflict, `configuration value "level" is taken by pay`)
	refused(RemoveConfig{Name: "lvel"}, fault.NotFound, `"lvel"`)

	v := submit(t, c, Deploy{Version: version("pay")})
	if got := v.SecretTakers("db"); len(got) != 0 {
		t.Errorf("SecretTakers = %v, want none", got)
	}
	other := submit(t, c, SetSecret{Name: "other"})
	if other.ValuesOffset(&taking.Spec) != set.ValuesOffset(&taking.Spec) {
		t.Error("ValuesOffset changed by a secret that is not taken")
	}
	submit(t, c, RemoveSecret{Name: "db"})
	// A version that cannot have what it takes is not gone back to.
	refused(Shift{Function: "pay", Alias: function.Alias{Name: function.LiveAlias, Primary: 1}}, fault.NotFound, `there is no secret "db"`)
	v = submit(t, c, SetSecret{Name: "db"})
	if got := v.ValuesOffset(&taking.Spec); got <= set.ValuesOffset(&taking.Spec) {
		t.Errorf("ValuesOffset after the secret was made again = %d, want more than before", got)
	}
	v = submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: function.LiveAlias, Primary: 1}})
	if got := v.SecretTakers("db"); !slices.Equal(got, []string{"pay"}) {
		t.Errorf("SecretTakers = %v, want pay", got)
	}
}

func TestTheNumberOfValuesIsBounded(t *testing.T) {
	at := scene{view: newState().publish(nil)}
	at.view.settings.Config = map[string]Value{"there": {}}
	for n := range maxValues - 1 {
		at.view.settings.Config[strings.Repeat("x", n+10)] = Value{}
	}
	if _, err := (SetConfig{Name: "more"}).event(t.Context(), at); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one more = %v, want exhausted", err)
	}
	if _, err := (SetConfig{Name: "there"}).event(t.Context(), at); err != nil {
		t.Errorf("one that is there = %v, want none", err)
	}
	if _, err := (SetSecret{Name: "more"}).event(t.Context(), at); err != nil {
		t.Errorf("a secret = %v, want none", err)
	}
}
