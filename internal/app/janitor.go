package app

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// tidyEvery is how often code that no version refers to is looked for; in the log, which has to be read for that, once in so many times, and so are bodies of requests.
const (
	tidyEvery  = time.Hour
	shareEvery = 24
)

// tidyCode removes the code of versions that are gone, and image content that nothing needs, at the start and every hour, until ctx is done.
func (n *Node) tidyCode(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for round := 0; ; round++ {
		if done, ok := n.removals.begin(); ok { // else a backup is being taken, and the next round is early enough
			n.sweepCode()
			n.sweepImages(ctx)
			n.tidyBuilds(ctx)
			done()
		}
		if round%shareEvery == shareEvery-1 {
			n.sweepShared(ctx)
		}
		if round%shareEvery == 1 { // by then partitions have been shared out; a node that is started every day comes to it too
			n.tidyBodies(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// versions are those whose files are needed: all that there are, and those that were let go and still run something.
func (n *Node) versions() []*function.Version {
	versions := n.fleet.Running() // first: what is let go in between is in the one or the other
	for _, f := range n.catalog.View().Functions() {
		versions = append(versions, f.Versions...)
	}
	return versions
}

func (n *Node) sweepShared(ctx context.Context) {
	versions := n.versions()
	removed, err := n.share.Sweep(ctx, versions)
	switch {
	case err != nil:
		n.logger.Warn("code in the log that nobody uses could not be removed", "err", err)
	case removed > 0:
		n.logger.Info("removed code from the log that no version refers to", "chunks", removed)
	}
}

func (n *Node) sweepCode() {
	used := map[string]bool{}
	for _, v := range n.versions() {
		used[v.Code] = true
	}
	removed, err := n.code.GC(func(digest string) bool { return used[digest] })
	switch {
	case err != nil:
		n.logger.Warn("code that nobody uses could not be removed", "err", err)
	case removed > 0:
		n.logger.Info("removed code that no version refers to", "directories", removed)
	}
}

// tidyBodies removes the bodies of requests that nothing in the log names any more. On a log that others have open each node looks after those partitions whose
// requests it runs.
func (n *Node) tidyBodies(ctx context.Context) {
	var mine func(int32) bool
	if l, ok := n.log.(eventlog.Sharer); ok && l.Shared() {
		mine = func(id int32) bool { return n.dispatcher.Owns(eventlog.Partition{Topic: function.TopicInvoke, ID: id}) }
	}
	removed, err := n.bodies.Sweep(ctx, mine)
	switch {
	case err != nil && ctx.Err() == nil:
		n.logger.Warn("bodies of requests that nothing names could not be removed", "err", err)
	case removed > 0:
		n.logger.Info("removed bodies of requests that nothing in the log names", "chunks", removed)
	}
}
