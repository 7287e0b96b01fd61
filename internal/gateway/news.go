package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"golang.org/x/time/rate"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// How many events one breaker makes at most: some at once, then one in ten seconds. A circuit that flutters must not flood a topic that
// functions listen to.
const (
	newsAtOnce = 6
	newsEvery  = rate.Limit(0.1)
)

// maxNews bounds those that wait for the log.
const maxNews = 256

// news are events of what becomes of routes, which nobody waits for.
type news struct {
	log    Log
	logger *slog.Logger
	queue  chan *event.Event
}

func newNews(l Log, logger *slog.Logger) *news {
	return &news{log: l, logger: logger, queue: make(chan *event.Event, maxNews)}
}

// offer never blocks; false = there is no room.
func (n *news) offer(e *event.Event) bool {
	select {
	case n.queue <- e:
		return true
	default:
		return false
	}
}

// run appends until ctx is done and nothing waits.
func (n *news) run(ctx context.Context) {
	for {
		select {
		case e := <-n.queue:
			n.append(ctx, e)
		case <-ctx.Done():
			for len(n.queue) > 0 {
				n.append(ctx, <-n.queue)
			}
			return
		}
	}
}

func (n *news) append(ctx context.Context, e *event.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if _, err := n.log.Append(ctx, []eventlog.Record{eventlog.FromEvent(function.EmitsTo(e.Subject, function.TopicEvents), e)}); err != nil {
		n.logger.Warn("event of a route not stored", "event", e.Type, "function", e.Subject, "err", err)
	}
}

// tell says that a breaker has changed: the node's log always, the topic events as often as may be.
func (b *breaker) tell(d *function.BreakerChanged) {
	b.g.metrics.breakers.WithLabelValues(string(d.State)).Inc()
	b.g.logger.Info("breaker changed", "function", d.Function, "trigger", d.Route, "state", d.State, "failures", d.Failures)
	if !b.news.AllowN(b.g.now(), 1) {
		b.untold.Add(1)
		return
	}
	d.Untold = int(b.untold.Swap(0))
	if !b.g.news.offer(breakerEvent(b.g, d)) {
		b.untold.Add(int64(d.Untold) + 1)
	}
}

func breakerEvent(g *Gateway, d *function.BreakerChanged) *event.Event {
	types := map[function.BreakerState]string{
		function.BreakerOpen: event.TypeBreakerOpened, function.BreakerHalfOpen: event.TypeBreakerHalfOpened, function.BreakerClosed: event.TypeBreakerClosed,
	}
	data, err := json.Marshal(d)
	if err != nil { // it is text and numbers
		panic(fmt.Sprintf("encode %T: %v", d, err))
	}
	return &event.Event{
		ID: event.NewID(), Source: "/dalamb/gateway", Type: types[d.State], Subject: d.Function, Time: g.now(),
		DataContentType: "application/json", Data: data, Extensions: map[string]any{event.ExtPartitionKey: d.Function},
	}
}
