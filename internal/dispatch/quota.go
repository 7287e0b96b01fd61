package dispatch

import "context"

// Quotas hold environments to how many events their functions may make. What a function has answered with is never refused: it is owed, and while an environment
// owes events no attempt of its triggers begins. So they fall behind in the log, and lose nothing.
type Quotas interface {
	// Wait blocks until an environment owes no events, or ctx is done, whose error it returns.
	Wait(ctx context.Context, environment string) error
	// Emitted counts events that go to topics of an environment. It never blocks.
	Emitted(environment string, events int)
}

// noQuotas is where there are none.
type noQuotas struct{}

func (noQuotas) Wait(context.Context, string) error { return nil }
func (noQuotas) Emitted(string, int)                {}
