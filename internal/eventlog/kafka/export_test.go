package kafka

import (
	"context"
	"net"
	"time"
)

// Hooks are where tests look in or step in.
type Hooks struct {
	Dial       func(ctx context.Context, network, address string) (net.Conn, error)
	BeforeEnd  func() // between what a transaction stores and its end
	Unstable   func() // a new owner waits for a transaction of an owner before
	WatchEvery time.Duration
}

// With returns the options with hooks.
func (o Options) With(h Hooks) Options {
	o.hooks = hooks{dial: h.Dial, beforeEnd: h.BeforeEnd, unstable: h.Unstable, watchEvery: h.WatchEvery}
	return o
}
