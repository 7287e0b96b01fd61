package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
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
	if _, there := at.view.settings.Alerts[c.Alert.Name]; !there && len(at.view.settings.Alerts) >= maxAlerts {
		return nil, fault.New(fault.Exhausted, "there are %d alerts already: %q is one too many", maxAlerts, c.Alert.Name).WithHint("remove those that nobody needs: dalamb alert rm")
	}
	if c.Alert.Secret != "" {
		if _, err := at.view.Secret(c.Alert.Secret); err != nil {
			return nil, fault.New(fault.NotFound, "alert %q takes a secret that is not there: %w", c.Alert.Name, err).WithHint("set it first: dalamb secret set %s", c.Alert.Secret)
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
	s.Alerts = maps.Clone(s.Alerts)
	if s.Alerts == nil {
		s.Alerts = map[string]Alert{}
	}
	if typ == event.TypeAlertRemoved {
		delete(s.Alerts, p.Alert.Name)
		return true
	}
	s.Alerts[p.Alert.Name] = Alert{Alert: *p.Alert, Changed: r.Time, Revision: r.Offset}
	return true
}

// Alerts lists the alerts by name.
func (v *View) Alerts() []Alert {
	return slices.SortedFunc(maps.Values(v.settings.Alerts), func(a, b Alert) int { return strings.Compare(a.Name, b.Name) })
}

// Alert returns an alert, or NotFound with the nearest names.
func (v *View) Alert(name string) (Alert, error) {
	if a, ok := v.settings.Alerts[name]; ok {
		return a, nil
	}
	return Alert{}, fault.Missing("alert", name, slices.Sorted(maps.Keys(v.settings.Alerts)))
}

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
