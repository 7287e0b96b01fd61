package app_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestFromOneMachineToKafka moves a topic and its trigger from the embedded log to Kafka: the node is killed again and again while it
// copies and events come. At the end each event is there once, in order, and has one run in all, on the old node or the new one.
func TestFromOneMachineToKafka(t *testing.T) {
	t.Parallel()
	address := "kafka://" + need.Kafka(t) + "?session-timeout=2s"
	topic := "move-" + strings.ToLower(event.NewID()[:8])
	code := directory(t, map[string]string{"echo.sh": "cat >/dev/null\n"})
	manifest := func(start string) string {
		return fmt.Sprintf("name: %s\ncode: .\nentry: {type: stdio, command: [/bin/sh, echo.sh]}\ntriggers:\n  - {name: in, topic: %[1]s, start: %s, retry: {attempts: 100}}\n", topic, start)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	data := t.TempDir()
	n := start(t, data)
	if _, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: topic, Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	n.deploy(code, manifest("latest"))
	sent := 0
	send := func(n *node, count int) {
		for range count {
			err := n.emitTo(topic, "moved", fmt.Sprintf("e-%04d", sent), fmt.Sprintf("k-%d", sent%7), `{}`)
			sent++
			if err != nil {
				return // killed; whether the event is in the log is not known
			}
		}
	}
	send(n, 200)
	one, err := n.client.StartCopy(t.Context(), wire.CopyRequest{From: topic, To: topic, Log: address, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	const kills = 5
	for range kills {
		var sender sync.WaitGroup
		sender.Go(func() { send(n, 40) })
		select {
		case <-time.After(time.Duration(random.IntN(4000)) * time.Millisecond): // joining the group takes some of it
		case <-n.done:
			t.Fatalf("the node ended by itself: %v", n.err)
		}
		n.kill()
		sender.Wait()
		n = start(t, data)
	}
	send(n, 20)
	until(t, "all to be finished and copied", func() bool {
		c, err := n.client.Copy(t.Context(), one.Name)
		if err != nil || c.State != wire.CopyRunning {
			t.Fatalf("copy = %+v, %v", c, err)
		}
		if c.Progress == nil || c.Progress.Behind > 0 {
			return false
		}
		_, err = n.client.PlaceCopy(t.Context(), one.Name, wire.CopyPositions{})
		return err == nil
	})
	old := n.facts(topic)
	ran := n.succeeded(topic)
	n.stop()

	m := start(t, t.TempDir(), "eventlog="+address)
	if moved := m.facts(topic); !reflect.DeepEqual(ordered(moved), ordered(old)) {
		t.Errorf("%d events are there, want the %d as they were", len(moved), len(old))
	}
	m.deploy(code, manifest("group"))
	send(m, 30)
	until(t, "the events sent to the new node to run", func() bool { return len(m.succeeded(topic)) >= 30 })
	all := m.facts(topic)
	if len(all) != len(old)+30 {
		t.Errorf("%d events, want %d", len(all), len(old)+30)
	}
	for id, runs := range m.succeeded(topic) {
		ran[id] += runs
	}
	for _, f := range all {
		if ran[f.ID] != 1 {
			t.Errorf("event %s (%s) has %d runs, want 1", f.ID, f.Subject, ran[f.ID])
		}
	}
	t.Logf("%d kills, %d events copied, %d in all", kills, len(old), len(all))
	m.stop()
}

// ordered are events as they stand, partition by partition, without the offsets that another log gives them.
func ordered(facts []fact) []fact {
	slices.SortFunc(facts, func(a, b fact) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	for i := range facts {
		facts[i].offset = 0
	}
	return facts
}

// succeeded counts the runs of a function that succeeded, by event.
func (n *node) succeeded(fn string) map[string]int {
	n.t.Helper()
	counts := map[string]int{}
	for _, r := range n.runs(client.RunQuery{Function: fn}) {
		if r.State == function.RunSucceeded {
			counts[r.Event.ID]++
		}
	}
	return counts
}
