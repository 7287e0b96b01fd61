// Package nodes tells the nodes of a shared log of each other: what each says of itself, as long as it says so. It does not know what that is, and decides
// nothing by it: who owns what is the log's to say.
//
// Each node appends what it says to _dalamb.nodes every few seconds, and reads what the others append from then on. Nothing is folded: a node that starts
// knows of the others when they have spoken next, and one that has fallen silent is forgotten. So no clock but a node's own is asked.
package nodes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	every    = 5 * time.Second
	missed   = 4                      // so many words that did not come make a node one that is gone
	most     = 1000                   // nodes that are remembered
	mostSaid = 256 << 10              // bytes of what one says
	farewell = 2 * time.Second        // how long the last word may take at a stop
	calm     = 500 * time.Millisecond // after an error
)

// Options of New. Log, ID and Say are required.
type Options struct {
	Log    eventlog.Log
	ID     string                                    // of this node
	Say    func(ctx context.Context) ([]byte, error) // what it says of itself
	Every  time.Duration                             // 0 = 5 seconds
	Now    func() time.Time
	Logger *slog.Logger
}

// Heard is what another node has said last.
type Heard struct {
	ID    string
	At    time.Time // when it was heard, by this node's clock
	Value []byte
}

// Nodes is one node among those of its log. Safe for concurrent use.
type Nodes struct {
	o Options

	mu    sync.Mutex
	heard map[string]Heard // by id
}

// New checks the options and starts nothing.
func New(o Options) (*Nodes, error) {
	if o.Log == nil || o.ID == "" || o.Say == nil {
		return nil, errors.New("nodes needs a log, an id and what to say")
	}
	o.Every = cmp.Or(o.Every, every)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Nodes{o: o, heard: map[string]Heard{}}, nil
}

// Run speaks and listens until ctx is done, and takes its leave then. A log that does not answer is tried again.
func (n *Nodes) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { n.speak(ctx); return nil })
	g.Go(func() error { n.listen(ctx); return nil })
	return g.Wait()
}

// Others are the nodes that were heard lately, by their ids.
func (n *Nodes) Others() []Heard {
	now := n.o.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.heard, func(_ string, h Heard) bool { return now.Sub(h.At) >= missed*n.o.Every })
	return slices.SortedFunc(maps.Values(n.heard), func(a, b Heard) int { return cmp.Compare(a.ID, b.ID) })
}

func (n *Nodes) speak(ctx context.Context) {
	t := time.NewTicker(n.o.Every)
	defer t.Stop()
	failing := false
	for {
		said, err := n.o.Say(ctx)
		if err == nil && len(said) > mostSaid {
			err = fmt.Errorf("%d bytes are more than %d", len(said), mostSaid)
		}
		if err == nil {
			err = n.append(ctx, said)
		}
		if err != nil && ctx.Err() == nil && !failing {
			n.o.Logger.Warn("the other nodes are not told how this one does; it is tried again", "err", err)
		}
		failing = err != nil
		select {
		case <-t.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
			defer cancel()
			_ = n.append(last, nil) // else it is missed
			return
		}
	}
}

// append stores a word; none is the last one.
func (n *Nodes) append(ctx context.Context, said []byte) error {
	at := place()
	_, err := n.o.Log.Append(ctx, []eventlog.Record{{Topic: at.Topic, Partition: at.ID, Key: []byte(n.o.ID), Value: said}})
	return err
}

func place() eventlog.Partition { return eventlog.Partition{Topic: function.TopicNodes} }

func (n *Nodes) listen(ctx context.Context) {
	failing, from := false, int64(-1) // where to read on; below 0 = at the end
	for {
		var err error
		if from, err = n.read(ctx, from); err == nil {
			failing = false
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !failing {
			n.o.Logger.Warn("the other nodes are not heard; it is tried again", "err", err)
		}
		failing = true
		t := time.NewTimer(calm)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// read waits for what comes at or behind an offset, and says where to read on.
func (n *Nodes) read(ctx context.Context, from int64) (int64, error) {
	at := place()
	if from < 0 {
		b, err := n.o.Log.Bounds(ctx, at)
		if err != nil {
			return -1, fmt.Errorf("read the bounds of %s/%d: %w", at.Topic, at.ID, err)
		}
		from = b.End
	}
	rs, err := n.o.Log.Read(ctx, at, from, eventlog.ReadOptions{})
	if err != nil {
		return -1, fmt.Errorf("read %s/%d: %w", at.Topic, at.ID, err)
	}
	for i := range rs {
		n.hear(&rs[i])
		from = rs[i].Offset + 1
	}
	return from, nil
}

func (n *Nodes) hear(r *eventlog.Record) {
	id := string(r.Key)
	if id == "" || id == n.o.ID || len(r.Value) > mostSaid {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(r.Value) == 0 {
		delete(n.heard, id)
		return
	}
	if _, known := n.heard[id]; known || len(n.heard) < most {
		n.heard[id] = Heard{ID: id, At: n.o.Now(), Value: slices.Clone(r.Value)}
	}
}
