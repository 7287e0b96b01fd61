package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// parts are the goroutines of a node. They stop one after another, the newest first: what feeds others stops before them.
type parts struct {
	list []*part
	fail chan struct{} // closed when a part has ended by itself
	once sync.Once
}

type part struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid when done is closed
}

func newParts() *parts { return &parts{fail: make(chan struct{})} }

func (p *parts) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	one := &part{name: name, cancel: cancel, done: make(chan struct{})}
	p.list = append(p.list, one)
	go func() {
		defer close(one.done)
		one.err = run(ctx)
		if ctx.Err() == nil {
			p.once.Do(func() { close(p.fail) })
		}
	}()
}

// stop ends all parts, the newest first, and returns what went wrong in any of them.
func (p *parts) stop() error {
	var errs []error
	for _, one := range slices.Backward(p.list) {
		one.cancel()
		<-one.done
		if one.err != nil && !errors.Is(one.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", one.name, one.err))
		}
	}
	p.list = nil
	return errors.Join(errs...)
}

// together is one part made of several that start and stop at the same time. It ends when the first of them does, and takes the
// others with it.
func together(runs ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, run := range runs {
			g.Go(func() error {
				err := run(ctx)
				if err == nil && ctx.Err() == nil {
					err = errors.New("ended without being told to")
				}
				return err
			})
		}
		return g.Wait()
	}
}
