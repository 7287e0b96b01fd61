package process

import (
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/runner/tree"
)

// measures lists who wants to see the next snapshot of processes.
func (r *Runner) measures() []func([]tree.Process) {
	var all []func([]tree.Process)
	for _, sb := range r.roster.All() {
		all = append(all, sb.measure)
	}
	return all
}

// measure notes what the sandbox uses and ends it when that is over a limit.
func (sb *sandbox) measure(all []tree.Process) {
	live, _ := sb.family.members(all)
	var memory int64
	var cpu time.Duration
	for _, p := range live {
		memory += p.Memory
		cpu += p.CPU
	}
	sb.mu.Lock()
	sb.usage.MemoryPeak = max(sb.usage.MemoryPeak, memory)
	sb.usage.CPU = max(sb.usage.CPU, cpu)
	oom := sb.spec.Memory > 0 && memory > sb.spec.Memory
	crowd := sb.spec.PIDs > 0 && len(live) > sb.spec.PIDs
	sb.oom = sb.oom || oom
	sb.mu.Unlock()
	switch {
	case oom:
		sb.log.Info("function killed over its memory limit", "memory", memory, "limit", sb.spec.Memory)
	case crowd:
		sb.log.Info("function killed over its process limit", "processes", len(live), "limit", sb.spec.PIDs)
		sb.note(fmt.Sprintf("dalamb: killed: %d processes, limit %d\n", len(live), sb.spec.PIDs))
	default:
		return
	}
	sb.killNow()
}
