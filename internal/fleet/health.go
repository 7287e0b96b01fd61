package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

// judge notes what the result of a call says of its instance. The caller holds mu.
func (f *Fleet) judge(i *instance, r *function.Result) {
	cause, is := map[function.Outcome]Cause{function.TimedOut: Overdue, function.Crashed: Ended, function.OOM: TooBig}[r.Outcome]
	if !is || i.pool.stdio {
		return // a stdio instance ends with its call
	}
	reason := string(r.Outcome)
	if r.Failure != nil {
		reason = r.Failure.Message
	}
	f.replaced(i, cause, reason)
}

// watch asks an instance whether it is well, again and again until ctx ends. One that is not so often in a row takes no more calls, and
// ends when it has finished those that it has. One that is frozen is left alone.
func (f *Fleet) watch(ctx context.Context, i *instance, conn entry.Conn) {
	h := i.pool.version.Spec.Health
	prober, can := conn.(entry.Prober)
	if h == nil || !can {
		return
	}
	every := time.NewTicker(h.Every.Std())
	defer every.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if !f.beginProbe(i) {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, h.Every.Std())
		err := prober.Probe(limited, h.Path)
		cancel()
		young := f.o.Now().Sub(i.started) < h.Grace.Std()
		switch {
		case err == nil:
			failures = 0
			f.well(i)
		case errors.Is(err, entry.ErrBusy): // says neither
		case ctx.Err() == nil && !young:
			failures++
		}
		if f.endProbe(i); failures >= h.Failures {
			f.dismiss(i, fmt.Sprintf("%v, %d times in a row", err, failures))
			return
		}
	}
}

// beginProbe keeps an instance from being frozen while it is asked; false = it is frozen, or leaving.
func (f *Fleet) beginProbe(i *instance) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i.probing = i.frost.temper == warm && !i.leaving && !i.ending
	return i.probing
}

func (f *Fleet) endProbe(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i.probing = false
	if at := f.freezeAt(i); !at.IsZero() && i.busy == 0 && i.listed {
		f.wakeBy(at)
	}
}

// dismiss ends an instance that lives and misbehaves. The next one is started in a while, longer each time.
func (f *Fleet) dismiss(i *instance, reason string) {
	defer f.tellReplaced()
	f.mu.Lock()
	p := i.pool
	told := !i.ending && !i.leaving
	var wait time.Duration
	if told {
		f.replaced(i, Unhealthy, reason)
		i.leaving = true
		p.unlist(i)
		if i.busy == 0 {
			f.retire(i, stopGrace)
		}
		wait = p.unwell.worse(f.o.Now(), reason)
		f.wakeBy(p.unwell.until)
	}
	f.mu.Unlock()
	if told {
		f.o.Logger.Warn("instance is not well and is replaced", "function", p.version.Function(), "version", p.version.Number, "instance", i.id, "wait", wait,
			"err", reason)
	}
}

// well: one that is ends the trouble of its version.
func (f *Fleet) well(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !i.leaving && !i.ending {
		i.pool.unwell = spell{}
	}
}
