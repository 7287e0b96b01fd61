package kafka

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// fence is what Kafka knows a member by. Each time that the group is shared out anew the generation rises.
type fence struct {
	member     string
	generation int32
}

// member is this node's part in an ownership group. Two goroutines belong to it: session speaks Kafka's group protocol and
// is never kept waiting; share calls the callbacks, which may take their time. What they have in common is below mu.
type member struct {
	log     *Log
	options eventlog.JoinOptions
	client  *kgo.Client // a join may wait for others, which nobody else's request must wait for

	all    *span         // ends when the member has left, or the log is closed
	rejoin chan struct{} // holds a token when the group is to be shared out anew
	look   chan struct{} // holds a token when topics may have changed
	beat   chan struct{} // holds a token when the group is to be asked now
	wake   chan struct{} // holds a token when share has something to do
	leave  chan context.Context
	gone   chan struct{} // closed when share has returned
	over   chan struct{} // closed when session has returned

	trouble trouble // session's: it is not in the group

	mu      sync.Mutex
	topics  []string
	fence   fence
	target  map[eventlog.Partition][16]byte             // what the group gives this member, and its topics' ids
	held    map[eventlog.Partition][16]byte             // what the group gives to nobody else: what was given and not yet given back
	owned   map[eventlog.Partition]eventlog.GroupOffset // claims are good for these; where the group is
	lost    map[eventlog.Partition]bool                 // taken away, and Lost not yet called
	life    *span                                       // ends when all is lost, and begins anew
	fenced  bool                                        // the member has left, or the log is closed
	changed chan struct{}                               // closed and replaced when fence or owned change
}

// Join is eventlog.Log's.
func (l *Log) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	if err := eventlog.CheckGroup(o.Group); err != nil {
		return nil, err
	}
	if o.Assigned == nil || o.Revoked == nil || o.Lost == nil {
		return nil, fault.New(fault.Internal, "join group %s: a callback is missing", o.Group)
	}
	_, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	client, err := l.newClient()
	if err != nil {
		return nil, err
	}
	m := &member{
		log: l, options: o, client: client,
		rejoin: make(chan struct{}, 1), look: make(chan struct{}, 1), beat: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		leave: make(chan context.Context), gone: make(chan struct{}), over: make(chan struct{}),
		owned: make(map[eventlog.Partition]eventlog.GroupOffset), held: make(map[eventlog.Partition][16]byte),
		lost: make(map[eventlog.Partition]bool), changed: make(chan struct{}),
	}
	m.all, m.life = newSpan(eventlog.ErrClosed), newSpan(eventlog.ErrFenced)
	l.mu.Lock()
	l.members[m] = true
	l.mu.Unlock()
	l.loops.Go(m.session)
	l.loops.Go(m.share)
	return m, nil
}

// SetTopics is eventlog.Member's.
func (m *member) SetTopics(ctx context.Context, topics []string) error {
	_, leave, err := m.log.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	m.mu.Lock()
	fenced := m.fenced
	m.topics = slices.Clone(topics)
	slices.Sort(m.topics)
	m.mu.Unlock()
	if fenced {
		return eventlog.ErrFenced
	}
	poke(m.rejoin)
	return nil
}

// Commit is eventlog.Member's.
func (m *member) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	l := m.log
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if ctx.Err() != nil {
		return nil, action(context.Cause(ctx), "commit")
	}
	p, err := l.plan(ctx, t.Records)
	if err != nil {
		return nil, err
	}
	if err := l.checkOffsets(ctx, t.Group, t.Offsets); err != nil {
		return nil, err
	}
	positions, err := l.txns.store(ctx, &txnCall{plan: p, group: t.Group, offsets: t.Offsets, member: m, claims: t.Claims})
	return positions, action(err, "commit")
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
	<-m.over
	return nil
}

// abandon ends the membership without a word to the owner of the callbacks: the log is being closed.
func (m *member) abandon() {
	m.end()
	<-m.gone
	<-m.over
}

// end makes all claims void.
func (m *member) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fenced = true
	clear(m.owned)
	m.tell()
	m.life.end()
	m.all.end()
}

// tell wakes who waits for a change. m.mu is held.
func (m *member) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// admit says which calls' claims are good, all by one generation.
func (m *member) admit(calls []*txnCall) (fence, []bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ok := make([]bool, len(calls))
	for i, c := range calls {
		ok[i] = !m.fenced
		for _, p := range c.claims {
			_, owned := m.owned[p]
			ok[i] = ok[i] && owned
		}
	}
	return m.fence, ok
}

// position is where the group is on a partition that this member owns.
func (m *member) position(p eventlog.Partition) eventlog.GroupOffset {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.owned[p]; ok {
		return o
	}
	return eventlog.GroupOffset{Partition: p, Offset: -1}
}

// moved notes where the group is now.
func (m *member) moved(offsets map[eventlog.Partition]eventlog.GroupOffset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, o := range offsets {
		if _, ok := m.owned[p]; ok {
			m.owned[p] = o
		}
	}
}

// settled waits until the group has another generation than the one that Kafka did not know, or for a while.
func (m *member) settled(ctx context.Context, f fence) {
	poke(m.beat)
	ctx, cancel := context.WithTimeout(ctx, m.heartbeat())
	defer cancel()
	for {
		m.mu.Lock()
		now, changed := m.fence, m.changed
		m.mu.Unlock()
		if now != f {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// share brings what the callbacks were told in line with what the group says, until the membership or the log ends.
func (m *member) share() {
	defer close(m.gone)
	ctx, release := m.all.within(context.Background())
	defer release()
	for {
		if m.step(ctx) {
			continue
		}
		select {
		case <-m.wake:
		case leaving := <-m.leave:
			if ps := m.ownedNow(); len(ps) > 0 {
				m.options.Revoked(leaving, ps)
			}
			m.end()
			return
		case <-ctx.Done():
			return
		}
	}
}

// step calls one callback, if one is due.
func (m *member) step(ctx context.Context) bool {
	m.mu.Lock()
	life := m.life
	lost := slices.Collect(maps.Keys(m.lost))
	clear(m.lost)
	var back, fresh []eventlog.Partition
	for p := range m.held {
		_, given := m.target[p]
		_, owned := m.owned[p]
		switch {
		case !given:
			back = append(back, p)
		case !owned:
			fresh = append(fresh, p)
		}
	}
	m.mu.Unlock()
	eventlog.SortPartitions(lost)
	eventlog.SortPartitions(back)
	eventlog.SortPartitions(fresh)
	switch {
	case ctx.Err() != nil:
		return false
	case len(lost) > 0:
		m.options.Lost(lost)
	case len(back) > 0:
		m.giveBack(ctx, life, back)
	case len(fresh) > 0:
		return m.take(ctx, life, fresh)
	default:
		return false
	}
	return true
}

// giveBack calls Revoked for partitions that the group wants back, and then gives them back.
func (m *member) giveBack(ctx context.Context, life *span, ps []eventlog.Partition) {
	var told []eventlog.Partition
	m.mu.Lock()
	for _, p := range ps {
		if _, ok := m.owned[p]; ok {
			told = append(told, p)
		}
	}
	m.mu.Unlock()
	if len(told) > 0 {
		ctx, release := life.within(ctx)
		m.options.Revoked(ctx, told)
		release()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		delete(m.owned, p)
		delete(m.held, p)
		delete(m.lost, p) // while Revoked ran; who was told to leave need not be told again
	}
	m.tell()
	poke(m.rejoin)
}

// take calls Assigned for partitions, once nothing of an owner before can come any more: a node that is frozen between
// the offsets and the end of a transaction may have lost its partitions while the transaction is open.
func (m *member) take(ctx context.Context, life *span, ps []eventlog.Partition) bool {
	all := ctx
	ctx, release := life.within(ctx)
	defer release()
	at, err := m.log.stable(ctx, m.options.Group, ps)
	if err != nil {
		if life.ended() {
			return all.Err() == nil
		}
		m.log.log.Warn("wait for the owner before", "group", m.options.Group, "topic", ps[0].Topic, "partition", ps[0].ID, "err", err)
		poke(m.look) // a topic may be gone
		return pause(ctx, 6) == nil
	}
	var told []eventlog.Partition
	m.mu.Lock()
	for _, p := range ps {
		_, held := m.held[p]
		_, given := m.target[p]
		if held && given && m.life == life {
			m.owned[p] = at[p]
			told = append(told, p)
		}
	}
	m.tell()
	m.mu.Unlock()
	if len(told) > 0 {
		m.options.Assigned(ctx, told)
	}
	return true
}

func (m *member) ownedNow() []eventlog.Partition {
	m.mu.Lock()
	defer m.mu.Unlock()
	ps := slices.Collect(maps.Keys(m.owned))
	eventlog.SortPartitions(ps)
	return ps
}
