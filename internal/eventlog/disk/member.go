package disk

import (
	"context"
	"slices"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// member is this process's part in an ownership group. One process holds the directory, so the newest member of a group
// owns everything and needs no durable epoch: a restart ends all memberships.
type member struct {
	log     *Log
	options eventlog.JoinOptions

	mu     sync.Mutex
	topics []string                      // what SetTopics asked for
	owned  map[eventlog.Partition]uint32 // claims are good for these; the number of the topic that had the name when it was assigned
	fenced bool                          // a newer member has joined, or this one has left

	superseded chan struct{} // closed when a newer member has joined
	poke       chan struct{} // holds a token when topics changed
	leave      chan context.Context
	gone       chan struct{} // closed when run has returned
}

// Join is eventlog.Log's.
func (l *Log) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	if err := eventlog.CheckGroup(o.Group); err != nil {
		return nil, err
	}
	if o.Assigned == nil || o.Revoked == nil || o.Lost == nil {
		return nil, fault.New(fault.Internal, "join group %s: a callback is missing", o.Group)
	}
	m := &member{
		log: l, options: o,
		owned:      make(map[eventlog.Partition]uint32),
		superseded: make(chan struct{}),
		poke:       make(chan struct{}, 1),
		leave:      make(chan context.Context),
		gone:       make(chan struct{}),
	}
	if err := l.do(ctx, &join{m}); err != nil {
		return nil, err
	}
	return m, nil
}

// join makes a member the newest of its group. It goes through the queue, so that all commits of the member before it
// are either durable and visible when it is done, or fenced.
type join struct{ m *member }

func (j *join) alone() bool        { return true }
func (j *join) size() int          { return 0 }
func (j *join) build(*group) error { return nil }

func (j *join) publish() {
	l, m := j.m.log, j.m
	if old := l.members[m.options.Group]; old != nil {
		old.fence()
		close(old.superseded)
	}
	l.members[m.options.Group] = m
	l.owners.Go(m.run)
}

func (m *member) fence() {
	m.mu.Lock()
	m.fenced = true
	m.mu.Unlock()
}

// claim checks that the member owns the partitions. It runs on the committer, which is what orders it against join.
func (m *member) claim(ps []eventlog.Partition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fenced {
		return eventlog.ErrFenced
	}
	for _, p := range ps {
		number, ok := m.owned[p]
		if t := m.log.topics[p.Topic]; !ok || t == nil || t.number != number {
			return eventlog.ErrFenced
		}
	}
	return nil
}

// SetTopics is eventlog.Member's.
func (m *member) SetTopics(_ context.Context, topics []string) error {
	if err := m.log.enter(); err != nil {
		return err
	}
	defer m.log.leave()
	m.mu.Lock()
	fenced := m.fenced
	m.topics = slices.Clone(topics)
	m.mu.Unlock()
	if fenced {
		return eventlog.ErrFenced
	}
	select {
	case m.poke <- struct{}{}:
	default:
	}
	return nil
}

// Commit is eventlog.Member's.
func (m *member) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	size, err := m.log.checkRecords(t.Records)
	if err != nil {
		return nil, err
	}
	if err := eventlog.CheckOffsets(t.Group, t.Offsets); err != nil {
		return nil, err
	}
	w := &write{
		log: m.log, records: t.Records, positions: make([]eventlog.Position, len(t.Records)), bytes: size,
		group: t.Group, offsets: t.Offsets, member: m, claims: t.Claims,
	}
	if err := m.log.do(ctx, w); err != nil {
		return nil, err
	}
	return w.positions, nil
}

// Leave is eventlog.Member's.
func (m *member) Leave(ctx context.Context) error {
	select {
	case m.leave <- ctx:
	case <-m.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-m.gone
	return nil
}

// run calls the member's callbacks, one after another, until the membership or the log ends.
func (m *member) run() {
	defer close(m.gone)
	ctx, cancel := m.log.untilClosing()
	defer cancel()
	for {
		shape := m.log.shape.wait()
		m.share(ctx)
		select {
		case <-shape:
		case <-m.poke:
		case <-m.superseded:
			m.lose(m.drop(all))
			return
		case leaveCtx := <-m.leave:
			if ps := m.list(all); len(ps) > 0 {
				m.options.Revoked(leaveCtx, ps)
			}
			m.fence()
			m.drop(all)
			return
		case <-m.log.closing:
			m.fence()
			return
		}
	}
}

// share brings what the member owns in line with its topics as they are now.
func (m *member) share(ctx context.Context) {
	m.mu.Lock()
	topics := slices.Clone(m.topics)
	m.mu.Unlock()
	listed := make(map[string]bool, len(topics))
	exists := make(map[eventlog.Partition]uint32)
	m.log.view.RLock()
	for _, name := range topics {
		listed[name] = true
	}
	for name, t := range m.log.topics {
		for _, p := range t.partitions {
			exists[eventlog.Partition{Topic: name, ID: p.id}] = t.number
		}
	}
	m.log.view.RUnlock()

	// No topic has the number 0.
	m.lose(m.drop(func(p eventlog.Partition, number uint32) bool { return exists[p] != number }))

	unlisted := func(p eventlog.Partition, _ uint32) bool { return !listed[p.Topic] }
	if ps := m.list(unlisted); len(ps) > 0 {
		m.options.Revoked(ctx, ps)
		m.drop(unlisted)
	}

	var added []eventlog.Partition
	m.mu.Lock()
	for p, number := range exists {
		if _, owned := m.owned[p]; !m.fenced && listed[p.Topic] && !owned {
			m.owned[p] = number
			added = append(added, p)
		}
	}
	m.mu.Unlock()
	if len(added) > 0 {
		eventlog.SortPartitions(added)
		m.options.Assigned(ctx, added)
	}
}

func (m *member) lose(ps []eventlog.Partition) {
	if len(ps) > 0 {
		m.options.Lost(ps)
	}
}

func all(eventlog.Partition, uint32) bool { return true }

// list returns the owned partitions that which picks by them and their topics' numbers, sorted.
func (m *member) list(which func(eventlog.Partition, uint32) bool) []eventlog.Partition {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ps []eventlog.Partition
	for p, number := range m.owned {
		if which(p, number) {
			ps = append(ps, p)
		}
	}
	eventlog.SortPartitions(ps)
	return ps
}

// drop ends the ownership of the partitions that which picks, and returns them sorted.
func (m *member) drop(which func(eventlog.Partition, uint32) bool) []eventlog.Partition {
	ps := m.list(which)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		delete(m.owned, p)
	}
	return ps
}

// shape wakes the members when topics were made, grown or deleted.
type shape struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that is closed at the next change.
func (s *shape) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *shape) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
