package git

import (
	"context"
	"sync"
)

// places let so many speak with other servers at a time, and so many for one hook: a server that answers slowly, or never, holds up those who wait
// for it and nobody else.
type places struct {
	all  chan struct{}
	each int

	mu    sync.Mutex
	hooks map[string]*hookPlaces // those that somebody has a place of, or waits for one
}

type hookPlaces struct {
	taken chan struct{}
	users int // under places.mu
}

func newPlaces(all, each int) *places {
	return &places{all: make(chan struct{}, all), each: each, hooks: map[string]*hookPlaces{}}
}

// take waits for a place of a hook, then for one of all.
func (p *places) take(ctx context.Context, hook string) (give func(), err error) {
	h := p.enter(hook)
	select {
	case h.taken <- struct{}{}:
	case <-ctx.Done():
		p.leave(hook, h)
		return nil, context.Cause(ctx)
	}
	select {
	case p.all <- struct{}{}:
	case <-ctx.Done():
		<-h.taken
		p.leave(hook, h)
		return nil, context.Cause(ctx)
	}
	return func() {
		<-p.all
		<-h.taken
		p.leave(hook, h)
	}, nil
}

func (p *places) enter(hook string) *hookPlaces {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hooks[hook]
	if h == nil {
		h = &hookPlaces{taken: make(chan struct{}, p.each)}
		p.hooks[hook] = h
	}
	h.users++
	return h
}

func (p *places) leave(hook string, h *hookPlaces) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(p.hooks, hook)
	}
}
