package kafka

import (
	"context"
	"sync"
)

// span is a stretch of time that ends once: the log's life, a membership's.
type span struct {
	cause error // what contexts say that have ended with it
	done  chan struct{}

	mu      sync.Mutex
	over    bool
	cancels map[*context.CancelCauseFunc]bool
}

func newSpan(cause error) *span {
	return &span{cause: cause, done: make(chan struct{}), cancels: make(map[*context.CancelCauseFunc]bool)}
}

// within returns a context that ends with ctx or with the span, whichever is first. release must be called.
func (s *span) within(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		cancel(s.cause)
		return ctx, func() {}
	}
	s.cancels[&cancel] = true
	return ctx, func() {
		s.mu.Lock()
		delete(s.cancels, &cancel)
		s.mu.Unlock()
		cancel(nil)
	}
}

func (s *span) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	close(s.done)
	for cancel := range s.cancels {
		(*cancel)(s.cause)
	}
	clear(s.cancels)
}

func (s *span) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
