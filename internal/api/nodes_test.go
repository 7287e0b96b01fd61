package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/wire"
)

func TestEachNodeOfTheLogIsListedAndItsInstancesCount(t *testing.T) {
	n := newNode(t)
	n.deploy("name: called\ncode: .\nentry: {type: lambda, command: [x]}\n", "x")
	n.deploy("name: quiet\ncode: .\nentry: {type: lambda, command: [x]}\n", "x")
	n.script.instances = []wire.Instance{
		{ID: "i1", Function: "called", State: "idle", MemoryKB: 5, CPUMs: 7}, {ID: "i2", Function: "called", State: "busy", MemoryKB: 6, CPUMs: 1}, {ID: "i3", Function: "gone"},
	}
	other := wire.NodeStatus{ID: "other", Grade: "unhealthy", Reasons: []string{}, Instances: 4, Functions: []wire.NodeFunction{{Function: "quiet", Instances: 3}, {Function: "called", Instances: 1}}}
	n.api.others = func() []wire.NodeStatus { return []wire.NodeStatus{other} }
	list, err := n.client.Nodes(t.Context())
	ok(t, err)
	if len(list.Nodes) != 2 || !list.Nodes[0].Self || list.Nodes[1].Self || list.Nodes[1].ID != "other" || list.Nodes[1].Instances != 4 {
		t.Fatalf("Nodes = %+v, want this one and the other", list.Nodes)
	}
	own := list.Nodes[0]
	want := wire.NodeFunction{Function: "called", Instances: 2, Busy: 1, MemoryKB: 11, CPUMs: 8, Grade: "healthy"}
	if own.Instances != 3 || own.Grade != "degraded" || len(own.Reasons) != 1 || own.Reasons[0] != "store degraded" || len(own.Functions) != 1 || own.Functions[0] != want {
		t.Errorf("this node says %+v, want 3 instances, that its store is degraded, and of functions only %+v", own, want)
	}
	fs, err := n.client.Functions(t.Context())
	ok(t, err)
	if len(fs) != 2 || fs[0].Instances != 3 || fs[1].Instances != 3 {
		t.Errorf("Functions = %+v, want 3 instances of each, on both nodes", fs)
	}
}
