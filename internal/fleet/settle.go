package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

// A function that cannot say that it is ready (entry.Silent) gets its first call at once: a cold start does not wait for what nobody will
// say. But that its process runs does not show that the version starts. Where that is the question, an instance has to have run for as long
// as it takes to settle, or to have answered: before a roll-out moves traffic (Ready), and before it takes calls in the place of instances
// with older values (settle). One that did speaks for all that start with the same values.

// untried is the offset of values with which a version starts that no instance has shown to start.
const untried = -1

// proven says whether an instance shows that its version starts; one that has not may end at any moment. The caller holds mu.
func (i *instance) proven(now time.Time) bool {
	return i.settled.IsZero() || i.pool.proven >= i.values || !now.Before(i.settled)
}

// prove: an instance has shown that its version starts. The caller holds mu.
func (i *instance) prove() { i.pool.proven = max(i.pool.proven, i.values) }

// settles is how long an instance has to go on running to show that its version starts; 0 = it said so.
func settles(conn entry.Conn) time.Duration {
	if silent, is := conn.(entry.Silent); is {
		return silent.Settles()
	}
	return 0
}

// settle holds an instance back that is to take the calls of those with older values, until it has shown that it starts. Where none of those is
// left, its calls come before what it shows. The error is that of a start; nothing is left then.
func (f *Fleet) settle(ctx context.Context, i *instance, conn entry.Conn) error {
	after := settles(conn)
	if after == 0 || !f.relieves(i) {
		return nil
	}
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-conn.Done():
		return unused(i, conn).init
	case <-ctx.Done():
		conn.Stop(stopGrace)
		return fmt.Errorf("wait for instance %s of %s: %w", i.id, i.pool.version.Function(), ctx.Err())
	case <-timer.C:
	}
	f.mu.Lock()
	i.prove()
	f.mu.Unlock()
	return nil
}

// relieves says whether an instance is the first with its values, where others have older ones and go on.
func (f *Fleet) relieves(i *instance) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := i.pool
	f.renew(p, i.values)
	return p.outdated() > 0 && p.proven < i.values
}

// shows says whether an instance shows that its version starts.
func (f *Fleet) shows(i *instance) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return i.proven(f.o.Now())
}

// awaitShown blocks until an instance that takes calls already has shown that its version starts, has ended or is taken out of service, or ctx
// ends. Calls have it meanwhile.
func (f *Fleet) awaitShown(ctx context.Context, i *instance) {
	f.mu.Lock()
	left := i.settled.Sub(f.o.Now())
	f.mu.Unlock()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-i.conn.Done():
		return
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	f.mu.Lock()
	if !i.ending {
		i.prove()
	}
	f.mu.Unlock()
}

// unused is why an instance ended by itself before it took an invocation, in the program's own words where there are any.
func unused(i *instance, conn entry.Conn) *failure {
	select {
	case <-conn.Done():
		if c, knows := conn.(entry.Unused); knows {
			return &failure{init: c.Unused()}
		}
	default: // it is there, and takes nothing
	}
	return &failure{init: &entry.InitError{Outcome: function.InitError, Failure: &function.Failure{
		Type:    "Runtime.ExitError",
		Message: fmt.Sprintf("function %s was ready and stopped taking invocations before it took one", i.pool.version.Function()),
	}}}
}
