package fleet

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Call asks for one invocation of a function.
type Call struct {
	Function string
	Alias    string // "" = live
	Version  int    // 0 = by alias
	// Key decides which of an alias's versions runs the call: all calls of a key meet the same one. "" = each call another.
	Key        string
	Invocation *function.Invocation

	// Kill, when it is closed, ends the call wherever it stands: one that waits leaves the queue, one that runs has its
	// instance killed, with all that runs there. nil = never: what has begun runs to its end.
	Kill <-chan struct{}

	// Asked is when the call was made first, where it was Exhausted since and is made again: among those that wait it has the place of then. Zero = now.
	Asked time.Time

	// Patience is for how long the call waits for an instance while none of its version is starting; then it is Exhausted. What is starting is waited for. 0 = as
	// long as ctx says.
	Patience time.Duration
}
