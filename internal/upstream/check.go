package upstream

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// mostChecks of a pool run at a time.
const mostChecks = 64

// check asks all servers now and then whether they are well, and new ones at once, until ctx is done.
func (p *Pool) check(ctx context.Context) {
	tick := time.NewTicker(p.rule.Check.Every.Std())
	defer tick.Stop()
	for {
		all := true
		select {
		case <-p.news:
			all = false
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var round errgroup.Group
		round.SetLimit(mostChecks)
		for _, m := range *p.members.Load() {
			if all || m.unchecked() {
				round.Go(func() error {
					p.checked(m, m.remote.Check(p.rule.Check.Path, p.rule.Check.Timeout.Std()))
					return nil
				})
			}
		}
		_ = round.Wait() // none of them fails
	}
}

func (m *member) unchecked() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.checked
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
	m.checked = true
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
