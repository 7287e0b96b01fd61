package gateway

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// asker is a function that makes a request.
type asker struct {
	chain    function.Chain
	identity *function.Identity
}

// makes makes a call the asker's. A nil asker is no function.
func (a *asker) makes(c *Call) {
	if a != nil {
		c.Chain, c.Identity, c.vouched = a.chain, a.identity, true
	}
}

// selfWait is how long a call waits for an instance of a function that waits for the call.
const selfWait = 10 * time.Second

// patience is how long a call waits for an instance at most.
func (c *Caller) patience(call *Call) time.Duration {
	most := cmp.Or(min(call.wait, c.queue), c.queue)
	if call.waitsForItself() {
		return min(most, selfWait)
	}
	return most
}

// waitsForItself says whether the function that is called waits for the call's answer.
func (c *Call) waitsForItself() bool { return slices.Contains(c.Chain.Waiting, c.Function) }

// waitedForItself says what may have been in the way of a call that waits for itself.
func (c *Call) waitedForItself(cause error) error {
	way := strings.Join(append(slices.Clip(last(c.Chain.Waiting, 4)), c.Function), " -> ")
	return fault.New(fault.Exhausted, "the call waits for a function that waits for it (%s): %w", way, cause).
		WithHint("raise scale.max of function %s, or let it not call itself by way of others", c.Function)
}

// caused gives an event its place behind what has led to it.
func caused(extensions map[string]any, c *function.Chain) {
	if c.Cause != "" {
		extensions[event.ExtCausationID], extensions[event.ExtCorrelationID] = c.Cause, c.Correlation
	}
	if c.Hops > 0 {
		extensions[event.ExtHops] = int32(c.Hops)
	}
}
