package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
)

// askAgain is after how long a token is looked at again at the latest: the clock that its end is told by may be set while a stream is open.
const askAgain = time.Minute

// whileKnown is the context of a request that lasts until its client ends it: it is done when the token that the request shows has expired or was
// removed, too, and its cause then says which. release waits for what looks after the token.
func (a *API) whileKnown(r *http.Request) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := a.untilUnknown(ctx, access.Bearer(r)); err != nil {
			cancel(err)
		}
	}()
	return ctx, func() { cancel(nil); <-over }
}

// untilUnknown blocks until a token is good for nothing any more, and says why; nil = ctx was done before.
func (a *API) untilUnknown(ctx context.Context, token string) error {
	who := access.From(ctx)
	for {
		changed := a.catalog.Changed() // ahead of the look, so that nothing is missed
		if err := a.stands(who, token); err != nil {
			return err
		}
		wait := askAgain
		if !who.Expires.IsZero() {
			wait = min(wait, who.Expires.Sub(a.now()))
		}
		again := time.NewTimer(wait)
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil
		}
		again.Stop()
	}
}

// stands refuses who is not known any more. A person's token is the issuer's, who cannot take it back: it ends by its time alone.
func (a *API) stands(who access.Actor, token string) error {
	if who.Type != access.User {
		_, err := a.Who(token)
		return err
	}
	if who.Grant.Expired(a.now()) {
		return fault.New(fault.Unauthenticated, "the token of the %s has expired", who).WithHint("sign in again")
	}
	return nil
}

// ended is why a stream ends that its client did not end: its token is good for nothing any more; nil where it is another reason.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); fault.KindOf(err) == fault.Unauthenticated {
		return err
	}
	return nil
}
