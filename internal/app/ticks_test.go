package app_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// TestSchedulesTickOnceOverAllNodes has two nodes on one Kafka, of which first one and then the other is killed: each planned time has
// one tick and one run that succeeds, and whoever is left goes on.
func TestSchedulesTickOnceOverAllNodes(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{})
	settings := []string{"eventlog=kafka://" + c.Bootstrap() + "?session-timeout=2s"}
	data := []string{t.TempDir(), t.TempDir()}
	a, b := start(t, data[0], settings...), start(t, data[1], settings...)
	a.deploy(directory(t, map[string]string{"cat.sh": "cat >/dev/null"}), `
name: clock
code: .
entry: {type: stdio, command: [/bin/sh, cat.sh]}
triggers: [{name: tick, schedule: "@every 1s", catchUp: all, order: none, retry: {attempts: 50, initial: 10ms}}]
`)
	ticked := func(n *node) []time.Time {
		t.Helper()
		var planned []time.Time
		for _, f := range n.facts(function.TopicTicks) {
			var d struct{ Scheduled time.Time }
			if err := json.Unmarshal(f.Data, &d); err != nil {
				t.Fatalf("decode %s: %v", f.Data, err)
			}
			planned = append(planned, d.Scheduled)
		}
		return planned
	}
	// goesOn waits until there are ticks of times that had not come when it was called.
	goesOn := func(n *node) {
		t.Helper()
		now := time.Now()
		until(t, "ticks to go on", func() bool {
			return slices.ContainsFunc(ticked(n), func(at time.Time) bool { return at.After(now.Add(time.Second)) })
		})
	}
	goesOn(a)
	a.kill()
	goesOn(b)
	a = start(t, data[0], settings...)
	goesOn(a)
	b.kill()
	goesOn(a)

	planned := ticked(a)
	slices.SortFunc(planned, time.Time.Compare)
	for i, at := range planned[1:] {
		if step := at.Sub(planned[i]); step != time.Second {
			t.Errorf("tick of %s after that of %s, want each second once", at, planned[i])
		}
	}
	until(t, "all ticks to have been run", func() bool {
		runs := map[string]int{}
		for _, r := range a.runs(client.RunQuery{Function: "clock", State: function.RunSucceeded}) {
			runs[r.Event.ID]++
			if runs[r.Event.ID] > 1 {
				t.Fatalf("the tick %s has several runs", r.Event.ID)
			}
		}
		return len(runs) >= len(planned)
	})
	t.Logf("%d ticks", len(planned))
	a.stop()
}
