package fleet

import (
	"errors"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
)

// temper is whether an instance may run. It changes from one to the next, in this order and round again; frozen and warm ones stay so until
// somebody changes that.
type temper uint8

const (
	warm temper = iota
	freezing
	frozen
	thawing
)

// frost is what fleet knows of an instance's temper. Guarded by Fleet.mu.
type frost struct {
	temper  temper
	settled chan struct{} // of freezing and thawing: closed when that is over
	chill   chan struct{} // of capacity 1: the instance's goroutine shall freeze it
	never   bool          // that was tried, and cannot be done
	stuck   error         // why it did not thaw: it takes no call any more
}

// freezeAt is when an idle instance is to be frozen; zero = never.
func (f *Fleet) freezeAt(i *instance) time.Time {
	after := i.pool.version.Spec.Scale.Freeze.Std()
	if after <= 0 || i.pool.unfreezable || i.frost.never || i.frost.temper != warm || i.probing || i.pool.stdio {
		return time.Time{}
	}
	at := i.idleSince.Add(after)
	if at.Before(i.settled) {
		return i.settled // held still it would show nothing
	}
	return at
}

// chill lets the goroutine of an idle instance freeze it. The caller holds mu.
func (f *Fleet) chill(i *instance) {
	i.frost.temper, i.frost.settled = freezing, make(chan struct{})
	i.frost.chill <- struct{}{}
}

// freeze freezes an instance whose temper is freezing.
func (f *Fleet) freeze(i *instance, conn entry.Conn) {
	err := errors.ErrUnsupported
	if c, can := conn.(entry.Freezer); can {
		err = c.Freeze(true)
	}
	f.mu.Lock()
	i.frost.temper = frozen
	if err != nil {
		i.frost.temper, i.frost.never = warm, true
	}
	close(i.frost.settled)
	first := errors.Is(err, errors.ErrUnsupported) && !i.pool.unfreezable
	i.pool.unfreezable = i.pool.unfreezable || first
	ending := i.ending
	f.mu.Unlock()
	switch {
	case first:
		f.o.Logger.Info("idle instances are not frozen", "function", i.pool.version.Function(), "version", i.pool.version.Number, "err", err)
	case err != nil && !ending && !errors.Is(err, errors.ErrUnsupported):
		f.o.Logger.Warn("function not frozen", "function", i.pool.version.Function(), "version", i.pool.version.Number, "instance", i.id, "err", err)
	}
}

// leaveWarm ends what nobody will freeze any more, for those that wait for it.
func (f *Fleet) leaveWarm(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i.frost.temper == freezing {
		i.frost.temper = warm
		close(i.frost.settled)
	}
}

// thaw makes an instance warm that was taken for a call. Of several callers one does it, and the others wait.
func (f *Fleet) thaw(i *instance) error {
	defer f.tellReplaced()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i.frost.temper != warm && i.frost.stuck == nil {
		if i.frost.temper != frozen {
			settled := i.frost.settled
			f.mu.Unlock()
			<-settled
			f.mu.Lock()
			continue
		}
		i.frost.temper, i.frost.settled = thawing, make(chan struct{})
		f.mu.Unlock()
		begin := f.o.Now()
		err := i.conn.(entry.Freezer).Freeze(false)
		f.mu.Lock()
		i.frost.temper, i.frost.stuck = warm, err
		close(i.frost.settled)
		f.metrics.thawed(f.o.Now().Sub(begin))
		if err != nil {
			f.replaced(i, NotThawed, "it did not thaw: "+err.Error())
		}
	}
	return i.frost.stuck
}
