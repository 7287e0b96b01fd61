package upstream

import (
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// keepIdle is how many connections to a server are kept that nobody uses.
const keepIdle = 64

// maxStreak is how many times longer than the first one an ejection can be.
const maxStreak = 10

// member is one server of a pool.
type member struct {
	pool   *Pool
	hash   uint64 // of its address
	remote *entry.Remote
	share  int // of byWeight; the pool's mu guards it

	mu       sync.Mutex
	server   Server // with what the source has said last
	active   int    // requests under way
	requests int64  // all
	failures int64
	retired  bool // it is in no list any more

	checked    bool   // at least once
	checking   bool   // now
	unwell     string // why its checks leave it out; "" = they do not
	well, bad  int    // checks in a row
	inRow      int    // requests that failed
	ejected    time.Time
	streak     int // ejections, each soon after the last
	lastLength time.Duration
}

func newMember(p *Pool, s Server) *member {
	m := &member{pool: p, server: s, hash: hashOf(s.id())}
	m.remote = entry.NewRemote(entry.RemoteOptions{
		Host: s.host(), Rewrite: p.rule.Host == function.UpstreamHostRewrite, Dial: p.dialer(s), H2C: s.Scheme == function.UpstreamH2C,
		Keep: keepIdle, MaxAnswer: p.up.o.MaxAnswer,
	})
	return m
}

func (m *member) id() string { return m.server.id() } // which never changes

// say takes what the source says of it now.
func (m *member) say(s Server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.server.Weight, m.server.Unwell = s.Weight, s.Unwell // the rest is what it is, and read without the lock
}

// load is what there is to choose by.
type load struct {
	usable bool
	full   bool // it has as many requests as it may
	active int
	weight int
}

func (m *member) load(now time.Time) load {
	m.mu.Lock()
	defer m.mu.Unlock()
	bound := m.pool.rule.Requests
	return load{
		usable: m.unwell == "" && m.server.Unwell == "" && !now.Before(m.ejected), full: bound > 0 && m.active >= bound,
		active: m.active, weight: max(1, m.server.Weight),
	}
}

// begin counts a request that it gets; false = it has as many as it may by now.
func (m *member) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bound := m.pool.rule.Requests; bound > 0 && m.active >= bound {
		return false
	}
	m.active++
	m.requests++
	return true
}

// How a request went, as far as the server is to blame.
type verdict int

const (
	neither verdict = iota // the client left
	good
	failed
)

// end counts what came of it.
func (m *member) end(v verdict) {
	m.mu.Lock()
	m.active--
	over := m.retired && m.active == 0
	eject := false
	switch v {
	case good:
		m.inRow = 0
	case failed:
		m.failures++
		m.inRow++
		e := m.pool.rule.Eject
		eject = e != nil && m.inRow >= e.Failures
	}
	m.mu.Unlock()
	if over {
		m.remote.Close()
	}
	if eject {
		m.pool.eject(m)
	}
}

// retire lets its connections go once nobody uses them.
func (m *member) retire() {
	m.mu.Lock()
	m.retired = true
	idle := m.active == 0
	m.mu.Unlock()
	if idle {
		m.remote.Close()
	}
}

// eject leaves a server out for a while, as long as not too many are.
func (p *Pool) eject(m *member) {
	rule, now := p.rule.Eject, p.up.o.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	all, out := *p.members.Load(), 0
	for _, o := range all {
		if o.ejectedAt(now) {
			out++
		}
	}
	if float64(out+1)*100 > float64(rule.Max)*float64(len(all)) {
		return
	}
	if length := m.leaveOut(now, rule.For.Std()); length > 0 {
		p.up.metrics.ejections.WithLabelValues(p.function, p.trigger).Inc()
		p.up.o.Logger.Warn("a server of an upstream is ejected", "function", p.function, "trigger", p.trigger, "server", m.id(), "for", length)
	}
}

func (m *member) ejectedAt(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.ejected)
}

// leaveOut ejects it, unless it is; soon after the last time for longer than then.
func (m *member) leaveOut(now time.Time, first time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.ejected) {
		return 0
	}
	if now.Sub(m.ejected) > m.lastLength {
		m.streak = 0
	}
	m.streak = min(m.streak+1, maxStreak)
	m.lastLength = time.Duration(m.streak) * first
	m.ejected, m.inRow = now.Add(m.lastLength), 0
	return m.lastLength
}

// States of a server, for people and metrics.
const (
	stateHealthy   = "healthy"
	stateUnhealthy = "unhealthy"
	stateEjected   = "ejected"
)

func (m *member) state() wire.UpstreamServer {
	now := m.pool.up.o.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	out := wire.UpstreamServer{Address: m.server.id(), Weight: max(1, m.server.Weight), State: stateHealthy, Active: m.active, Requests: m.requests, Failures: m.failures}
	switch {
	case m.server.Unwell != "":
		out.State, out.Reason = stateUnhealthy, m.server.Unwell
	case m.unwell != "":
		out.State, out.Reason = stateUnhealthy, m.unwell
	case now.Before(m.ejected):
		until := m.ejected.UTC()
		out.State, out.Until = stateEjected, &until
	}
	return out
}
