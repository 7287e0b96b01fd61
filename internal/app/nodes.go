package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/nodes"
	"github.com/dalamb/dalamb/internal/wire"
)

// openNodes has the node tell the others how it does, where there may be others.
func (n *Node) openNodes() (err error) {
	if l, ok := n.log.(eventlog.Sharer); !ok || !l.Shared() {
		return nil
	}
	n.nodes, err = nodes.New(nodes.Options{Log: n.log, ID: n.id(), Say: n.say, Logger: n.logger})
	return err
}

// say is what the node tells of itself. It is asked while the node runs.
func (n *Node) say(ctx context.Context) ([]byte, error) {
	said, err := json.Marshal(n.api.NodeStatus(ctx))
	if err != nil {
		return nil, fmt.Errorf("encode how the node does: %w", err)
	}
	return said, nil
}

// otherNodes are what the other nodes have said. What cannot be understood is left out: it is another dalamb's.
func (n *Node) otherNodes() []wire.NodeStatus {
	if n.nodes == nil {
		return nil
	}
	var all []wire.NodeStatus
	for _, h := range n.nodes.Others() {
		var s wire.NodeStatus
		if json.Unmarshal(h.Value, &s) == nil {
			s.ID, s.Self, s.Heard = h.ID, false, h.At
			all = append(all, s)
		}
	}
	return all
}
