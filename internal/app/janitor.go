package app

import (
	"context"
	"time"
)

// tidyEvery is how often code that no version refers to is looked for.
const tidyEvery = time.Hour

// tidyCode removes code directories of functions that are gone, at the start and every hour, until ctx is done.
func (n *Node) tidyCode(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		n.sweepCode()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) sweepCode() {
	used := map[string]bool{}
	for _, f := range n.catalog.View().Functions() {
		for _, v := range f.Versions {
			used[v.Code] = true
		}
	}
	removed, err := n.code.GC(func(digest string) bool { return used[digest] })
	switch {
	case err != nil:
		n.logger.Warn("code that nobody uses could not be removed", "err", err)
	case removed > 0:
		n.logger.Info("removed code that no version refers to", "directories", removed)
	}
}
