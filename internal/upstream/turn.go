package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// maxReached is how many servers one attempt tries to connect to. Nothing was sent to those that could not be reached, so whatever the method
// another one may get the request.
const maxReached = 3

// Turn is one request's way to the servers: each attempt goes to another one, as long as there are any. Safe for concurrent use.
type Turn struct {
	pool *Pool

	mu    sync.Mutex
	tried map[*member]bool
}

// Begin is called once for each request.
func (p *Pool) Begin() *Turn { return &Turn{pool: p, tried: map[*member]bool{}} }

// Invoke is one attempt. ctx bounds the wait for the source's first word alone: what a server has begun goes to its end. An error means that no server
// was there to be asked, or the client's body did not come.
func (t *Turn) Invoke(ctx context.Context, inv *function.Invocation) (*function.Result, error) {
	p := t.pool
	defer p.up.lines.begin()()
	select {
	case <-p.known:
	case <-p.up.lines.over:
		return nil, fault.New(fault.Unavailable, "the node is stopping")
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "it is not known yet which servers the route has").WithHint("try again in a moment")
	}
	if up, coming := inv.Request.Body.(function.Upload); !coming {
		if _, err := entry.KeepBody(inv.Request); err != nil { // before a server waits for a slow client
			return nil, err
		}
	} else {
		up.Open()
	}
	for reached := 1; ; reached++ {
		m, err := t.choose(inv.Request)
		if err != nil {
			return nil, err
		}
		res, err := m.remote.Invoke(inv, p.within)
		unreached, is := errors.AsType[entry.Unreached](err)
		switch {
		case is:
			m.end(failed)
			p.count(outcomeUnreached)
			if reached < maxReached && t.another() {
				continue
			}
			return &function.Result{Outcome: function.InitError, Status: http.StatusBadGateway, Instance: m.id(), Failure: &function.Failure{
				Type: "Upstream.Unreachable", Message: m.id() + " cannot be reached: " + unreached.Error()}}, nil
		case err != nil:
			m.end(neither)
			return nil, err
		}
		res.Instance = m.id()
		v := judge(res)
		m.end(v)
		p.count(outcomeOf(v))
		return res, nil
	}
}

// judge says whether a server has failed. What the client did wrong says nothing of it.
func judge(res *function.Result) verdict {
	switch {
	case res.Abandoned:
		return neither
	case res.Status >= http.StatusInternalServerError || res.Outcome != function.Succeeded && res.Outcome != function.Failed:
		return failed
	}
	return good
}

// choose takes a server for an attempt.
func (t *Turn) choose(r *http.Request) (*member, error) {
	p := t.pool
	key := uint64(0)
	if p.rule.Balance == function.BalanceHash {
		key = keyOf(p.rule.By, r)
	}
	for {
		all := *p.members.Load()
		if len(all) == 0 {
			return nil, fault.New(fault.Unavailable, "the route's upstream has no servers now (%s)", p.rule.Text()).WithHint("`dalamb upstreams %s` says what its source tells", p.function)
		}
		from := t.candidates(all)
		if len(from) == 0 {
			return nil, fault.New(fault.Unavailable, "all servers of the route have as many requests as they may").WithHint("try again in a moment")
		}
		m := p.pick(from, key)
		if m.begin() {
			t.mu.Lock()
			t.tried[m] = true
			t.mu.Unlock()
			return m, nil
		}
	}
}

// candidates are the servers that may be asked: those that are well and were not tried for this request; else all that were not tried; else those
// that are well; else all. Never those that have as many requests as they may.
func (t *Turn) candidates(all []*member) []candidate {
	now := t.pool.up.o.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	var groups [4][]candidate
	for _, m := range all {
		l := m.load(now)
		if l.full {
			continue
		}
		at := 0
		if t.tried[m] {
			at += 2
		}
		if !l.usable {
			at++
		}
		groups[at] = append(groups[at], candidate{m, l})
	}
	for _, g := range groups {
		if len(g) > 0 {
			return g
		}
	}
	return nil
}

// another says whether there is a server that was not tried.
func (t *Turn) another() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range *t.pool.members.Load() {
		if !t.tried[m] {
			return true
		}
	}
	return false
}
