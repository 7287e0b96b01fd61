package client

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Checkpoint has the node keep a copy of its log, and remove nothing that the copy refers to, for as long as use runs. The context that
// use is given ends when the node no longer does.
func (c *Client) Checkpoint(ctx context.Context, use func(context.Context, wire.Checkpoint) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	next, stop := iter.Pull2(stream[wire.Checkpoint](ctx, c, request{method: http.MethodPost, path: []string{"v1", "checkpoints"}}))
	defer stop()
	defer cancel(nil)
	made, err, ok := next()
	switch {
	case !ok:
		return fault.New(fault.Unavailable, "the node's answer ended before there was a checkpoint").WithHint("do it again")
	case err != nil:
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, err, _ := next() // the node says no more, but that it is over
		if err == nil {
			err = c.unreachable(errors.New("the connection ended"))
		}
		cancel(err)
	}()
	err = use(ctx, made)
	cancel(nil)
	<-over
	return err
}
