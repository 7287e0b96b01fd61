package native

import (
	"log/slog"
	"sync"
)

// sweeper takes away what the kernel needs a moment to let go of: inits that are ending, and their cgroups. Nobody waits for it
// but Close; what a killed node has not swept, Recover finds.
type sweeper struct {
	log  *slog.Logger
	work sync.WaitGroup
}

// sweep frees a nest that was ended.
func (s *sweeper) sweep(n *nest) {
	s.work.Go(func() {
		if n.pidfd != nil {
			n.wait()
			n.pidfd.Close()
		}
		n.free()
		if n.group == nil {
			return
		}
		if err := n.group.remove(); err != nil {
			s.log.Warn("cgroup not removed", "err", err)
		}
	})
}

func (s *sweeper) close() { s.work.Wait() }
