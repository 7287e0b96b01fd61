package dispatch

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// guard settles runs that are not to be tried: loops, what is too old, and what has no attempts left because nodes died of it.
type guard struct {
	now   func() time.Time
	loops *loops // nil = chains are bounded in length alone
}

func (s guard) do(_ context.Context, w *work) error {
	if w.settled() {
		return nil
	}
	loop := s.loop(w)
	retry := w.rules.Retry
	maxAge := retry.MaxAge.Std()
	tooOld := maxAge > 0 && s.now().Sub(w.since()) > maxAge
	switch {
	case loop != "":
		w.settle(function.RunDead, "%s", loop)
		w.condition = conditionLoop
	case tries(w.before) >= max(1, retry.Attempts):
		w.settle(function.RunDead, "used up its %d attempts", max(1, retry.Attempts))
	case tooOld && len(w.before) == 0:
		w.condition = conditionTooOld
		w.settle(function.RunDiscarded, "older than maxAge (%s) before its first attempt", retry.MaxAge)
	case tooOld:
		w.condition = conditionTooOld
		w.settle(function.RunDead, "older than maxAge (%s) after %d attempts", retry.MaxAge, len(w.before))
	}
	return nil
}
