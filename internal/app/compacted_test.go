package app_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestKafkaCompactsWhatIsRead lets Kafka's own cleaner go over a user's compacted topic and over _dalamb.progress. A trigger that begins
// at the start then gets the newest record of each key and passes what is gone, and a node that is killed and started again finds
// the right progress: nothing runs twice.
func TestKafkaCompactsWhatIsRead(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{Config: map[string]string{
		"log.roll.ms": "300", "log.cleaner.min.cleanable.ratio": "0.001", "log.cleaner.min.compaction.lag.ms": "0", "log.cleaner.backoff.ms": "200",
	}})
	settings := []string{"eventlog=kafka://" + c.Bootstrap() + "?session-timeout=2s"}
	data := t.TempDir()
	n := start(t, data, settings...)
	if _, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "state", Partitions: 1, Compact: true}); err != nil {
		t.Fatal(err)
	}
	code := directory(t, map[string]string{"cat.sh": "cat >/dev/null"})
	const manifest = `
name: %s
code: .
entry: {type: stdio, command: [/bin/sh, cat.sh]}
triggers: [{name: t, topic: %s, start: %s}]
`
	n.deploy(code, fmt.Sprintf(manifest, "worker", "events", "latest"))
	watch, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()

	// Each wave gives every key another state, and the worker something to do, until the cleaner has been in both topics.
	const keys = 4
	sent := 0
	until(t, "Kafka to compact", func() bool {
		for key := range keys {
			if err := n.emitTo("state", "changed", fmt.Sprintf("s-%d-%d", key, sent), "k"+strconv.Itoa(key), `{}`); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.emit("asked", "e-"+strconv.Itoa(sent), "k"+strconv.Itoa(sent%keys), `{}`); err != nil {
			t.Fatal(err)
		}
		sent++
		return sent > 10 && holes(t, watch, "state") && holes(t, watch, function.TopicProgress)
	})
	// A tombstone: k0 has no state any more.
	if err := watch.ProduceSync(t.Context(), &kgo.Record{Topic: "state", Key: []byte("k0")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	worked := func() map[string]int {
		t.Helper()
		runs := map[string]int{}
		for _, r := range n.runs(client.RunQuery{Function: "worker", State: function.RunSucceeded}) {
			runs[r.Event.ID] += len(r.Attempts)
		}
		return runs
	}
	until(t, "the worker to have done all", func() bool { return len(worked()) == sent })
	n.stop()
	n = start(t, data, settings...)
	n.kill()
	n = start(t, data, settings...)

	n.deploy(code, fmt.Sprintf(manifest, "reader", "state", "earliest"))
	newest := func() map[string]string {
		t.Helper()
		byKey := map[string]string{}
		runs := n.runs(client.RunQuery{Function: "reader", State: function.RunSucceeded})
		slices.SortFunc(runs, func(a, b function.Run) int { return int(a.Event.Offset - b.Event.Offset) })
		for _, r := range runs {
			byKey[r.Event.Key] = r.Event.ID
		}
		return byKey
	}
	if err := n.emit("asked", "e-last", "k0", `{}`); err != nil {
		t.Fatal(err)
	}
	until(t, "the reader to know the newest state of each key", func() bool {
		got := newest()
		for key := 1; key < keys; key++ {
			if got["k"+strconv.Itoa(key)] != fmt.Sprintf("s-%d-%d", key, sent-1) {
				return false
			}
		}
		return got["k0"] != "" && got["k0"] != fmt.Sprintf("s-0-%d", sent-1)
	})
	if read, written := len(n.runs(client.RunQuery{Function: "reader"})), keys*sent; read >= written {
		t.Errorf("the reader was given %d records of %d that were written, want those that compaction left", read, written)
	}
	until(t, "the worker to go on", func() bool { return worked()["e-last"] > 0 })
	for id, times := range worked() {
		if times != 1 {
			t.Errorf("%s was run %d times, want once: its progress was lost", id, times)
		}
	}
	for _, r := range n.runs(client.RunQuery{State: function.RunDead}) {
		t.Errorf("%s is a dead letter of %s: %s", r.Event.ID, r.Function, r.Reason)
	}
	t.Logf("%d waves", sent)
	n.stop()
}

// holes says that a partition of a topic has lost records from between those that it has, or from before them.
func holes(t *testing.T, watch *kgo.Client, topic string) bool {
	t.Helper()
	ends, err := kadm.NewClient(watch).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 && !found {
			found = hole(t, watch.OptValue(kgo.SeedBrokers).([]string), o)
		}
	})
	return found
}

// hole reads a partition up to an end. The end of a transaction is a record too, here.
func hole(t *testing.T, brokers []string, end kadm.ListedOffset) bool {
	t.Helper()
	r, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{end.Topic: {end.Partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for next := int64(0); next < end.Offset; {
		fetches := r.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("read %s/%d: %v", end.Topic, end.Partition, err)
		}
		for _, k := range fetches.Records() {
			if k.Offset != next {
				return true
			}
			next++
		}
	}
	return false
}
