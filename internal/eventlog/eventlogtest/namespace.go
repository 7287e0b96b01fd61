package eventlogtest

import (
	"context"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Namespace shows the part of a log whose topics and groups begin with prefix, without the prefix. Tests that share one
// store see a store of their own through it.
func Namespace(l eventlog.Log, prefix string) eventlog.Log { return &namespace{l, prefix} }

type namespace struct {
	log    eventlog.Log
	prefix string
}

// in gives a name its prefix. What is no name without a prefix is not made one by it.
func (n *namespace) in(name string) string {
	if strings.Trim(name, ".") == "" {
		return name
	}
	return n.prefix + name
}

func (n *namespace) out(name string) string { return strings.TrimPrefix(name, n.prefix) }

func (n *namespace) part(p eventlog.Partition) eventlog.Partition {
	p.Topic = n.in(p.Topic)
	return p
}

func (n *namespace) parts(ps []eventlog.Partition) []eventlog.Partition {
	out := make([]eventlog.Partition, len(ps))
	for i, p := range ps {
		out[i] = n.part(p)
	}
	return out
}

func (n *namespace) outParts(ps []eventlog.Partition) []eventlog.Partition {
	out := make([]eventlog.Partition, len(ps))
	for i, p := range ps {
		out[i] = eventlog.Partition{Topic: n.out(p.Topic), ID: p.ID}
	}
	return out
}

func (n *namespace) records(rs []eventlog.Record) []eventlog.Record {
	out := make([]eventlog.Record, len(rs))
	for i, r := range rs {
		r.Topic = n.in(r.Topic)
		out[i] = r
	}
	return out
}

func (n *namespace) positions(ps []eventlog.Position) []eventlog.Position {
	for i := range ps {
		ps[i].Topic = n.out(ps[i].Topic)
	}
	return ps
}

func (n *namespace) offsets(os []eventlog.GroupOffset) []eventlog.GroupOffset {
	out := make([]eventlog.GroupOffset, len(os))
	for i, o := range os {
		o.Partition = n.part(o.Partition)
		out[i] = o
	}
	return out
}

func (n *namespace) CreateTopic(ctx context.Context, t eventlog.Topic) error {
	t.Name = n.in(t.Name)
	return n.log.CreateTopic(ctx, t)
}

func (n *namespace) AlterTopic(ctx context.Context, name string, c eventlog.TopicChange) error {
	return n.log.AlterTopic(ctx, n.in(name), c)
}

func (n *namespace) DeleteTopic(ctx context.Context, name string) error {
	return n.log.DeleteTopic(ctx, n.in(name))
}

func (n *namespace) Topics(ctx context.Context) ([]eventlog.Topic, error) {
	all, err := n.log.Topics(ctx)
	var own []eventlog.Topic
	for _, t := range all {
		if strings.HasPrefix(t.Name, n.prefix) {
			t.Name = n.out(t.Name)
			own = append(own, t)
		}
	}
	return own, err
}

func (n *namespace) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	ps, err := n.log.Append(ctx, n.records(records))
	return n.positions(ps), err
}

func (n *namespace) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	rs, err := n.log.Read(ctx, n.part(p), from, o)
	for i := range rs {
		rs[i].Topic = p.Topic
	}
	return rs, err
}

func (n *namespace) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	return n.log.Bounds(ctx, n.part(p))
}

func (n *namespace) OffsetAt(ctx context.Context, p eventlog.Partition, t time.Time) (int64, error) {
	return n.log.OffsetAt(ctx, n.part(p), t)
}

func (n *namespace) CommitOffsets(ctx context.Context, group string, offsets []eventlog.GroupOffset) error {
	return n.log.CommitOffsets(ctx, n.in(group), n.offsets(offsets))
}

func (n *namespace) Offsets(ctx context.Context, group string) ([]eventlog.GroupOffset, error) {
	all, err := n.log.Offsets(ctx, n.in(group))
	for i := range all {
		all[i].Partition.Topic = n.out(all[i].Partition.Topic)
	}
	return all, err
}

func (n *namespace) Groups(ctx context.Context) ([]string, error) {
	all, err := n.log.Groups(ctx)
	var own []string
	for _, g := range all {
		if strings.HasPrefix(g, n.prefix) {
			own = append(own, n.out(g))
		}
	}
	return own, err
}

func (n *namespace) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := n.log.Join(ctx, eventlog.JoinOptions{
		Group:    n.in(o.Group),
		Assigned: func(ctx context.Context, ps []eventlog.Partition) { o.Assigned(ctx, n.outParts(ps)) },
		Revoked:  func(ctx context.Context, ps []eventlog.Partition) { o.Revoked(ctx, n.outParts(ps)) },
		Lost:     func(ps []eventlog.Partition) { o.Lost(n.outParts(ps)) },
	})
	if err != nil {
		return nil, err
	}
	return &namespaceMember{m, n}, nil
}

// Size is eventlog.Sizer's, of a log that is one.
func (n *namespace) Size(ctx context.Context, topic string) (int64, error) {
	sizer, can := n.log.(eventlog.Sizer)
	if !can {
		return 0, errNoSize
	}
	return sizer.Size(ctx, n.in(topic))
}

func (n *namespace) Close() error { return n.log.Close() }

type namespaceMember struct {
	eventlog.Member
	n *namespace
}

func (m *namespaceMember) SetTopics(ctx context.Context, topics []string) error {
	in := make([]string, len(topics))
	for i, name := range topics {
		in[i] = m.n.in(name)
	}
	return m.Member.SetTopics(ctx, in)
}

func (m *namespaceMember) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	t.Records, t.Offsets, t.Claims = m.n.records(t.Records), m.n.offsets(t.Offsets), m.n.parts(t.Claims)
	t.Group = m.n.in(t.Group)
	ps, err := m.Member.Commit(ctx, t)
	return m.n.positions(ps), err
}
