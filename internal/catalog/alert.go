package catalog

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// maxAlerts bounds the alerts: one node judges them all, every few seconds.
const maxAlerts = 500

// Alert is an alert as it stands. It never changes; the fold replaces it.
type Alert struct {
	function.Alert
	Changed  time.Time `json:"changed"`
	Revision int64     `json:"revision"` // offset of the event that has made it so
}

// SetAlert puts an alert in the place of the one of its name, or makes it; RemoveAlert takes it away.
type (
	SetAlert    struct{ Alert function.Alert }
	RemoveAlert struct{ Name string }
)

func alertEntity(name string) string { return "alert/" + name }

func (c SetAlert) event(_ context.Context, at scene) (*event.Event, error) {
	if err := roomFor(at.view.settings.Alerts, maxAlerts, "alert", c.Alert.Name, "remove those that nobody needs: dalamb alert rm"); err != nil {
		return nil, err
	}
	if c.Alert.Secret != "" {
		if err := at.view.hasSecrets("alert", c.Alert.Name, c.Alert.Secret); err != nil {
			return nil, err
		}
	}
	entity := alertEntity(c.Alert.Name)
	return payload{Function: entity, Expects: at.view.expects(entity), Alert: &c.Alert}.event(event.TypeAlertChanged)
}

func (c RemoveAlert) event(_ context.Context, at scene) (*event.Event, error) {
	old, err := at.view.Alert(c.Name)
	if err != nil {
		return nil, err
	}
	entity := alertEntity(c.Name)
	return payload{Function: entity, Expects: at.view.expects(entity), Alert: &old.Alert}.event(event.TypeAlertRemoved)
}

// heed folds an event about an alert; ok is false for another one.
func (s *settings) heed(typ string, p payload, r eventlog.Record) (ok bool) {
	if p.Alert == nil || typ != event.TypeAlertChanged && typ != event.TypeAlertRemoved {
		return false
	}
	if typ == event.TypeAlertRemoved {
		s.Alerts = without(s.Alerts, p.Alert.Name)
		return true
	}
	s.Alerts = with(s.Alerts, p.Alert.Name, Alert{Alert: *p.Alert, Changed: r.Time, Revision: r.Offset})
	return true
}

// Alerts lists the alerts by name.
func (v *View) Alerts() []Alert { return byName(v.settings.Alerts) }

// Alert returns an alert, or NotFound with the nearest names.
func (v *View) Alert(name string) (Alert, error) { return named(v.settings.Alerts, "alert", name) }

// secretAlerts are the alerts whose webhook a secret signs, sorted.
func (v *View) secretAlerts(name string) []string {
	var names []string
	for _, a := range v.Alerts() {
		if a.Secret == name {
			names = append(names, a.Name)
		}
	}
	return names
}
