package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// move is a group whose positions a transaction moves. Those of an ownership group are the fence: Kafka takes them from
// the member and generation alone that it knows.
type move struct {
	group   string
	member  *member // nil = a group without members
	fence   fence
	offsets map[eventlog.Partition]eventlog.GroupOffset
}

// movesOf gathers what calls move, by group.
func movesOf(calls []*txnCall, fences map[*member]fence) []*move {
	type key struct {
		group  string
		member *member
	}
	found := make(map[key]*move)
	var all []*move
	to := func(group string, m *member) *move {
		k := key{group, m}
		if found[k] == nil {
			found[k] = &move{group: group, member: m, fence: fences[m], offsets: make(map[eventlog.Partition]eventlog.GroupOffset)}
			all = append(all, found[k])
		}
		return found[k]
	}
	for _, c := range calls {
		if m := c.member; m != nil && len(c.claims) > 0 {
			v := to(m.options.Group, m)
			for _, p := range c.claims {
				// A claim moves nothing: it states again where the group is.
				if _, ok := v.offsets[p]; !ok {
					v.offsets[p] = m.position(p)
				}
			}
		}
		for _, o := range c.offsets {
			m := c.member
			if m == nil || m.options.Group != c.group {
				m = nil
			}
			to(c.group, m).offsets[o.Partition] = o
		}
	}
	return all
}

// move adds the groups' positions to the transaction.
func (s *slot) move(ctx context.Context, moves []*move) outcome {
	for _, m := range moves {
		if o := s.moveOne(ctx, m); o.err != nil {
			return o
		}
	}
	return outcome{}
}

func (s *slot) moveOne(ctx context.Context, m *move) outcome {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = s.id, s.producer.id, s.producer.epoch, m.group
	req.Generation = -1
	if m.member != nil {
		req.MemberID, req.Generation = m.fence.member, m.fence.generation
	}
	for name, os := range byTopic(m.offsets) {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = name
		if t := s.log.topics.get(name); t != nil {
			rt.TopicID = t.id
		}
		for _, o := range os {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.Metadata = o.Partition.ID, o.Offset, &o.Metadata
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	for n := 0; ; n++ {
		resp, err := req.RequestWith(ctx, s.client)
		if err == nil {
			err = firstError(resp)
		}
		switch {
		case err == nil:
			return outcome{}
		case errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.StaleMemberEpoch),
			errors.Is(err, kerr.RebalanceInProgress), errors.Is(err, kerr.FencedInstanceID), errors.Is(err, kerr.GroupIDNotFound):
			if m.member == nil {
				return outcome{err: fault.New(fault.Conflict, "group %s has members: its positions are theirs to move", m.group)}
			}
			return outcome{stale: true, err: fault.New(fault.Unavailable, "group %s is being shared out anew: %w", m.group, err)}
		case passes(err) && pause(ctx, n) == nil:
			if err := s.log.still(ctx, req.Topics); err != nil {
				return outcome{err: err}
			}
			continue
		}
		return outcome{err: action(passing(s.log.failure(err)), "move positions of group %s", m.group)}
	}
}

// still returns NotFound when a topic is not there any more, which a coordinator cannot tell from not yet.
func (l *Log) still(ctx context.Context, topics []kmsg.TxnOffsetCommitRequestTopic) error {
	for _, t := range topics {
		if _, err := l.refresh(ctx, t.Topic); gone(err) {
			return err
		}
	}
	return nil
}

func firstError(resp *kmsg.TxnOffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

func byTopic(offsets map[eventlog.Partition]eventlog.GroupOffset) map[string][]eventlog.GroupOffset {
	of := make(map[string][]eventlog.GroupOffset)
	for _, o := range offsets {
		of[o.Partition.Topic] = append(of[o.Partition.Topic], o)
	}
	return of
}

// checkOffsets refuses positions that cannot be stored.
func (l *Log) checkOffsets(ctx context.Context, group string, offsets []eventlog.GroupOffset) error {
	if err := eventlog.CheckOffsets(group, offsets); err != nil {
		return err
	}
	for i := range offsets {
		if _, err := l.partition(ctx, offsets[i].Partition); err != nil {
			return err
		}
	}
	return nil
}

// CommitOffsets is eventlog.Log's. All of a call are in one request, which Kafka stores as one batch.
func (l *Log) CommitOffsets(ctx context.Context, group string, offsets []eventlog.GroupOffset) error {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := l.checkOffsets(ctx, group, offsets); err != nil || len(offsets) == 0 {
		return err
	}
	set := make(map[eventlog.Partition]eventlog.GroupOffset, len(offsets))
	for _, o := range offsets {
		set[o.Partition] = o
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	for name, os := range byTopic(set) {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = name
		if t := l.topics.get(name); t != nil {
			rt.TopicID = t.id
		}
		for _, o := range os {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.Metadata = o.Partition.ID, o.Offset, &o.Metadata
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return action(l.failure(err), "move positions of group %s", group)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return action(l.failure(err), "move positions of group %s", group)
			}
		}
	}
	return nil
}

// Offsets is eventlog.Log's.
func (l *Log) Offsets(ctx context.Context, group string) ([]eventlog.GroupOffset, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found, err := l.positions(ctx, []string{group})
	return found[group], err
}

// Groups is eventlog.Log's.
func (l *Log) Groups(ctx context.Context) ([]string, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, l.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, action(l.failure(err), "list groups")
	}
	var names []string
	for _, g := range resp.Groups {
		if g.GroupType != "share" && g.GroupType != "streams" {
			names = append(names, g.Group)
		}
	}
	found, err := l.positions(ctx, names)
	if err != nil {
		return nil, action(err, "list groups")
	}
	names = names[:0]
	for name, offsets := range found {
		if len(offsets) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// positions reads all positions of groups, sorted. Those of topics that are gone, which Kafka removes in its own time, are left out.
func (l *Log) positions(ctx context.Context, groups []string) (map[string][]eventlog.GroupOffset, error) {
	all := make(map[string][]eventlog.GroupOffset, len(groups))
	if len(groups) == 0 {
		return all, nil
	}
	there, err := l.describe(ctx, nil)
	if err != nil {
		return nil, err
	}
	names := make(map[[16]byte]string, len(there))
	for name, t := range there {
		names[t.id] = name
	}
	for chunk := range slices.Chunk(groups, 100) {
		req := kmsg.NewPtrOffsetFetchRequest()
		for _, group := range chunk {
			rg := kmsg.NewOffsetFetchRequestGroup()
			rg.Group = group
			req.Groups = append(req.Groups, rg)
		}
		resp, err := l.fetchOffsets(ctx, req)
		if err != nil {
			return nil, l.failure(err)
		}
		for _, g := range resp.Groups {
			all[g.Group] = offsetsIn(g, there, names)
		}
	}
	return all, nil
}

// fetchOffsets asks again while the groups' coordinators are not there, as on a cluster that has never had a group.
func (l *Log) fetchOffsets(ctx context.Context, req *kmsg.OffsetFetchRequest) (*kmsg.OffsetFetchResponse, error) {
	late := time.Now().Add(patience)
	for n := 0; ; n++ {
		resp, err := req.RequestWith(ctx, l.client)
		for i := 0; err == nil && i < len(resp.Groups); i++ {
			if err = kerr.ErrorForCode(resp.Groups[i].ErrorCode); errors.Is(err, kerr.GroupIDNotFound) {
				err = nil
			}
		}
		if err == nil || !passes(err) || time.Now().After(late) {
			return resp, err
		}
		if waitErr := pause(ctx, n); waitErr != nil {
			return nil, waitErr
		}
	}
}

func offsetsIn(g kmsg.OffsetFetchResponseGroup, there map[string]*topic, names map[[16]byte]string) []eventlog.GroupOffset {
	offsets := []eventlog.GroupOffset{}
	for _, gt := range g.Topics {
		name := gt.Topic
		if name == "" {
			name = names[gt.TopicID]
		}
		if there[name] == nil {
			continue
		}
		for _, p := range gt.Partitions {
			if p.ErrorCode != 0 || p.Offset < 0 {
				continue
			}
			o := eventlog.GroupOffset{Partition: eventlog.Partition{Topic: name, ID: p.Partition}, Offset: p.Offset}
			if p.Metadata != nil {
				o.Metadata = *p.Metadata
			}
			offsets = append(offsets, o)
		}
	}
	slices.SortFunc(offsets, func(a, b eventlog.GroupOffset) int { return a.Partition.Compare(b.Partition) })
	return offsets
}

// stable returns a group's positions on partitions once no transaction that moves them is open any more. Every
// transaction of an owner before has then ended, and what it stored is below the partitions' ends.
func (l *Log) stable(ctx context.Context, group string, ps []eventlog.Partition) (map[eventlog.Partition]eventlog.GroupOffset, error) {
	for n := 0; ; n++ {
		req, names, err := l.askStable(ctx, group, ps)
		if err != nil {
			return nil, err
		}
		resp, err := req.RequestWith(ctx, l.client)
		if err != nil {
			return nil, l.failure(err)
		}
		found, err := positionsIn(resp.Groups[0], names)
		switch {
		case err == nil:
			return found, nil
		case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
			for _, name := range names {
				if _, err := l.refresh(ctx, name); err != nil {
					return nil, err
				}
			}
		case !errors.Is(err, kerr.UnstableOffsetCommit) && !passes(err):
			return nil, l.failure(err)
		}
		if f := l.o.hooks.unstable; f != nil && errors.Is(err, kerr.UnstableOffsetCommit) {
			f()
		}
		if err := pause(ctx, min(n, 5)); err != nil {
			return nil, err
		}
	}
}

// askStable is the request for a group's positions on partitions, and the names of their topics.
func (l *Log) askStable(ctx context.Context, group string, ps []eventlog.Partition) (*kmsg.OffsetFetchRequest, map[[16]byte]string, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	at := make(map[string]int)
	names := make(map[[16]byte]string)
	for _, p := range ps {
		t, err := l.partition(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		names[t.id] = t.name
		n, ok := at[p.Topic]
		if !ok {
			n = len(rg.Topics)
			at[p.Topic] = n
			rt := kmsg.NewOffsetFetchRequestGroupTopic()
			rt.Topic, rt.TopicID = t.name, t.id
			rg.Topics = append(rg.Topics, rt)
		}
		rg.Topics[n].Partitions = append(rg.Topics[n].Partitions, p.ID)
	}
	req.Groups = append(req.Groups, rg)
	return req, names, nil
}

func positionsIn(g kmsg.OffsetFetchResponseGroup, names map[[16]byte]string) (map[eventlog.Partition]eventlog.GroupOffset, error) {
	if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
		return nil, err
	}
	found := make(map[eventlog.Partition]eventlog.GroupOffset)
	for _, gt := range g.Topics {
		name := gt.Topic
		if name == "" {
			name = names[gt.TopicID]
		}
		for _, p := range gt.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			o := eventlog.GroupOffset{Partition: eventlog.Partition{Topic: name, ID: p.Partition}, Offset: p.Offset}
			if p.Metadata != nil {
				o.Metadata = *p.Metadata
			}
			found[o.Partition] = o
		}
	}
	return found, nil
}
