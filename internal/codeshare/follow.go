package codeshare

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Follow calls bring for each version that may be run, and again for all of them when the catalog names others, or after a few seconds when
// one could not be brought: bring says whether it was. It blocks until ctx is done.
func Follow(ctx context.Context, wanted func() (versions []*function.Version, changed <-chan struct{}), bring func(*function.Version) bool) error {
	for {
		versions, changed := wanted()
		failed := false
		for _, v := range versions {
			failed = !bring(v) || failed
		}
		var again <-chan time.Time
		if failed {
			again = time.After(5*time.Second + rand.N(5*time.Second)) // not all nodes at once
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}
