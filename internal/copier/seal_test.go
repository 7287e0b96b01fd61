package copier

import (
	"context"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
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
