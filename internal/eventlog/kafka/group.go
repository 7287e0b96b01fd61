package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// The group is a classic one, and shared out as in share.go. In the newer protocol (KIP-848) the broker alone decides
// how long a silent member is waited for, at least 45 seconds by default; a node that died would hold its partitions as long.
const protocolType = "consumer"

func (m *member) heartbeat() time.Duration { return m.log.o.SessionTimeout / 10 }

// session keeps this node in the group until the membership ends.
func (m *member) session() {
	defer close(m.over)
	defer m.resign()
	ctx, release := m.all.within(context.Background())
	defer release()
	select {
	case <-m.rejoin: // the first SetTopics
	case <-ctx.Done():
		return
	}
	heard := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		err := m.round(ctx, &heard)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, kerr.RebalanceInProgress):
			n = -1
			continue
		case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.FencedInstanceID):
			m.loseAll("")
		case errors.Is(err, kerr.IllegalGeneration):
			m.loseAll(m.fenceNow().member)
		case time.Since(heard) > m.log.o.SessionTimeout:
			// The group has given up this member by now, as far as it can know.
			m.loseAll(m.fenceNow().member)
		}
		if n > 0 && m.trouble.tell(time.Now()) {
			m.log.log.Warn("stay in group", "group", m.options.Group, "err", m.log.failure(err))
		}
		if pause(ctx, n+3) != nil {
			return
		}
	}
}

// round joins the group, takes what it is given and stays until the group is to be shared out anew.
func (m *member) round(ctx context.Context, heard *time.Time) error {
	shape, _, err := m.shape(ctx)
	if err != nil {
		return err
	}
	balancer := newBalancer()
	joined, err := m.join(ctx, balancer)
	if err != nil {
		return err
	}
	*heard = time.Now()
	var plan []kmsg.SyncGroupRequestGroupAssignment
	if joined.LeaderID == joined.MemberID {
		if plan, err = m.balance(ctx, balancer, joined.Members); err != nil {
			return err
		}
	}
	given, err := m.sync(ctx, balancer, joined, plan)
	if err != nil {
		return err
	}
	*heard = time.Now()
	if err := m.given(ctx, fence{joined.MemberID, joined.Generation}, given); err != nil {
		return err
	}
	if lasted, told := m.trouble.over(time.Now()); told {
		m.log.log.Info("in the group again", "group", m.options.Group, "after", lasted.Round(time.Millisecond))
	}
	return m.stay(ctx, heard, shape)
}

// topicShape is what matters of a topic to who shares out its partitions.
type topicShape struct {
	id         [16]byte
	partitions int
}

// shape says what the topics of this member are now. Partitions of a topic that is gone are lost, and lost says so.
func (m *member) shape(ctx context.Context) (shape map[string]topicShape, lost bool, err error) {
	m.mu.Lock()
	topics := slices.Clone(m.topics)
	held := maps.Clone(m.held)
	m.mu.Unlock()
	names := slices.Clone(topics)
	for p := range held {
		names = append(names, p.Topic)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	shape = make(map[string]topicShape)
	if len(names) == 0 {
		return shape, false, nil
	}
	found, err := m.log.describe(ctx, names)
	if err != nil {
		return nil, false, err
	}
	for _, name := range topics {
		if t := found[name]; t != nil {
			shape[name] = topicShape{t.id, len(t.leaders)}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, id := range held {
		if t := found[p.Topic]; t == nil || t.id != id {
			m.lose(p)
			lost = true
		}
	}
	return shape, lost, nil
}

// lose takes a partition away. m.mu is held.
func (m *member) lose(p eventlog.Partition) {
	if _, ok := m.owned[p]; ok {
		m.lost[p] = true
	}
	delete(m.owned, p)
	delete(m.held, p)
	delete(m.target, p)
	m.tell()
	poke(m.wake)
}

// loseAll ends the membership; the next join begins another, as the id that is left.
func (m *member) loseAll(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range maps.Clone(m.held) {
		m.lose(p)
	}
	m.fence = fence{member: id, generation: -1}
	m.life.end()
	m.life = newSpan(eventlog.ErrFenced)
	m.tell()
}

func (m *member) fenceNow() fence {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fence
}

// join asks to be let in, or to have the group shared out anew.
func (m *member) join(ctx context.Context, b kgo.GroupBalancer) (*kmsg.JoinGroupResponse, error) {
	for range 2 {
		m.mu.Lock()
		f, topics := m.fence, slices.Clone(m.topics)
		owned := make(map[string][]int32)
		for p := range m.held {
			owned[p.Topic] = append(owned[p.Topic], p.ID)
		}
		m.mu.Unlock()
		for _, ids := range owned {
			slices.Sort(ids)
		}
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.ProtocolType = m.options.Group, f.member, protocolType
		req.SessionTimeoutMillis = int32(m.log.o.SessionTimeout.Milliseconds())
		req.RebalanceTimeoutMillis = req.SessionTimeoutMillis
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = b.ProtocolName(), b.JoinGroupMetadata(topics, owned, f.generation)
		req.Protocols = append(req.Protocols, p)
		resp, err := req.RequestWith(ctx, m.client)
		if err != nil {
			return nil, err
		}
		err = kerr.ErrorForCode(resp.ErrorCode)
		if !errors.Is(err, kerr.MemberIDRequired) {
			return resp, err
		}
		m.mu.Lock()
		m.fence = fence{member: resp.MemberID, generation: -1}
		m.mu.Unlock()
	}
	return nil, kerr.MemberIDRequired
}

// balance shares out the partitions of all members' topics, which the group asks of one member.
func (m *member) balance(ctx context.Context, b kgo.GroupBalancer, members []kmsg.JoinGroupResponseMember) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	slices.SortFunc(members, func(x, y kmsg.JoinGroupResponseMember) int { return strings.Compare(x.MemberID, y.MemberID) })
	mb, topics, err := b.MemberBalancer(members)
	if err != nil {
		return nil, fmt.Errorf("read what members of group %s want: %w", m.options.Group, err)
	}
	found, err := m.log.describe(ctx, slices.Collect(maps.Keys(topics)))
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int32, len(found))
	for name, t := range found {
		counts[name] = int32(len(t.leaders))
	}
	if orError, ok := mb.(kgo.GroupMemberBalancerOrError); ok {
		plan, err := orError.BalanceOrError(counts)
		if err != nil {
			return nil, fmt.Errorf("share out group %s: %w", m.options.Group, err)
		}
		return plan.IntoSyncAssignment(), nil
	}
	return mb.Balance(counts).IntoSyncAssignment(), nil
}

// sync tells the group what the leader has shared out, and what this member is given of it.
func (m *member) sync(ctx context.Context, b kgo.GroupBalancer, j *kmsg.JoinGroupResponse, plan []kmsg.SyncGroupRequestGroupAssignment) (map[string][]int32, error) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID = m.options.Group, j.Generation, j.MemberID
	req.ProtocolType, req.Protocol = kmsg.StringPtr(protocolType), j.Protocol
	req.GroupAssignment = plan
	resp, err := req.RequestWith(ctx, m.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	if len(resp.MemberAssignment) == 0 {
		return nil, nil
	}
	return b.ParseSyncAssignment(resp.MemberAssignment)
}

// given takes note of what the group gives this member. What it knows of topics from before may be old.
func (m *member) given(ctx context.Context, f fence, assigned map[string][]int32) error {
	target := make(map[eventlog.Partition][16]byte)
	if len(assigned) > 0 {
		found, err := m.log.describe(ctx, slices.Collect(maps.Keys(assigned)))
		if err != nil {
			return err
		}
		for name, ids := range assigned {
			for _, id := range ids {
				if t := found[name]; t != nil { // else it has just gone
					target[eventlog.Partition{Topic: name, ID: id}] = t.id
				}
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fence, m.target = f, target
	for p, id := range maps.Clone(target) {
		if old, ok := m.held[p]; ok && old != id {
			m.lose(p) // of a topic that is no more
		}
		m.held[p], target[p] = id, id
	}
	m.tell()
	poke(m.wake)
	return nil
}

// stay keeps the member alive until the group, or what this member wants of it, changes.
func (m *member) stay(ctx context.Context, heard *time.Time, shape map[string]topicShape) error {
	t := time.NewTicker(m.heartbeat())
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-m.beat:
		case <-m.rejoin:
			return nil
		case <-m.look:
			now, lost, err := m.shape(ctx)
			if err == nil && (lost || !maps.Equal(now, shape)) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		f := m.fenceNow()
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.Generation, req.MemberID = m.options.Group, f.generation, f.member
		resp, err := req.RequestWith(ctx, m.client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		switch {
		case err == nil:
			*heard = time.Now()
		case ctx.Err() != nil, errors.Is(err, kerr.RebalanceInProgress), errors.Is(err, kerr.UnknownMemberID),
			errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.FencedInstanceID), !passes(err),
			time.Since(*heard) > m.log.o.SessionTimeout:
			return err
		}
	}
}

// resign tells the group that this member is no more, so that it need not be waited for.
func (m *member) resign() {
	defer m.log.forget(m)
	f := m.fenceNow()
	if f.member == "" {
		return
	}
	ctx, cancel := until(m.log.o.SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = m.options.Group, f.member
	one := kmsg.NewLeaveGroupRequestMember()
	one.MemberID = f.member
	req.Members = append(req.Members, one)
	if _, err := req.RequestWith(ctx, m.client); err != nil {
		m.log.log.Warn("leave group", "group", m.options.Group, "err", m.log.failure(err))
	}
}

// forget lets go of a member that has left.
func (l *Log) forget(m *member) {
	m.client.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.members, m)
	l.clients = slices.DeleteFunc(l.clients, func(c *kgo.Client) bool { return c == m.client })
}
