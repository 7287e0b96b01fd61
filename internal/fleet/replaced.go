package fleet

import (
	"cmp"
	"slices"
	"time"
)

// keptReplacements is how many replacements of a version are remembered. All of them are told to Options.Replaced.
const keptReplacements = 10

// Replacement is why an instance was ended that nobody had told to end.
type Replacement struct {
	Instance string
	Function string
	Version  int
	Cause    Cause
	Reason   string // for people
	At       time.Time
	Times    int // how often that has come to pass with the version, this one included, since the first call for it on this node
}

// Cause is a kind of reason, for metrics.
type Cause string

const (
	Unhealthy Cause = "health"  // its health checks failed
	Overdue   Cause = "timeout" // a call took longer than the function may
	Ended     Cause = "crash"   // it ended by itself, or broke off
	TooBig    Cause = "oom"     // its memory limit killed it
	NotThawed Cause = "thaw"
)

func causes() []Cause { return []Cause{Unhealthy, Overdue, Ended, TooBig, NotThawed} }

// replaced notes why an instance will be replaced. The caller holds mu, and calls tellReplaced when it does no more.
func (f *Fleet) replaced(i *instance, cause Cause, reason string) {
	p := i.pool
	p.replacedTimes++
	r := Replacement{
		Instance: i.id, Function: p.version.Function(), Version: p.version.Number, Cause: cause, Reason: reason, At: f.o.Now(), Times: p.replacedTimes,
	}
	p.replaced = append(p.replaced[max(0, len(p.replaced)+1-keptReplacements):], r)
	f.untold = append(f.untold, r)
	f.metrics.replaced(cause)
}

// tellReplaced passes on what has been noted.
func (f *Fleet) tellReplaced() {
	f.mu.Lock()
	told := f.untold
	f.untold = nil
	f.mu.Unlock()
	if f.o.Replaced == nil {
		return
	}
	for _, r := range told {
		f.o.Replaced(r)
	}
}

// Replaced lists the last replacements of each version that had one, by function, version and time.
func (f *Fleet) Replaced() []Replacement {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Replacement
	for _, p := range f.pools {
		all = append(all, p.replaced...)
	}
	slices.SortFunc(all, func(a, b Replacement) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Version, b.Version), a.At.Compare(b.At), cmp.Compare(a.Times, b.Times))
	})
	return all
}
