package app

import (
	"context"
	"time"
)

// Alive says whether the parts of the node answer at all within the patience, be it that they do not work: a node that waits for its log, or whose disk is
// full, is alive, and one that hangs is not.
func (n *Node) Alive(patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answered := make(chan struct{})
	go func() { // for as long as the part hangs that does not answer
		defer close(answered)
		n.checks(ctx)
		n.fleet.Crowded()
	}()
	late := time.NewTimer(2 * patience) // who is told by ctx that it is time still has to say so
	defer late.Stop()
	select {
	case <-answered:
		return true
	case <-late.C:
		return false
	}
}
