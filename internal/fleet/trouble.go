package fleet

import (
	"fmt"
	"slices"
	"time"
)

// Trouble is why a function has fewer instances than it asks for, now.
type Trouble struct {
	Function string
	Version  int // 0 = it is about the function
	Kind     TroubleKind
	Reason   string // for people
	Since    time.Time
	Times    int       // in a row
	Next     time.Time // when it is tried again; zero = that is not a matter of time
}

// TroubleKind is a kind of trouble.
type TroubleKind string

const (
	NotStarting TroubleKind = "start"    // its instances do not become ready
	NotRenewed  TroubleKind = "values"   // those with the values that it takes now do not, and the older ones go on
	NotWell     TroubleKind = "health"   // they become ready, and then fail their health checks
	NoPlace     TroubleKind = "reserved" // it reserves places that the node does not have
)

// spell is a trouble that a pool has. Guarded by Fleet.mu.
type spell struct {
	since  time.Time
	times  int
	reason string
	until  time.Time // nothing is started before
}

// worse notes that it happened again, and returns for how long nothing is started: longer each time.
func (s *spell) worse(now time.Time, reason string) time.Duration {
	if s.times == 0 {
		s.since = now
	}
	wait := min(firstBackOff<<min(s.times, 16), lastBackOff)
	s.times, s.reason, s.until = s.times+1, reason, now.Add(wait)
	return wait
}

// until is when an instance may be started again; zero = now.
func (p *pool) until() time.Time {
	if p.unwell.until.After(p.stalled.until) {
		return p.unwell.until
	}
	return p.stalled.until
}

// ready says whether some instance could be started, and is there.
func (p *pool) ready(now time.Time) bool {
	return slices.ContainsFunc(p.instances, func(i *instance) bool { return !i.started.IsZero() && !i.ending && i.proven(now) })
}

// Troubles lists what keeps functions from having the instances that they ask for, by function and version.
func (f *Fleet) Troubles() []Trouble {
	now := f.o.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Trouble
	for _, p := range f.pools {
		if !p.wanted {
			continue
		}
		add := func(kind TroubleKind, s *spell) {
			if s.times > 0 {
				all = append(all, Trouble{p.version.Function(), p.version.Number, kind, s.reason, s.since, s.times, s.until})
			}
		}
		switch {
		case !p.ready(now):
			add(NotStarting, &p.stalled)
		case p.outdated() > 0 && p.values == f.o.Values.Offset(p.version): // what failed before they changed again says nothing
			add(NotRenewed, &p.stalled)
		}
		add(NotWell, &p.unwell)
	}
	for name, s := range f.shares {
		if s.asked > s.reserved {
			all = append(all, Trouble{
				Function: name, Kind: NoPlace, Since: s.short,
				Reason: fmt.Sprintf("scale.reserved asks for %d places, and of the node's %d (limits.instances) %d are left for it; raise limits.instances or the quota of its environment, or reserve less",
					s.asked, f.o.MaxInstances, s.reserved),
			})
		}
	}
	sortBy(all, func(t Trouble) (string, int, string) { return t.Function, t.Version, string(t.Kind) })
	return all
}
