// Package delay is the source of delayed events: it keeps events in _dalamb.delayed until they are due, and puts each into its topic
// then, exactly once. It does not take events in; gateway does, and asks here for the record to append.
//
// The owner of a partition of _dalamb.delayed knows when each of its events is due and where it stands, and nothing more: some 90 bytes
// an event. What is due it reads, and appends to its topic in the transaction that takes it out of _dalamb.delayed.
//
// To cancel is to ask the owner, by a record of the same key. The order of the records of a key decides: the request before the release,
// or after it. The owner's answer is the tombstone that it writes.
package delay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Longest is how far ahead an event can be due.
const Longest = 366 * 24 * time.Hour

// Options of New. Log is required.
type Options struct {
	Log    eventlog.Log
	Now    func() time.Time
	Logger *slog.Logger
}

// Delay keeps events until they are due. It is a dispatch.Duty. Safe for concurrent use.
type Delay struct {
	log    eventlog.Log
	now    func() time.Time
	logger *slog.Logger
	look   int // see lookMost

	mu         sync.Mutex
	partitions int32 // of _dalamb.delayed, which only grow; 0 = not asked yet
}

// New checks the options.
func New(o Options) (*Delay, error) {
	if o.Log == nil {
		return nil, errors.New("delay needs a log")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Delay{log: o.Log, now: o.Now, logger: o.Logger, look: lookMost}, nil
}

// Topic is whose partitions share the events out.
func (d *Delay) Topic() string { return function.TopicDelayed }

// Record makes the record that keeps an event until it is due, for the caller to append, and the id by which it can be cancelled. Events
// of one key have one partition, so that those that are due at the same time are released in the order in which they came.
func (d *Delay) Record(ctx context.Context, topic string, e *event.Event, due time.Time) (id string, r eventlog.Record, err error) {
	if ahead := due.Sub(d.now()); ahead > Longest {
		return "", r, fault.New(fault.Invalid, "%s is more than a year away", due.UTC().Format(time.RFC3339)).
			WithHint("an event can be delayed by at most 366 days")
	}
	n, err := d.count(ctx)
	if err != nil {
		return "", r, err
	}
	var random [12]byte
	rand.Read(random[:]) // never fails
	name := nameOf{due: due.UnixMilli(), random: binary.BigEndian.Uint64(random[:8])}
	if key := e.Key(); key != "" {
		name.partition = eventlog.PartitionFor([]byte(key), n)
	} else {
		name.partition = int32(binary.BigEndian.Uint32(random[8:]) % uint32(n))
	}
	value, err := held{Topic: topic, Accepted: d.now().UTC(), Event: e}.encode()
	if err != nil {
		return "", r, err
	}
	return name.String(), eventlog.Record{
		Topic: function.TopicDelayed, Partition: name.partition, Key: name.key(), Value: value, Seal: &eventlog.Seal{Topic: topic, Key: []byte(e.Key())},
	}, nil
}

func (d *Delay) count(ctx context.Context) (int32, error) {
	d.mu.Lock()
	n := d.partitions
	d.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	topics, err := d.log.Topics(ctx)
	if err != nil {
		return 0, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name == function.TopicDelayed {
			n = t.Partitions
		}
	}
	if n == 0 {
		return 0, fault.New(fault.Unavailable, "topic %s is not there", function.TopicDelayed)
	}
	d.mu.Lock()
	d.partitions = n
	d.mu.Unlock()
	return n, nil
}

// Cancel takes an event back that has not been released. It returns when the owner of the partition has answered: NotFound when the
// event has been released or cancelled before, or never was.
func (d *Delay) Cancel(ctx context.Context, id string) error {
	name, ok := parseName(id)
	if n, err := d.count(ctx); err != nil {
		return err
	} else if !ok || name.partition >= n {
		return fault.New(fault.Invalid, "%q is not the id of a delayed event", id).WithHint("dalamb delayed ls shows them")
	}
	ask := eventlog.Record{Topic: function.TopicDelayed, Partition: name.partition, Key: name.key(), Value: []byte{formatCancel}}
	positions, err := d.log.Append(ctx, []eventlog.Record{ask})
	if err != nil {
		return fmt.Errorf("ask to cancel %s: %w", id, err)
	}
	p := eventlog.Partition{Topic: function.TopicDelayed, ID: name.partition}
	for from := positions[0].Offset + 1; ; {
		rs, err := d.log.Read(ctx, p, from, eventlog.ReadOptions{})
		if err != nil {
			if ctx.Err() != nil {
				err = fault.New(fault.Timeout, "no node has answered: %w", err).WithHint("the request stands, and is carried out by the next owner of %s/%d", p.Topic, p.ID)
			}
			return fmt.Errorf("wait until %s is cancelled: %w", id, err)
		}
		for _, r := range rs {
			if string(r.Key) != string(name.key()) || r.Value != nil {
				continue
			}
			if len(r.Headers) > 0 && r.Headers[0].Name == headerCancelled {
				return nil
			}
			return fault.New(fault.NotFound, "no event %s is waiting: it has been released or cancelled, or never was", id)
		}
		from = rs[len(rs)-1].Offset + 1
	}
}
