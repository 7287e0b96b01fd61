package dispatch

import "sync"

// message is something that happened, for the actor of a partition.
type message interface{ apply(sc scope, p *partition) }

// mailbox takes messages for one actor. A sender never waits: what can be under way at a time is bounded where it is
// started, so the queue is too. That is what lets actors tell each other things without locking each other up.
type mailbox struct {
	ready chan struct{} // holds a token when there may be messages

	mu       sync.Mutex
	messages []message
	spare    []message
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

func (b *mailbox) post(m message) {
	b.mu.Lock()
	b.messages = append(b.messages, m)
	first := len(b.messages) == 1
	b.mu.Unlock()
	if !first {
		return
	}
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take returns what has gathered, oldest first. The slice is good until the next take.
func (b *mailbox) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	ms := b.messages
	clear(b.spare)
	b.messages, b.spare = b.spare[:0], ms
	return ms
}
