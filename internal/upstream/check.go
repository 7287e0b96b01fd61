package upstream

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// mostChecks of a round run at a time.
const mostChecks = 64

// check asks all servers now and then whether they are well, and new ones at once, until ctx is done.
func (p *Pool) check(ctx context.Context) {
	tick := time.NewTicker(p.rule.Check.Every.Std())
	defer tick.Stop()
	var rounds sync.WaitGroup
	defer rounds.Wait()
	over := make(chan struct{}, 1) // holds a value when no round of all is under way
	over <- struct{}{}
	for {
		select {
		case <-p.news:
			rounds.Go(func() { p.round(ctx, false) }) // beside the others, which may have to wait for servers that hang
		case <-tick.C:
			select {
			case <-over:
				rounds.Go(func() {
					p.round(ctx, true)
					over <- struct{}{}
				})
			default: // they take longer than the time between two
			}
		case <-ctx.Done():
			return
		}
	}
}

// round checks all servers, or those that were not checked and are not being checked.
func (p *Pool) round(ctx context.Context, all bool) {
	var round errgroup.Group
	round.SetLimit(mostChecks)
	for _, m := range *p.members.Load() {
		if ctx.Err() != nil {
			break
		}
		if m.checks(all) {
			round.Go(func() error {
				if ctx.Err() != nil { // while it waited for its turn
					return nil
				}
				err := m.remote.Check(p.rule.Check.Path, p.rule.Check.Timeout.Std())
				if ctx.Err() == nil { // else the stop may have ended it
					p.checked(m, err)
				}
				return nil
			})
		}
	}
	_ = round.Wait() // none of them fails
}

// checks says whether it is to be checked now. What it says yes to ends with learn.
func (m *member) checks(all bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.checking || m.checked && !all {
		return false
	}
	m.checking = true
	return true
}

// checked counts a check, and says in the log what changes by it.
func (p *Pool) checked(m *member, err error) {
	was, is := m.learn(err, p.rule.Check.Healthy, p.rule.Check.Unhealthy)
	switch {
	case was == "" && is != "":
		p.up.o.Logger.Warn("a server of an upstream is unhealthy", "function", p.function, "trigger", p.trigger, "server", m.id(), "err", is)
	case was != "" && is == "":
		p.up.o.Logger.Info("a server of an upstream is healthy again", "function", p.function, "trigger", p.trigger, "server", m.id())
	}
}

// learn takes what a check has found. Of a server that was never checked the first one decides.
func (m *member) learn(err error, healthy, unhealthy int) (was, is string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was = m.unwell
	first := !m.checked
	m.checked, m.checking = true, false
	if err == nil {
		m.well, m.bad = m.well+1, 0
		if first || m.well >= healthy {
			m.unwell = ""
		}
		return was, m.unwell
	}
	m.well, m.bad = 0, m.bad+1
	if first || m.bad >= unhealthy || m.unwell != "" {
		m.unwell = err.Error()
	}
	return was, m.unwell
}
