package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/await"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of those who wait for runs.
const (
	maxWaiters = 2000             // at a time, on this node
	maxStream  = 15 * time.Minute // one stream
	keepAlive  = 15 * time.Second // between two signs of life of a stream
)

// waiters are those who wait for runs.
type waiters struct {
	now    atomic.Int64
	ending chan struct{} // closed when the node stops
	end    func()
}

func newWaiters() *waiters {
	w := &waiters{ending: make(chan struct{})}
	w.end = sync.OnceFunc(func() { close(w.ending) })
	return w
}

func (w *waiters) enter() bool {
	if w.now.Add(1) <= maxWaiters {
		return true
	}
	w.now.Add(-1)
	return false
}

func (w *waiters) leave() { w.now.Add(-1) }

// within is a context that ends after so long, and with the node.
func (w *waiters) within(ctx context.Context, patience time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-w.ending:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); watching.Wait() }
}

// EndWaits is called when the node stops: who waits for a run is told how it stands, and can ask another node.
func (g *Gateway) EndWaits() { g.waiters.end() }

// settled returns how a run stands when it is over, or after so long; nil = nothing has come of it. Where too many wait it returns at once.
func (g *Gateway) settled(ctx context.Context, run *lateRun, wait time.Duration) (*function.Run, error) {
	if wait <= 0 || !g.waiters.enter() {
		asks, end := g.waiters.within(ctx, maxWait)
		defer end()
		return g.storyOf(asks, run, nil)
	}
	defer g.waiters.leave()
	w, err := g.expect(ctx, run)
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	return g.untilOver(ctx, run, stay{w, wait})
}

// expect waits for the event that answers a run; nil = the function does.
func (g *Gateway) expect(ctx context.Context, run *lateRun) (*await.Wait, error) {
	if run.want == nil {
		return nil, nil
	}
	return g.awaits.Expect(ctx, *run.want)
}

// stay is who waits for a run, and for how long.
type stay struct {
	event    *await.Wait // the event that answers; nil = the function does
	patience time.Duration
}

// untilOver returns how a run stands when it is over, or after so long.
func (g *Gateway) untilOver(ctx context.Context, run *lateRun, who stay) (*function.Run, error) {
	changed, stop := g.runs.Watch(run.name.id)
	defer stop()
	late := time.NewTimer(who.patience)
	defer late.Stop()
	asks, end := g.waiters.within(ctx, who.patience)
	defer end()
	for {
		story, err := g.storyOf(asks, run, who.event)
		if err != nil || story != nil && over(story) {
			return story, err
		}
		select {
		case <-changed:
		case <-who.event.Changed():
		case <-late.C:
			return story, nil
		case <-g.waiters.ending:
			return story, nil
		case <-ctx.Done():
			return story, nil
		}
	}
}

// followRun streams how a run stands, each time that this changes, until it is over. WHATWG HTML, section 9.2 "Server-sent events".
func (g *Gateway) followRun(x *exchange, r *http.Request, run *lateRun) error {
	if !g.waiters.enter() {
		return fault.New(fault.Exhausted, "the node has as many who wait for runs as it may").WithHint("ask for the state now and then")
	}
	defer g.waiters.leave()
	w, err := g.expect(r.Context(), run)
	if err != nil {
		return err
	}
	defer w.Stop()
	changed, stop := g.runs.Watch(run.name.id)
	defer stop()
	h := x.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy between would keep it until it is over
	x.WriteHeader(http.StatusOK)
	late, alive := time.NewTimer(maxStream), time.NewTicker(keepAlive)
	defer late.Stop()
	defer alive.Stop()
	asks, end := g.waiters.within(r.Context(), maxStream)
	defer end()
	for {
		story, err := g.storyOf(asks, run, w)
		if err != nil {
			g.logger.Warn("follow a run", "event", run.name.id, "err", err)
			return nil // the client asks again
		}
		text, err := json.Marshal(g.describe(run, story))
		if err != nil {
			return fmt.Errorf("encode the state of run %s: %w", run.name, err)
		}
		if !x.push("event: state\ndata: " + string(text) + "\n\n") {
			return nil
		}
		if story != nil && over(story) {
			return nil
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = false
			case <-w.Changed():
				waiting = false
			case <-alive.C:
				if !x.push(":\n\n") {
					return nil
				}
			case <-late.C:
				return nil
			case <-g.waiters.ending:
				return nil
			case <-r.Context().Done():
				return nil
			}
		}
	}
}

// push sends a piece of a stream, and says whether the client is there.
func (x *exchange) push(text string) bool {
	c := http.NewResponseController(x)
	_ = c.SetWriteDeadline(time.Now().Add(x.slow)) // what cannot have deadlines is not slow
	_, err := x.Write([]byte(text))
	return err == nil && c.Flush() == nil
}
