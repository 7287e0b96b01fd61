// Package alert judges what functions do by the rules of the catalog, and tells the log, and webhooks through it, when one begins or ceases to hold. It
// measures by what the log tells of the whole installation, so that it does not matter on which node something happened; what follows from an alert is for
// triggers, which may listen, and for who is told.
//
// The owner of the first partition of _dalamb.jobs judges all alerts. An event in _dalamb.alerts is also the alert's state: who owns the partition next goes on
// from the newest event of each alert, so that one which has fired does not fire again. The event and the callback that tells a webhook are one transaction.
package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Catalog is what alert needs of the catalog.
type Catalog interface {
	View() *catalog.View
	// CatchUp blocks until the view has all that was decided before the call.
	CatchUp(ctx context.Context) error
}

// Lag is by how many events a trigger is behind.
type Lag struct {
	Events  int64
	Partial bool // or by more: some of it is not known
}

// Options of New. Log, Catalog and Lag are required.
type Options struct {
	Log     eventlog.Log
	Catalog Catalog
	Lag     func(ctx context.Context) (map[string]Lag, error) // of each function's trigger that is furthest behind; the error is why some are Partial, or there are none
	Every   time.Duration                                     // between two judgements; 0 = 2 s
	Now     func() time.Time
	Logger  *slog.Logger
}

// Keeper judges alerts. It is a dispatch.Duty. Safe for concurrent use.
type Keeper struct{ o Options }

// New checks the options and starts nothing.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.Catalog == nil || o.Lag == nil {
		return nil, errors.New("alert needs a log, a catalog and lags")
	}
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{o}, nil
}

// Topic is whose first partition's owner judges.
func (k *Keeper) Topic() string { return function.TopicJobs }

func place() eventlog.Partition { return eventlog.Partition{Topic: function.TopicAlerts} }

// Keep judges until ctx is done, where the partition is the first.
func (k *Keeper) Keep(ctx context.Context, own eventlog.Owned) error {
	if own.ID != 0 {
		<-ctx.Done()
		return nil
	}
	// By an older view than the last owner's, alerts that are gone would fire.
	if err := k.o.Catalog.CatchUp(ctx); err != nil {
		return err
	}
	said, err := k.States(ctx)
	if err != nil {
		return err
	}
	j := &judge{Keeper: k, own: own, said: said}
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		if err := j.round(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// States are what was said of each alert last, by its name; of those that were removed too, as long as the log knows.
func (k *Keeper) States(ctx context.Context) (map[string]function.AlertChanged, error) {
	states := map[string]function.AlertChanged{}
	_, err := eventlog.ReadAll(ctx, k.o.Log, place(), func(r *eventlog.Record) error {
		if c, ok := decode(r); ok && !c.Test {
			states[c.Alert] = c
		}
		return nil
	})
	return states, err
}

// History is what was said of an alert, tries included, the newest first.
func (k *Keeper) History(ctx context.Context, name string, most int) ([]function.AlertChanged, error) {
	var all []function.AlertChanged
	_, err := eventlog.ReadAll(ctx, k.o.Log, place(), func(r *eventlog.Record) error {
		if c, ok := decode(r); ok && c.Alert == name {
			if all = append(all, c); len(all) > most {
				all = all[1:]
			}
		}
		return nil
	})
	slices.Reverse(all)
	return all, err
}

// Tellings are what came of telling an alert's webhook, the newest first.
func (k *Keeper) Tellings(ctx context.Context, name string, most int) ([]function.AlertTold, error) {
	var all []function.AlertTold
	_, err := eventlog.ReadAll(ctx, k.o.Log, place(), func(r *eventlog.Record) error {
		var t function.AlertTold
		e, err := eventlog.ToEvent(*r)
		if err == nil && e.Type == event.TypeAlertTold && e.Subject == name && json.Unmarshal(e.Data, &t) == nil {
			if all = append(all, t); len(all) > most {
				all = all[1:]
			}
		}
		return nil
	})
	slices.Reverse(all)
	return all, err
}

// decode passes over what is no event about an alert.
func decode(r *eventlog.Record) (c function.AlertChanged, ok bool) {
	e, err := eventlog.ToEvent(*r)
	if err != nil || e.Type != event.TypeAlertFired && e.Type != event.TypeAlertResolved {
		return c, false
	}
	return c, json.Unmarshal(e.Data, &c) == nil && c.Alert != ""
}

// Test says that an alert fires, marked as a test: triggers and the webhook get what they would get, and the alert's state stays. It returns the id of the event.
func (k *Keeper) Test(ctx context.Context, name string) (id string, err error) {
	a, err := k.o.Catalog.View().Alert(name)
	if err != nil {
		return "", err
	}
	c, err := a.Condition()
	if err != nil {
		return "", err
	}
	now := k.o.Now().UTC()
	rs, err := records(&a.Alert, function.AlertChanged{State: function.AlertFiring, Value: c.Bound, Shown: c.Measure.Show(c.Bound), Since: now, Test: true}, now)
	if err != nil {
		return "", err
	}
	if _, err := k.o.Log.Append(ctx, rs); err != nil {
		return "", fmt.Errorf("tell of alert %s: %w", name, err)
	}
	e, err := eventlog.ToEvent(rs[0])
	if err != nil {
		return "", fmt.Errorf("read what was told of alert %s: %w", name, err)
	}
	return e.ID, nil
}

// records are what the log is told of an alert: the event, and the callback of its webhook.
func records(a *function.Alert, c function.AlertChanged, now time.Time) ([]eventlog.Record, error) {
	c.Alert, c.When, c.Functions = a.Name, a.When, a.Functions
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode what an alert says: %w", err)
	}
	e := &event.Event{
		ID: event.NewID(), Source: "/dalamb/alerts", Type: event.TypeAlertFired, Subject: a.Name, Time: now, DataContentType: "application/json", Data: data,
		Extensions: map[string]any{event.ExtPartitionKey: a.Name},
	}
	if c.State != function.AlertFiring {
		e.Type = event.TypeAlertResolved
	}
	r := eventlog.FromEvent(function.TopicAlerts, e)
	r.Partition = place().ID
	if a.Webhook == "" {
		return []eventlog.Record{r}, nil
	}
	text, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode what a webhook is told: %w", err)
	}
	value, err := json.Marshal(function.Callback{Function: a.Name, URL: a.Webhook, Secret: a.Secret, Body: text, Alert: a.Name})
	if err != nil {
		return nil, fmt.Errorf("encode a callback: %w", err)
	}
	return []eventlog.Record{r, {Topic: function.TopicCallbacks, Partition: eventlog.AnyPartition, Key: []byte(e.ID), Value: value}}, nil
}

// errNoTopic is what a log without one of dalamb's own topics is answered with.
func errNoTopic(name string) error {
	return fault.New(fault.Unavailable, "topic %s is not there", name).WithHint("restart a node: it makes the topics that are missing")
}
