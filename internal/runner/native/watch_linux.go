package native

import (
	"time"

	"github.com/dalamb/dalamb/internal/runner/tree"
)

// measures lists who wants to see the next snapshot of processes, where that stands in for a memory cgroup.
func (r *Runner) measures() []func([]tree.Process) {
	var all []func([]tree.Process)
	for _, sb := range r.roster.All() {
		all = append(all, sb.measure)
	}
	return all
}

// measure notes what all below the init uses, and ends the sandbox when that is over its limit.
func (sb *sandbox) measure(all []tree.Process) {
	init := sb.nest.init.PID
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
