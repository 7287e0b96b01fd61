package build

import (
	"context"
	"errors"
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
)

// ErrStopping is the cause of builds that end because their node does; what wanted them may be tried again then.
var ErrStopping = errors.New("the node is stopping, and has ended the build")

func stopping() error {
	return fault.New(fault.Unavailable, "%w", ErrStopping).WithHint("try again when it is up: what is live has not changed")
}

// underWay is all that builds at the moment, so that it can be ended.
type underWay struct {
	all sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	cancels map[int64]context.CancelCauseFunc
	last    int64
}

// begin lets something be ended with the node; it calls leave when it is done.
func (u *underWay) begin(ctx context.Context) (_ context.Context, leave func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		cancel(nil)
		return nil, nil, stopping()
	}
	u.all.Add(1)
	u.last++
	id := u.last
	u.cancels[id] = cancel
	return ctx, func() {
		cancel(nil)
		u.mu.Lock()
		delete(u.cancels, id)
		u.mu.Unlock()
		u.all.Done()
	}, nil
}

// end ends all, lets nothing begin any more, and waits.
func (u *underWay) end() {
	u.mu.Lock()
	u.ended = true
	for _, cancel := range u.cancels {
		cancel(stopping())
	}
	u.mu.Unlock()
	u.all.Wait()
}

// Serve tells the log of the builds that a killed node had under way, and blocks until ctx is done. Then it ends all builds at once, and waits for
// them: unlike a call, a build that is begun again has lost nothing. Run refuses from then on.
func (b *Builds) Serve(ctx context.Context) error {
	b.tellLeft(ctx)
	<-ctx.Done()
	b.underWay.end()
	return nil
}
