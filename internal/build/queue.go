package build

import (
	"context"
	"slices"
	"sync"
)

// queue lets so many in at a time, in the order in which they came.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{} // closed when it is its turn
}

func newQueue(places int) *queue { return &queue{free: places} }

// enter waits for a turn; tell is called once, with how many wait or run before it, if it has to wait. The caller calls leave when it is done.
func (q *queue) enter(ctx context.Context, tell func(before int)) (leave func(), err error) {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return q.leave, nil
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	before := len(q.waiting)
	q.mu.Unlock()
	tell(before)
	select {
	case <-turn:
		return q.leave, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, turn)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 {
		q.leave() // it had its turn in the same moment
	}
	return nil, context.Cause(ctx)
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	close(q.waiting[0])
	q.waiting = q.waiting[1:]
}
