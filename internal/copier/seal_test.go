package copier

import (
	"context"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// making is a log that notes which topics were known to be sealed when they were made.
type making struct {
	*disk.Log
	catalog *catalog.Catalog
	sealed  map[string]bool
}

func (m making) CreateTopic(ctx context.Context, t eventlog.Topic) error {
	m.sealed[t.Name] = m.catalog.View().Rules(t.Name).Seal
	return m.Log.CreateTopic(ctx, t)
}

func TestACopyOfASealedTopicIsSealedBeforeItIsThere(t *testing.T) {
	w := newWorld(t)
	made := making{w.log, w.catalog, map[string]bool{}}
	c, err := New(Options{Log: made, Catalog: w.catalog, Logs: logs{w.other}})
	ok(t, err)
	copyTo := func(name, to, log string) {
		t.Helper()
		_, err := c.Start(t.Context(), function.Copy{Name: name, From: "orders", To: to, Log: log})
		ok(t, err)
	}
	copyTo("open", "of-open", "") // stays as it is when orders is sealed
	_, err = w.catalog.Submit(t.Context(), catalog.SetTopic{Topic: "orders", Change: &function.TopicRulesChange{Seal: new(true)}})
	ok(t, err)
	copyTo("sealed", "of-sealed", "")
	copyTo("far", "of-far", elsewhere)
	for topic, want := range map[string]bool{"of-open": false, "of-sealed": true, "of-far": false} {
		if got := w.catalog.View().Rules(topic).Seal; got != want {
			t.Errorf("topic %s is sealed: %v, want %v", topic, got, want)
		}
	}
	if !made.sealed["of-sealed"] || made.sealed["of-open"] {
		t.Errorf("sealed when they were made: %v, want of-sealed alone", made.sealed)
	}
}

func TestACopyToTheNodesOwnLogByItsAddressIsRefused(t *testing.T) {
	w := newWorld(t)
	c, err := New(Options{Log: w.log, Catalog: w.catalog, Logs: logs{&flaky{Log: w.log}}})
	ok(t, err)
	_, err = c.Start(t.Context(), function.Copy{Name: "round", From: "orders", To: "again", Log: elsewhere})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "--to-log") {
		t.Errorf("Start = %v, hint %q; want Invalid, and to leave --to-log out", err, fault.HintOf(err))
	}
	if _, err := findTopic(t.Context(), w.log, "again"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the topic to copy to = %v, want NotFound", err)
	}
}

// refusing is a log that makes no topic but its own.
type refusing struct {
	*disk.Log
	kind fault.Kind
}

func (r refusing) CreateTopic(ctx context.Context, t eventlog.Topic) error {
	if function.SystemTopic(t.Name) {
		return r.Log.CreateTopic(ctx, t)
	}
	return fault.New(r.kind, "no")
}

func TestASealGoesWithTheTopicThatCouldNotBeMade(t *testing.T) {
	w := newWorld(t)
	_, err := w.catalog.Submit(t.Context(), catalog.SetTopic{Topic: "orders", Change: &function.TopicRulesChange{Seal: new(true)}})
	ok(t, err)
	for to, c := range map[string]struct {
		kind fault.Kind
		seal bool
	}{"refused": {fault.Denied, false}, "unknown": {fault.Unavailable, true}} {
		one, err := New(Options{Log: refusing{w.log, c.kind}, Catalog: w.catalog, Logs: logs{w.other}})
		ok(t, err)
		if _, err := one.Start(t.Context(), function.Copy{Name: to, From: "orders", To: to}); fault.KindOf(err) != c.kind {
			t.Errorf("Start(%s) = %v, want the kind %v", to, err, c.kind)
		}
		if got := w.catalog.View().Rules(to).Seal; got != c.seal {
			t.Errorf("topic %s, which could not be made, is sealed: %v, want %v", to, got, c.seal)
		}
	}
}
