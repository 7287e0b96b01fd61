package process

import (
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/runner/tree"
)

const (
	killWait  = 10 * time.Second      // how long a tree may take to die
	killPause = 10 * time.Millisecond // between looks whether it has
	startWait = time.Second           // how long an orphan may take to show its environment after it was started
	execWait  = startWait / 4         // the same while a function ends
)

// family is a command and all that descends from it: below it in the process tree, in its session or process group, or
// (Linux) carrying its mark in the environment. Who was once seen to belong stays in, also when its parent ends.
type family struct {
	leader int    // the command's pid, also its session and process group
	start  string // tree.Process.Start of the command; "" = not known
	mark   string // KEY=value
	own    bool   // this runner started it: its group and session cannot be another's yet

	mu   sync.Mutex
	seen map[int]verdict
}

// verdict is whether the process that began at start belongs. A pid can be used again, so start goes with it.
type verdict struct {
	start       string
	ours, known bool
}

// members returns those processes of all that belong and live, and whether there are some of which that cannot be said yet.
func (f *family) members(all []tree.Process) (live []tree.Process, unsure bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	above := tree.Ancestors(all, os.Getpid())
	roots := make(map[int]bool)
	seen := make(map[int]verdict, len(f.seen))
	for _, p := range all {
		v := f.seen[p.PID]
		if !v.known || v.start != p.Start {
			v = verdict{start: p.Start}
			v.ours, v.known = f.claims(p)
		}
		seen[p.PID] = v
		roots[p.PID] = v.ours
		// One that just starts and is ours is below another of ours, or an orphan: the child of the first process, or of the
		// manager of services that stands above this one.
		unsure = unsure || !v.known && p.Mapped && above[p.Parent]
	}
	for _, p := range tree.Descendants(all, roots) {
		seen[p.PID] = verdict{start: p.Start, ours: true, known: true}
		if !p.Zombie {
			live = append(live, p)
		}
	}
	f.seen = seen
	return live, unsure
}

func (f *family) claims(p tree.Process) (ours, known bool) {
	if p.PID == f.leader {
		return p.Start == f.start, true
	}
	if f.own && (p.Group == f.leader || p.Session == f.leader) {
		return true, true
	}
	if !p.Mapped {
		return false, false // the kernel's own thread, dead, or hardly there yet
	}
	return tree.Marked(p.PID, f.mark)
}

// kill ends all members, looking again until there are none, since some may be starting others meanwhile; and until settled
// comes while there are processes that may yet turn out to be some. It returns false when until came first.
func (f *family) kill(until, settled time.Time) bool {
	for {
		all, err := tree.Snapshot()
		live, unsure := f.members(all)
		if err == nil && len(live) == 0 && (!unsure || time.Now().After(settled)) {
			return true
		}
		if time.Now().After(until) {
			return false
		}
		// First all stand still, so that none can fork while the others die.
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
			for _, p := range live {
				_ = syscall.Kill(p.PID, sig) // gone already is what we want
			}
		}
		time.Sleep(killPause)
	}
}
