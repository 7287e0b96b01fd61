package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// noted is who judges alerts, as a test says.
type noted struct {
	said   map[string]function.AlertChanged
	tested []string
}

func (n *noted) States(context.Context) (map[string]function.AlertChanged, error) { return n.said, nil }

func (n *noted) History(_ context.Context, name string, _ int) ([]function.AlertChanged, error) {
	if c, ok := n.said[name]; ok {
		return []function.AlertChanged{c}, nil
	}
	return nil, nil
}

func (n *noted) Tellings(_ context.Context, name string, _ int) ([]function.AlertTold, error) {
	return []function.AlertTold{{Alert: name, Event: "e-1", Tries: 1, Error: "it answers 404"}}, nil
}

func (n *noted) Test(_ context.Context, name string) (string, error) {
	n.tested = append(n.tested, name)
	return "e-1", nil
}

func TestAlertsAreSetShownAndRemoved(t *testing.T) {
	n := newNode(t)
	judge := n.api.alerts.(*noted)
	one := function.Alert{Name: "fails", When: "error-rate > 5% for 2m", Functions: []string{"pay"}}
	made, err := n.client.SetAlert(t.Context(), one)
	if err != nil || made.Unchanged || made.State != function.AlertOK || made.Changed.IsZero() || !slices.Equal(made.Missing, []string{"pay"}) {
		t.Fatalf("SetAlert = %+v, %v", made, err)
	}
	if again, err := n.client.SetAlert(t.Context(), one); err != nil || !again.Unchanged {
		t.Errorf("the same again = %+v, %v", again, err)
	}
	judge.said = map[string]function.AlertChanged{"fails": {Alert: "fails", State: function.AlertFiring, Since: made.Changed.Add(time.Second), Shown: "7%"}}
	if list, err := n.client.Alerts(t.Context()); err != nil || len(list) != 1 || list[0].State != function.AlertFiring || list[0].Shown != "7%" {
		t.Errorf("Alerts = %+v, %v", list, err)
	}
	if got, err := n.client.Alert(t.Context(), "fails"); err != nil || got.State != function.AlertFiring || len(got.History) != 1 || len(got.Tellings) != 1 || got.Tellings[0].Event != "e-1" {
		t.Errorf("Alert = %+v, %v", got, err)
	}
	judge.said["fails"] = function.AlertChanged{Alert: "fails", State: function.AlertFiring, Since: made.Changed.Add(-time.Second)}
	if got, err := n.client.Alert(t.Context(), "fails"); err != nil || got.State != function.AlertOK {
		t.Errorf("with what was said of another one before it = %+v, %v", got, err)
	}
	if tested, err := n.client.TestAlert(t.Context(), "fails"); err != nil || tested.Event != "e-1" || tested.Webhook || !slices.Equal(judge.tested, []string{"fails"}) {
		t.Errorf("TestAlert = %+v, %v; tested %v", tested, err, judge.tested)
	}
	one.Webhook, one.Secret = "https://ops.example/hook", "none"
	if _, err := n.client.SetAlert(t.Context(), one); fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.HintOf(err), "dalamb secret set none") {
		t.Errorf("with a secret that is not there: %v", err)
	}
	ok(t, n.client.RemoveAlert(t.Context(), "fails"))
	if _, err := n.client.Alert(t.Context(), "fails"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a removed alert: %v", err)
	}
}
