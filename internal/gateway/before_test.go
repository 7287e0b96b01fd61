package gateway

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// dying is the log of a node that is killed when it appends a request that is answered later: before that is in the log, or after.
type dying struct {
	*sickLog
	after bool
	id    *string // of the request, where somebody wants to know
}

func (l dying) Append(ctx context.Context, records []eventlog.Record) (at []eventlog.Position, err error) {
	if e := eventlog.EventOf(&records[0]); e != nil && l.id != nil {
		*l.id = e.ID
	}
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

// slow is a log that gives one record of the requests at a time, and is away when it has given so many.
type slow struct {
	*sickLog
	left *int
}

func (l slow) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if p.Topic != function.TopicInvoke {
		return l.sickLog.Read(ctx, p, from, o)
	}
	if *l.left == 0 {
		return nil, fault.New(fault.Unavailable, "the log is away")
	}
	*l.left--
	o.MaxRecords = 1
	return l.sickLog.Read(ctx, p, from, o)
}

// wide gives the topic of requests three partitions.
func wide(t *testing.T) func(*Options) {
	return func(o *Options) {
		three := int32(3)
		if err := o.Log.(*sickLog).AlterTopic(t.Context(), function.TopicInvoke, eventlog.TopicChange{Partitions: &three}); err != nil {
			t.Fatal(err)
		}
	}
}

// fill appends what is no request to each partition: other records, and an event of another type whose id is a request's.
func fill(t *testing.T, d *waitingDesk, id string, at time.Time) {
	t.Helper()
	for p := range int32(3) {
		r := eventlog.FromEvent(function.TopicInvoke, &event.Event{ID: id, Source: "/test", Type: "test.other", Time: at})
		r.Partition, r.Time = p, at
		for range 2 {
			if _, err := d.log.Append(t.Context(), []eventlog.Record{r, {Topic: r.Topic, Partition: p, Time: at, Value: []byte("no event")}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// killed sends a request with the key k to a node that is killed when it appends it, and gives the id of its event.
func killed(t *testing.T, d *waitingDesk, after bool) (send func() got, id string) {
	t.Helper()
	d.deploy("f", onceRoute(answeredLater()["async"]))
	send = func() got { return d.send("POST", "/x", "body", "Idempotency-Key", "k") }
	d.Gateway.log = dying{d.log, after, &id}
	if g := send(); g.status != 503 || id == "" {
		t.Fatalf("the node that is killed answers %d %s", g.status, g.body)
	}
	d.log.heal()
	d.Gateway.keys, d.Gateway.log = keysOf(t, d.log), d.log
	return send, id
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
			d.Gateway.log = dying{d.log, true, nil}
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
			d.Gateway.log = dying{d.log, false, nil}
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

// requests are those in the log, of whatever partition.
func (d *waitingDesk) requests() (ids []string) {
	for _, r := range d.records(function.TopicInvoke) {
		if e := eventlog.EventOf(&r); e != nil && e.Type == event.TypeInvokeRequested {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func TestASearchThatDoesNotFinishIsGoneOnWith(t *testing.T) {
	for name, in := range map[string]bool{"in the log": true, "not in the log": false} {
		t.Run(name, func(t *testing.T) {
			d := startAwaiting(t, time.Minute, wide(t), remembering(t))
			fill(t, d, "other", time.Now().Add(-time.Hour))
			send, id := killed(t, d, in)
			fill(t, d, id, time.Now())
			left := 0
			d.Gateway.log = slow{d.log, &left}
			var g got
			for tries := 0; ; tries++ {
				left = 2 // less than one partition has
				if g = send(); g.status != 503 {
					break
				}
				if tries > 12 {
					t.Fatalf("after %d searches it is %d %s still", tries, g.status, g.body)
				}
			}
			replayed := g.header.Get("Idempotent-Replayed") == "true"
			if g.status != 202 || replayed != in {
				t.Errorf("when the log was searched: %d %v %s, want 202, again: %t", g.status, g.header, g.body, in)
			}
			if ids := d.requests(); len(ids) != 1 || ids[0] != id {
				t.Errorf("requests %v are in the log, want %s once", ids, id)
			}
		})
	}
}

func TestWhatTheLogMayHaveDroppedIsNotRunAgain(t *testing.T) {
	week, none := 7*24*time.Hour, time.Duration(0)
	for name, c := range map[string]struct {
		young    bool // other requests have come since
		age      time.Duration
		maxBytes int64
		told     bool // history knows of the run
		want     int
	}{
		"all is gone by its age":           {false, none, eventlog.Forever, false, 409},
		"the oldest are gone by their age": {true, none, eventlog.Forever, false, 409},
		"the oldest made room":             {true, week, 1 << 20, false, 409},
		"a run is known":                   {true, week, 1 << 20, true, 202},
		"what is gone was older":           {false, week, 1 << 20, false, 202},
	} {
		t.Run(name, func(t *testing.T) {
			d := startAwaiting(t, time.Minute, wide(t), remembering(t))
			fill(t, d, "other", time.Now())
			send, id := killed(t, d, false)
			at := runsPrefix + runName{id, 1, 0}.String()
			if c.told {
				d.finish(at, ran())
			}
			one := time.Millisecond
			change := func(retention time.Duration, bytes int64) {
				if err := d.log.AlterTopic(t.Context(), function.TopicInvoke, eventlog.TopicChange{Retention: &retention, MaxBytes: &bytes}); err != nil {
					t.Fatal(err)
				}
			}
			change(one, eventlog.Forever)
			d.until(func() bool {
				if err := d.log.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				return len(d.records(function.TopicInvoke)) == 0
			})
			if c.age != none {
				change(c.age, c.maxBytes)
			}
			if c.young {
				fill(t, d, "other", time.Now())
			}
			for range 2 {
				g := send()
				if g.status != c.want || c.told && g.header.Get("Location") != at {
					t.Errorf("who comes again is told %d %v %s, want %d", g.status, g.header, g.body, c.want)
				}
			}
			want := 0
			if c.want == 202 && !c.told {
				want = 1
			}
			if ids := d.requests(); len(ids) != want {
				t.Errorf("requests %v are in the log, want %d", ids, want)
			}
		})
	}
}
