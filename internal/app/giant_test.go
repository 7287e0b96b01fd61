package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// TestAGiantRecordHoldsUpNobody has other software write a record of a hundred mebibytes to a topic that a trigger listens to, while the
// trigger waits at the end of the topic and again while it catches up. The function is told of it in its turn, what comes after it
// runs, in that topic and in others, and the node's memory stays within a few times the record's size.
func TestAGiantRecordHoldsUpNobody(t *testing.T) {
	need.Linux(t)
	const size, limit = 100 << 20, "150000000"
	c := need.KafkaCluster(t, broker.Options{Heap: "1g", Config: map[string]string{"message.max.bytes": limit, "socket.request.max.bytes": "200000000"}})
	writer, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()), kgo.ProducerBatchMaxBytes(140_000_000), kgo.BrokerMaxWriteBytes(200_000_000),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedBytes(300_000_000))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if _, err := kadm.NewClient(writer).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": kadm.StringPtr(limit)}, "giants"); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, size)
	chance := rand.NewChaCha8([32]byte{1})
	if _, err := chance.Read(value); err != nil {
		t.Fatal(err)
	}
	write := func() {
		t.Helper()
		for _, v := range [][]byte{[]byte(`"before"`), value, []byte(`"after"`)} {
			if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: "giants", Key: []byte("k"), Value: v}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}

	data := t.TempDir()
	settings := []string{"eventlog=kafka://" + c.Bootstrap()}
	n := start(t, data, settings...)
	n.deploy(directory(t, map[string]string{"cat.sh": "cat >/dev/null"}), `
name: reader
code: .
entry: {type: stdio, command: [/bin/sh, cat.sh]}
triggers:
  - {name: on-giants, topic: giants}
  - {name: on-events, topic: events}
`)
	finished := func(trigger string, want int) []function.Run {
		t.Helper()
		var runs []function.Run
		until(t, fmt.Sprintf("%d runs of %s", want, trigger), func() bool {
			runs = n.runs(client.RunQuery{Function: "reader", Trigger: trigger, State: function.RunSucceeded})
			return len(runs) >= want
		})
		slices.SortFunc(runs, func(a, b function.Run) int { return int(a.Event.Offset - b.Event.Offset) })
		return runs
	}
	write()
	if err := n.emit("x", "first", "k", `{}`); err != nil {
		t.Fatal(err)
	}
	finished("on-giants", 3)
	finished("on-events", 1)
	n.kill()
	write()
	n = start(t, data, settings...)
	runs := finished("on-giants", 6)
	if err := n.emit("x", "second", "k", `{}`); err != nil {
		t.Fatal(err)
	}
	finished("on-events", 2)

	for i, r := range runs {
		if r.Event.Type != event.TypeRecord || len(r.Attempts) != 1 {
			t.Errorf("run %d is of a %s, after %d attempts, want a %s after one", i, r.Event.Type, len(r.Attempts), event.TypeRecord)
		}
		d, err := n.client.Run(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Data struct {
				Size  int
				Fault string
			}
		}
		if err := json.Unmarshal(d.Event, &e); err != nil {
			t.Fatal(err)
		}
		if giant := i%3 == 1; giant != (e.Data.Size >= size) || giant != (e.Data.Fault != "") {
			t.Errorf("record %d: size %d, fault %q; is it the giant: %v", i, e.Data.Size, e.Data.Fault, giant)
		}
	}
	peak := peakMemory(t, n)
	t.Logf("the node's memory was at most %d MiB", peak>>20)
	if most := 8 * size * shadow; peak > most {
		t.Errorf("the node took %d MiB, want at most %d for records of %d", peak>>20, most>>20, size>>20)
	}
	n.stop()
}

// peakMemory is the most that a node's process has had resident, in bytes.
func peakMemory(t *testing.T, n *node) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(bytes.ToValidUTF8(status, nil))
	if found == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
