// Package await waits in the log for the event that answers a request: the first one in a topic that follows from it and that a pattern wants. A node
// reads each topic once for all who wait there, and only while somebody does. It keeps no events: what came while nobody waited is looked for in the
// log. It appends nothing and knows nothing of HTTP.
package await

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// Log is what is followed and searched.
type Log interface {
	Topics(ctx context.Context) ([]eventlog.Topic, error)
	Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error)
	OffsetAt(ctx context.Context, p eventlog.Partition, t time.Time) (int64, error)
	Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error)
}

// Want says what is waited for.
type Want struct {
	ID      string // of the request's event: the correlationid of all that follows from it
	Topic   string
	Pattern *match.Pattern // nil = every event
	Since   time.Time      // when the request was accepted; zero = it will be, after Expect has returned
}

func (w *Want) wants(e *event.Event) bool { return w.Pattern == nil || w.Pattern.MatchEvent(e) }

// Found is what followed from a request so far, of what matters to who waits.
type Found struct {
	Event *event.Event // that was waited for; nil = it did not come
	Dead  bool         // it did not, and something that follows from the request is a dead letter
}

// Options of New. Log is required.
type Options struct {
	Log    Log
	Logger *slog.Logger
	Survey time.Duration // how often new partitions are looked for; default 10 s
	Idle   time.Duration // how long a topic is read on for which nobody waits; default 1 min
}

// Follower knows who waits for what. Safe for concurrent use.
type Follower struct {
	log          Log
	logger       *slog.Logger
	survey, idle time.Duration
	begun        chan *follow  // to Run, which owns what reads
	ended        chan struct{} // closed when Run has ended
	searches     chan struct{} // has a value for each search under way
	places       *otter.Cache[string, place]

	mu     sync.Mutex
	topics map[string]*follow
}

const (
	maxSearches = 2       // at a time: each may read much
	maxPlaces   = 1 << 20 // positions in partitions, over all searches that are remembered
	beginTime   = 10 * time.Second
	awayWait    = time.Second // how long a log that is away is left alone
)

// New checks the options and starts nothing; who waits hears of events while Run is running.
func New(o Options) (*Follower, error) {
	if o.Log == nil {
		return nil, errors.New("await needs a log")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Survey == 0 {
		o.Survey = 10 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	return &Follower{
		log: o.Log, logger: o.Logger, survey: o.Survey, idle: o.Idle,
		begun: make(chan *follow), ended: make(chan struct{}), searches: make(chan struct{}, maxSearches), topics: map[string]*follow{},
		places: otter.Must(&otter.Options[string, place]{
			MaximumWeight: maxPlaces,
			Weigher:       func(_ string, p place) uint32 { return uint32(1 + len(p.next)) },
		}),
	}, nil
}

// Run reads for those who wait until ctx is done. A log that is away is waited for.
func (f *Follower) Run(ctx context.Context) error {
	defer close(f.ended)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for {
			select {
			case t := <-f.begun:
				g.Go(func() error { return t.run(ctx) })
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// Expect begins to wait: what is appended once it has returned is not missed. It blocks while the log is asked where its ends are, where nobody waits in
// the topic yet. NotFound when there is no such topic.
func (f *Follower) Expect(ctx context.Context, want Want) (*Wait, error) {
	w := &Wait{f: f, want: want, changed: make(chan struct{}, 1), looked: want.Since.IsZero()}
	for _, topic := range []string{want.Topic, function.TopicDead} {
		if err := f.join(ctx, topic, w); err != nil {
			w.leave()
			return nil, fmt.Errorf("wait for events in %s: %w", want.Topic, err)
		}
	}
	return w, nil
}

// join has w told of what comes in a topic.
func (f *Follower) join(ctx context.Context, topic string, w *Wait) error {
	f.mu.Lock()
	t := f.topics[topic]
	first := t == nil
	if first {
		t = &follow{f: f, topic: topic, ready: make(chan struct{}), gone: make(chan struct{}), waits: map[string]map[*Wait]bool{}}
		f.topics[topic] = t
	}
	t.add(w)
	f.mu.Unlock()
	w.joined = append(w.joined, t)
	if first {
		t.begin(ctx)
	}
	select {
	case <-t.ready:
		return t.failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop forgets a topic for which nobody has waited for long, or that has no reader. It says whether that is so.
func (f *Follower) drop(t *follow, unread bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !unread && (len(t.waits) > 0 || time.Since(t.left) < f.idle) {
		return false
	}
	if f.topics[t.topic] == t {
		delete(f.topics, t.topic)
	}
	return true
}

// errEnded is what who begins to wait is told when the node stops.
var errEnded = fault.New(fault.Unavailable, "the node is stopping").WithHint("try again in a moment")
