package fleet

import (
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// ErrOwnBound is in the chain of an Exhausted error where the function's own bound is reached, or that of its environment: to send it less helps, or to raise its
// scale.max, or the quota. Without it the node has no room, or not yet.
var ErrOwnBound = errors.New("the function's own bound is reached")

// busy says that too many calls wait for an instance already. The caller holds mu.
func (f *Fleet) busy(p *pool) error {
	err := fault.New(fault.Exhausted, "function %s: %d calls wait for an instance already", p.version.Function(), f.o.MaxQueue).
		WithHint("send less at a time, or raise scale.max of the function")
	if len(p.instances) >= p.max || !p.share.tenant.takes(p) {
		err.Err = ErrOwnBound
	}
	return err
}

// late says why no instance was free in time, and where the bound stands that was in the way. The caller holds mu.
func (f *Fleet) late(p *pool, cause error) error {
	name, there := p.version.Function(), len(p.instances)
	what, hint := "", ""
	switch wait := p.unwell.until.Sub(f.o.Now()); {
	case wait > 0:
		what = fmt.Sprintf("its instances are not well (%s, %d replaced in a row), and the next is started in %s", p.unwell.reason, p.unwell.times, wait.Round(time.Millisecond))
		hint = "see what the function answers at its health.path, and dalamb ps"
	case there >= p.max:
		cause = errors.Join(cause, ErrOwnBound)
		what = fmt.Sprintf("%d are there, and its scale.max is %d", there, p.max)
		hint = "raise scale.max of the function, or send less at a time"
	case !p.share.tenant.takes(p):
		cause = errors.Join(cause, ErrOwnBound)
		what, hint = p.share.tenant.full(p)
	case f.room(p.share) <= 0:
		what = fmt.Sprintf("it has %d, and the node's limits.instances is %d for all functions together%s", p.share.held, f.o.MaxInstances, f.keptFromOthers(p.share))
		hint = "raise limits.instances of the node, reserve some for the function (scale.reserved), or send less at a time"
	default:
		what = fmt.Sprintf("%d are there, %d of them are starting", there, p.starting)
		hint = "keep some warm (scale.min), or wait longer"
	}
	err := fault.New(fault.Exhausted, "function %s: no instance was free in time: %s", name, what).WithHint("%s", hint)
	err.Err = cause
	return err
}

// keptFromOthers says how many places are free and kept for other functions than that of s. The caller holds mu.
func (f *Fleet) keptFromOthers(s *share) string {
	n := 0
	for _, k := range f.keepers {
		if k != s {
			n += max(0, k.reserved-k.held)
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", of which %d are kept for those that reserve them (scale.reserved)", n)
}
