package build

import (
	"io"
	"sync"
)

// outlet passes lines on to who waits for a build, as fast as that takes them. The build does not wait for it: who reads nothing would hold a
// place that others wait for. What is held is bounded by maxLog.
type outlet struct {
	done chan struct{} // closed when all has been passed on

	mu    sync.Mutex
	more  *sync.Cond // lines or ended changed
	lines []string
	ended bool
}

func newOutlet(out io.Writer) *outlet {
	o := &outlet{done: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	go func() {
		defer close(o.done)
		for lines := o.take(); len(lines) > 0; lines = o.take() {
			for _, line := range lines {
				_, _ = io.WriteString(out, line+"\n") // who waited has gone; the build ends by its context
			}
		}
	}()
	return o
}

func (o *outlet) say(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, line)
	o.more.Signal()
}

// take waits for lines; none are the end.
func (o *outlet) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.lines) == 0 && !o.ended {
		o.more.Wait()
	}
	lines := o.lines
	o.lines = nil
	return lines
}

// close blocks until all has been passed on.
func (o *outlet) close() {
	o.mu.Lock()
	o.ended = true
	o.more.Signal()
	o.mu.Unlock()
	<-o.done
}
