package gateway

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// dying is the log of a node that is killed when it appends a request that is answered later: before that is in the log, or after.
type dying struct {
	*sickLog
	after bool
}

func (l dying) Append(ctx context.Context, records []eventlog.Record) (at []eventlog.Position, err error) {
	if l.after {
		if at, err = l.sickLog.Append(ctx, records); err != nil {
			return nil, err
		}
	}
	l.fail(fault.New(fault.Unavailable, "the node is dead"))
	return at, *l.sick.Load()
}

// blind is a log that can say nothing of what is in it.
type blind struct{ *sickLog }

func (blind) Topics(context.Context) ([]eventlog.Topic, error) {
	return nil, fault.New(fault.Unavailable, "the log is away")
}

// answeredLater is every way in which a request with a key becomes an event.
func answeredLater() map[string]func(*function.Route) {
	return map[string]func(*function.Route){
		"async":     func(r *function.Route) { r.Async = function.LaterAlways },
		"preferred": func(r *function.Route) { r.Async = function.LaterPreferred },
		"await": func(r *function.Route) {
			r.Await = &function.Await{Topic: "orders", Pattern: json.RawMessage(`{"type":["order.confirmed"]}`), Timeout: function.Duration(time.Minute)}
		},
	}
}

func TestARequestThatIsInTheLogWhenItsNodeIsKilledIsNotPutThereAgain(t *testing.T) {
	for name, change := range answeredLater() {
		t.Run(name, func(t *testing.T) {
			d := startAwaiting(t, time.Minute, remembering(t))
			d.deploy("f", onceRoute(change))
			send := func(key, prefer string) got {
				return d.send("POST", "/x", "body", "Idempotency-Key", key, "Prefer", prefer)
			}
			if g := send("other", "respond-async"); g.status != 202 {
				t.Fatalf("another request is answered %d %s", g.status, g.body)
			}
			d.Gateway.log = dying{d.log, true}
			if g := send("k", "respond-async"); g.status != 503 {
				t.Fatalf("the node that is killed answers %d %s", g.status, g.body)
			}
			d.log.heal()
			all := d.records(function.TopicInvoke)
			e, err := eventlog.ToEvent(all[len(all)-1])
			if err != nil {
				t.Fatal(err)
			}
			at := runsPrefix + runName{e.ID, all[1].Partition, all[1].Offset}.String()

			d.Gateway.keys, d.Gateway.log = keysOf(t, d.log), blind{d.log}
			if g := send("k", ""); g.status != 503 {
				t.Errorf("where nobody can tell whether it is in the log: %d %s, want 503", g.status, g.body)
			}
			d.Gateway.keys, d.Gateway.log = keysOf(t, d.log), d.log
			for range 2 {
				g := send("k", "")
				if g.status != 202 || g.header.Get("Location") != at || g.header.Get("Idempotent-Replayed") != "true" || g.header.Get(runHeader) != e.ID || g.state(t).ID != at[len(runsPrefix):] {
					t.Errorf("who comes again is told %d %v %s, want to look at %s", g.status, g.header, g.body, at)
				}
			}
			if got := len(d.records(function.TopicInvoke)); got != 2 {
				t.Errorf("%d requests are in the log, want two of two keys", got)
			}
		})
	}
}

func TestARequestThatIsNotInTheLogWhenItsNodeIsKilledIsPutThere(t *testing.T) {
	for name, change := range answeredLater() {
		t.Run(name, func(t *testing.T) {
			d := startAwaiting(t, time.Minute, remembering(t))
			d.deploy("f", onceRoute(change))
			send := func(key string) got {
				return d.send("POST", "/x", "body", "Idempotency-Key", key, "Prefer", "respond-async")
			}
			if g := send("other"); g.status != 202 {
				t.Fatalf("another request is answered %d %s", g.status, g.body)
			}
			d.Gateway.log = dying{d.log, false}
			if g := send("k"); g.status != 503 {
				t.Fatalf("the node that is killed answers %d %s", g.status, g.body)
			}
			d.log.heal()
			d.Gateway.keys, d.Gateway.log = keysOf(t, d.log), d.log
			if g := send("k"); g.status != 202 || g.header["Idempotent-Replayed"] != nil {
				t.Errorf("who comes again is told %d %v", g.status, g.header)
			}
			if got := len(d.records(function.TopicInvoke)); got != 2 {
				t.Errorf("%d requests are in the log, want two of two keys", got)
			}
		})
	}
}
