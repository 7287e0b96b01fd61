package native

import (
	"time"

	"github.com/dalamb/dalamb/internal/runner/tree"
)

// watchSizes looks at all sandboxes' memory every now and then, until stop is closed. It stands in for a memory cgroup.
func (r *Runner) watchSizes(stop <-chan struct{}) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		sandboxes := r.sandboxes()
		if len(sandboxes) == 0 {
			continue
		}
		all, err := tree.Snapshot()
		if err != nil && !failing {
			r.log.Warn("sizes of functions not known", "err", err)
		}
		failing = err != nil
		for _, sb := range sandboxes {
			if err == nil {
				sb.measure(all)
			}
		}
	}
}

// measure notes what all below the init uses, and ends the sandbox when that is over its limit.
func (sb *sandbox) measure(all []tree.Process) {
	init := sb.nest.cmd.Process.Pid
	var memory int64
	var cpu time.Duration
	for _, p := range tree.Descendants(all, map[int]bool{init: true}) {
		if p.PID != init {
			memory += p.Memory
			cpu += p.CPU
		}
	}
	sb.mu.Lock()
	sb.usage.MemoryPeak = max(sb.usage.MemoryPeak, memory)
	sb.usage.CPU = max(sb.usage.CPU, cpu)
	over := sb.spec.Memory > 0 && memory > sb.spec.Memory && !sb.ended
	sb.over = sb.over || over
	sb.mu.Unlock()
	if over {
		sb.log.Info("function killed over its memory limit", "memory", memory, "limit", sb.spec.Memory)
		sb.kill()
	}
}
