package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

// keyed is a request that is run under a key, with all its attempts, of which some may outlive it: its route's time may be over, and the function goes
// on. What that says then is the answer to who asks again.
type keyed struct {
	g        *Gateway
	claim    *idempotency.Claim
	keep     time.Duration
	function string
	of       answerer

	request *http.Request // what the answers are to

	mu      sync.Mutex
	under   int              // attempts that the function has
	ran     bool             // one has run, and nobody knows what it has said: the log did not take it
	left    bool             // the client was answered, or waits no longer
	settled bool             // the claim has an end, or is left to its own
	late    *function.Result // of an attempt that succeeded, and may have been left
}

// settles says whether an answer settles what a request has brought about. The others say that nobody knows, or that the client shall come again.
func settles(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// begin is called before an attempt is the function's; k may be nil. One that comes when the request has ended is not made: its key may be free.
func (k *keyed) begin() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left {
		return fault.New(fault.Timeout, "the client waits no longer")
	}
	k.under++
	return nil
}

// end is called with what came of it.
func (k *keyed) end(res *function.Result, err error) {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.under--
	k.ran = k.ran || hasRun(err)
	if err == nil && answered(res) && res.Status < http.StatusInternalServerError && settles(res.Status) {
		k.late = res
	}
	ends := k.left && !k.settled && (k.late != nil || k.under == 0)
	k.settled = k.settled || ends
	late := k.late
	k.mu.Unlock()
	if !ends {
		return
	}
	if err := k.close(nil, late); err != nil {
		k.g.logger.Warn("the answer to a request with an idempotency key is not kept", "function", k.function, "err", err)
	}
}

// finish ends the claim once the request's own answer is known. nil = it has none that settles it: then one that came too late for the client does,
// or the last attempt that is still the function's.
func (k *keyed) finish(a *function.Answer) error {
	k.mu.Lock()
	done := k.settled
	k.left = true
	k.settled = done || a != nil || k.late != nil || k.under == 0
	ends := k.settled && !done
	late := k.late
	k.mu.Unlock()
	if !ends {
		return nil
	}
	return k.close(a, late)
}

// accepted ends the claim of a request that is in the log and will be run from there: whatever its own client is told in the end, who asks again is
// told where to look. k may be nil.
func (k *keyed) accepted(run *lateRun) error {
	if k == nil {
		return nil
	}
	return k.finish(k.g.acceptance(run))
}

// leave ends what nothing else has ended.
func (k *keyed) leave() {
	if err := k.finish(nil); err != nil {
		k.g.logger.Warn("an idempotency key is not free yet", "function", k.function, "err", err)
	}
}

// abandon leaves the claim to its deadline: the function has run, and nobody may know what it has said.
func (k *keyed) abandon() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.settled = true, true
}

// close is called once, by who has settled k: it stores an answer, or the late one, or makes the key free unless the function has run. The client
// may be gone.
func (k *keyed) close(a *function.Answer, late *function.Result) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.request.Context()), storeTimeout)
	defer cancel()
	if a == nil && late != nil {
		a = answeredAs(k.request, late)
	}
	if a == nil {
		k.mu.Lock()
		ran := k.ran
		k.mu.Unlock()
		if ran { // it is free when its time is over, as where nobody knows of the answer itself
			return nil
		}
		return k.claim.Free(ctx)
	}
	if err := k.claim.Answer(ctx, a, k.keep); err != nil {
		return unkept{fault.New(fault.Unavailable, "the log did not take the answer of function %s: %w", k.function, fmt.Errorf("store the answer: %w", err)).
			WithHint("%s; send the request again, with the same key, when the time of the function is over", k.of.done())}
	}
	return nil
}
