package app_test

import (
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestNodesOfOneLogShowEachOther: either node lists both, and counts the instances of both; one that has left is not listed any more.
func TestNodesOfOneLogShowEachOther(t *testing.T) {
	need.Linux(t)
	brokers := need.KafkaCluster(t, broker.Options{})
	log := "eventlog=kafka://" + brokers.Bootstrap() + "?session-timeout=2s"
	two := []*node{start(t, t.TempDir(), log), start(t, t.TempDir(), log)}
	two[0].deploy(directory(t, map[string]string{"f.sh": "cat\n"}), "name: f\ncode: .\nentry: {type: stdio, command: [/bin/sh, f.sh], mode: lines}\nscale: {min: 1}\n")
	nodes := func(n *node) (list []wire.NodeStatus) {
		t.Helper()
		all, err := n.client.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all.Nodes
	}
	running := func(n wire.NodeStatus) bool {
		return n.Instances == 1 && len(n.Functions) == 1 && n.Functions[0].Function == "f" && n.Functions[0].Instances == 1
	}
	for i, n := range two {
		until(t, "either node to list both with their instances", func() bool {
			all := nodes(n)
			return len(all) == 2 && all[0].Self && !all[1].Self && all[0].ID != all[1].ID && running(all[0]) && running(all[1])
		})
		fs, err := n.client.Functions(t.Context())
		if err != nil || len(fs) != 1 || fs[0].Instances != 2 {
			t.Errorf("node %d has the functions %+v, %v, want 2 instances", i, fs, err)
		}
	}
	two[1].stop()
	until(t, "the other to be alone", func() bool { return len(nodes(two[0])) == 1 })
	two[0].stop()
}
