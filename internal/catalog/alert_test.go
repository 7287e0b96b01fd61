package catalog

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

func TestAlertsSurviveARestart(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	one := function.Alert{Name: "fails", When: "error-rate > 5%", Functions: []string{"pay"}, Webhook: "https://ops.example/in", Secret: "key"}
	if _, err := c.Submit(t.Context(), SetAlert{Alert: one}); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), `alert "fails" takes a secret that is not there`) {
		t.Errorf("an alert without its secret = %v", err)
	}
	submit(t, c, SetSecret{Name: "key", Sealed: secret.Sealed{Key: "age1x"}})
	before := submit(t, c, SetAlert{Alert: one})
	one.When = "error-rate > 6%"
	v := submit(t, c, SetAlert{Alert: one})
	if old, _ := before.Alert("fails"); old.When != "error-rate > 5%" {
		t.Errorf("the older view = %+v, want it unchanged", old)
	}
	check := func(when string, v *View) {
		t.Helper()
		if a, err := v.Alert("fails"); err != nil || !reflect.DeepEqual(a.Alert, one) || a.Changed.IsZero() || len(v.Alerts()) != 1 {
			t.Errorf("%s: alert = %+v, %v", when, a, err)
		}
	}
	check("at once", v)
	stop()
	c, stop = start(t, log, store)
	check("from the snapshot", caughtUp(t, c))
	stop()
	c, _ = start(t, log, nil)
	check("from the log", caughtUp(t, c))

	if _, err := c.Submit(t.Context(), RemoveSecret{Name: "key"}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "alert fails") {
		t.Errorf("the secret of an alert was removed: %v", err)
	}
	submit(t, c, RemoveAlert{Name: "fails"})
	v = submit(t, c, RemoveSecret{Name: "key"})
	if _, err := v.Alert("fails"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a removed alert = %v, want not found", err)
	}
	if _, err := c.Submit(t.Context(), RemoveAlert{Name: "fails"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("removed twice = %v, want not found", err)
	}
}

func TestAlertsAreBounded(t *testing.T) {
	alerts := map[string]Alert{}
	for i := range maxAlerts {
		name := fmt.Sprintf("a%d", i)
		alerts[name] = Alert{Alert: function.Alert{Name: name}}
	}
	full := scene{view: &View{settings: settings{Alerts: alerts}}}
	if _, err := (SetAlert{Alert: function.Alert{Name: "b"}}).event(t.Context(), full); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one too many = %v", err)
	}
	if _, err := (SetAlert{Alert: function.Alert{Name: "a1"}}).event(t.Context(), full); err != nil {
		t.Errorf("one that is there = %v", err)
	}
}
