package dispatch

import (
	"context"
	"sync"
	"sync/atomic"
)

// crewIdle is how many idle goroutines a crew keeps.
const crewIdle = 16

// crew runs tasks, each on a goroutine. It keeps some of those that are idle, because one that has grown its stack already is
// cheaper than a new one.
type crew struct {
	members sync.WaitGroup
	tasks   chan func()
	idle    atomic.Int32
}

func newCrew() *crew { return &crew{tasks: make(chan func())} }

// run runs a task and does not wait for it. When ctx is done the idle goroutines end.
func (c *crew) run(ctx context.Context, task func()) {
	select {
	case c.tasks <- task:
		return
	default:
	}
	c.members.Go(func() {
		for {
			task()
			if c.idle.Add(1) > crewIdle {
				c.idle.Add(-1)
				return
			}
			select {
			case task = <-c.tasks:
				c.idle.Add(-1)
			case <-ctx.Done():
				return
			}
		}
	})
}

// wait waits until all tasks are done and all goroutines have ended. The context of run must be done.
func (c *crew) wait() { c.members.Wait() }
