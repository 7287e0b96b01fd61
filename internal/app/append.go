package app

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Append stores records as they are, also in topics that dalamb alone writes: for who owns the process, and checks what he appends. Nobody else
// has a way here.
func (n *Node) Append(ctx context.Context, records []eventlog.Record) error {
	if _, err := n.log.Append(ctx, records); err != nil {
		return fmt.Errorf("append to %s: %w", records[0].Topic, err)
	}
	return nil
}
