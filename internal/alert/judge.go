package alert

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// judge is the part of who owns the partition. One goroutine owns it.
type judge struct {
	*Keeper
	own  eventlog.Owned
	said map[string]function.AlertChanged // of each alert last
	// Of the alerts as they stand.
	watched []*watched
	follow  *follow
	blind   bool // some of the lags were not known in the last round
}

// watched is an alert, what it measures, and how its condition stands.
type watched struct {
	catalog.Alert
	condition function.AlertCondition
	covers    func(fn string) bool
	meter     *meter
	holds     time.Time // since when the condition holds without a break; zero = it does not
	rests     time.Time // since when it does not; zero = it does
}

// round follows the catalog and the log, and says what has changed.
func (j *judge) round(ctx context.Context) error {
	view := j.o.Catalog.View()
	if err := j.settle(ctx, view); err != nil {
		return err
	}
	if len(j.watched) == 0 {
		return nil
	}
	caught, err := j.follow.read(ctx)
	if err != nil || !caught { // by half of what happened nothing can be said
		return err
	}
	lags, err := j.lags(ctx)
	for _, w := range j.watched {
		if w.condition.Measure == function.AlertLag && (err != nil && lags == nil || !w.settles(lags, j.said[w.Name].State == function.AlertFiring)) {
			continue // what holds, and since when, stays as it is
		}
		value, known := w.measure(j.o.Now(), lags)
		if err := j.weigh(ctx, w, value, known); err != nil {
			return err
		}
	}
	return nil
}

// lags are asked for where an alert is about them. With an error some are only a part, or nothing is known of them.
func (j *judge) lags(ctx context.Context) (map[string]Lag, error) {
	if !slices.ContainsFunc(j.watched, func(w *watched) bool { return w.condition.Measure == function.AlertLag }) {
		return nil, nil
	}
	lags, err := j.o.Lag(ctx)
	if blind := err != nil; blind != j.blind {
		j.blind = blind
		if blind {
			j.o.Logger.Warn("how far some triggers are behind is not known: alerts about lag stay as they are where what is known does not decide", "err", err)
		} else {
			j.o.Logger.Info("it is known how far all triggers are behind")
		}
	}
	return lags, err
}

// settle begins to watch the alerts as they are now. One that has fired and is changed or gone is resolved.
func (j *judge) settle(ctx context.Context, view *catalog.View) error {
	now := view.Alerts()
	if j.same(now) {
		return nil
	}
	var fresh []*watched
	for _, a := range now {
		if i := j.find(a.Name); i != nil && i.Revision == a.Revision {
			fresh = append(fresh, i)
			continue
		}
		c, err := a.Condition()
		if err != nil {
			j.o.Logger.Warn("an alert is not judged; a newer dalamb has made it", "alert", a.Name, "err", err)
			continue
		}
		fresh = append(fresh, &watched{Alert: a, condition: c, covers: access.Grant{Functions: a.Functions}.Covers})
	}
	j.watched = fresh
	for name, c := range j.said {
		if c.State != function.AlertFiring {
			continue
		}
		a, err := view.Alert(name)
		switch {
		case err != nil:
			err = j.say(ctx, &function.Alert{Name: name, When: c.When, Functions: c.Functions}, function.AlertChanged{State: function.AlertOK, Value: c.Value, Shown: c.Shown, Reason: "the alert was removed"})
		case a.When != c.When || a.Changed.After(c.Since):
			err = j.say(ctx, &a.Alert, function.AlertChanged{State: function.AlertOK, Value: c.Value, Shown: c.Shown, Reason: "the alert was changed"})
		}
		if err != nil {
			return err
		}
	}
	// All meters begin anew: they read the same records, from as far back as the longest of them looks.
	for _, w := range j.watched {
		w.meter = newMeter(w.Span())
	}
	var err error
	j.follow, err = j.newFollow(ctx, j.watched)
	return err
}

func (j *judge) find(name string) *watched {
	for _, w := range j.watched {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// same says whether the alerts are those that are watched.
func (j *judge) same(now []catalog.Alert) bool {
	known := 0
	for _, a := range now {
		w := j.find(a.Name)
		if w == nil {
			if _, err := a.Condition(); err == nil {
				return false
			}
			continue
		}
		if w.Revision != a.Revision {
			return false
		}
		known++
	}
	return known == len(j.watched) && (j.follow != nil || known == 0)
}

// weigh judges one value of an alert.
func (j *judge) weigh(ctx context.Context, w *watched, value float64, known bool) error {
	now := j.o.Now()
	firing := j.said[w.Name].State == function.AlertFiring
	if known && w.condition.Holds(value, firing) {
		w.rests = time.Time{}
		if w.holds.IsZero() {
			w.holds = now
		}
	} else {
		w.holds = time.Time{}
		if w.rests.IsZero() {
			w.rests = now
		}
	}
	c := function.AlertChanged{Value: value, Shown: w.condition.Measure.Show(value)}
	switch {
	case !firing && !w.holds.IsZero() && now.Sub(w.holds) >= w.condition.For.Std():
		c.State = function.AlertFiring
	case firing && !w.rests.IsZero() && now.Sub(w.rests) >= w.Rest(w.condition):
		c.State = function.AlertOK
	default:
		return nil
	}
	return j.say(ctx, &w.Alert.Alert, c)
}

// say stores that an alert fires or is resolved. Whether a commit is stored whose answer is not known, the next Keep finds in the log.
func (j *judge) say(ctx context.Context, a *function.Alert, c function.AlertChanged) error {
	now := j.o.Now().UTC()
	c.Since = now
	if before, ok := j.said[a.Name]; ok && c.State == function.AlertOK {
		c.Fired = &before.Since
	}
	rs, err := records(a, c, now)
	if err != nil {
		return err
	}
	if _, err := j.own.Commit(ctx, rs); err != nil {
		return fmt.Errorf("tell of alert %s: %w", a.Name, err)
	}
	c.Alert, c.When, c.Functions = a.Name, a.When, a.Functions
	j.said[a.Name] = c
	j.o.Logger.Info("alert changed", "alert", a.Name, "state", c.State, "value", c.Shown)
	return nil
}
