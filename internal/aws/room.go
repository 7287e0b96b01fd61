package aws

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds of the bodies of signed requests that are being read or served, in bytes. An id of an access key is no secret: what is held in its name before
// the signature can be checked leaves room for the others.
const (
	maxHeld    = 256 << 20
	maxHeldKey = maxHeld / 2
)

// Bounds in time: of the wait for room, and of a body, which has longer the more of it there is.
const (
	maxWait  = 10 * time.Second
	bodyTime = 30 * time.Second
	slowest  = 256 << 10 // bytes a second
)

// room is what bodies may take of memory. Safe for concurrent use.
type room struct {
	all *semaphore.Weighted

	mu     sync.Mutex
	shares map[string]*share // by access key, of those that hold or wait for some
}

type share struct {
	held  *semaphore.Weighted
	users int
}

func newRoom() *room {
	return &room{all: semaphore.NewWeighted(maxHeld), shares: map[string]*share{}}
}

// take waits for n bytes in the name of a key, not longer than maxWait. The caller gives them back.
func (m *room) take(ctx context.Context, key string, n int64) (giveBack func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	s := m.enter(key)
	if err := s.held.Acquire(ctx, n); err != nil {
		m.leave(key)
		return nil, noRoom(err)
	}
	if err := m.all.Acquire(ctx, n); err != nil {
		s.held.Release(n)
		m.leave(key)
		return nil, noRoom(err)
	}
	return func() {
		m.all.Release(n)
		s.held.Release(n)
		m.leave(key)
	}, nil
}

func noRoom(err error) error {
	return fault.New(fault.Unavailable, "there was no room for the body: %w", err).WithHint("send it again in a moment")
}

func (m *room) enter(key string) *share {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shares[key]
	if s == nil {
		s = &share{held: semaphore.NewWeighted(maxHeldKey)}
		m.shares[key] = s
	}
	s.users++
	return s
}

func (m *room) leave(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shares[key]
	if s.users--; s.users == 0 {
		delete(m.shares, key)
	}
}

// timeFor is how long a body of n bytes may take to come.
func timeFor(n int64) time.Duration { return bodyTime + time.Duration(n/slowest)*time.Second }
