package body

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// How often the log is asked what bodies take, and how long that may take.
const (
	measureEvery    = 2 * time.Second
	measurePatience = 2 * time.Second
)

// quota is what bodies may take of the log, all of them together: nobody drops what a request that waits needs, so who comes when it is used up is refused.
// Safe for concurrent use.
type quota struct {
	room   int64          // bytes; 0 = no bound
	sizer  eventlog.Sizer // nil = the log cannot say
	logger *slog.Logger
	asking chan struct{} // holds one while the log is asked

	mu       sync.Mutex
	size     int64     // that the log said last
	at       time.Time // when it was asked last; zero = never
	added    int64     // by this node since then, what is under way among it
	underWay int64
	unknown  bool // the log did not say it when it was asked last
}

// admit reserves so many bytes, until done says whether they were stored. What other nodes store is seen within measureEvery. A log that does not say what it
// holds does not refuse anybody.
func (q *quota) admit(ctx context.Context, bytes int64) (done func(stored bool), err error) {
	if q.room <= 0 || q.sizer == nil {
		return func(bool) {}, nil
	}
	q.measure(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size+q.added+bytes > q.room {
		return nil, fault.New(fault.Unavailable, "a body of %d bytes is one too many: those of requests that are answered later take %s of the log, and may take %s", bytes, function.Bytes(q.size+q.added), function.Bytes(q.room)).
			WithHint("limits.bodies of the node raises that; they stay for as long as %s keeps their requests, and up to a day more", function.TopicInvoke)
	}
	q.added += bytes
	q.underWay += bytes
	return func(stored bool) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.underWay -= bytes
		if !stored {
			q.added -= bytes
		}
	}, nil
}

// measure asks the log, where its last answer is old; who comes meanwhile waits for the same.
func (q *quota) measure(ctx context.Context) {
	if q.fresh() {
		return
	}
	select {
	case q.asking <- struct{}{}:
		defer func() { <-q.asking }()
	case <-ctx.Done():
		return
	}
	if q.fresh() {
		return
	}
	q.mu.Lock()
	settled := q.added - q.underWay // which the answer has
	q.mu.Unlock()
	patient, cancel := context.WithTimeout(ctx, measurePatience)
	defer cancel()
	size, err := q.sizer.Size(patient, function.TopicBodies)
	if err != nil && ctx.Err() != nil {
		return // who asked has left, which says nothing of the log
	}
	if q.note(size, settled, err) {
		q.logger.Warn("the log does not say what bodies of requests take: limits.bodies holds for what it said last, and for nothing where that was never", "topic", function.TopicBodies, "err", err)
	}
}

// note keeps an answer of the log, and returns whether it is the first of those that are none.
func (q *quota) note(size, settled int64, err error) (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.at = time.Now()
	if err == nil {
		q.size, q.added, q.unknown = size, q.added-settled, false
		return false
	}
	first, q.unknown = !q.unknown, true
	return first
}

func (q *quota) fresh() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.at.IsZero() && time.Since(q.at) < measureEvery
}
