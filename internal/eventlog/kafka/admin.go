package kafka

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Topics is eventlog.Log's.
func (l *Log) Topics(ctx context.Context) ([]eventlog.Topic, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found, err := l.describe(ctx, nil)
	if err != nil {
		return nil, err // who asks says what for
	}
	ts := make([]*topic, 0, len(found))
	for _, t := range found {
		ts = append(ts, t)
	}
	configs, err := l.configs(ctx, ts)
	if err != nil {
		return nil, err
	}
	all := make([]eventlog.Topic, 0, len(ts))
	for _, t := range ts {
		all = append(all, t.settings(configs[t.name]))
	}
	slices.SortFunc(all, func(a, b eventlog.Topic) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (t *topic) settings(c map[string]string) eventlog.Topic {
	s := eventlog.Topic{
		Name: t.name, ID: t.text, Partitions: int32(len(t.leaders)), Compact: t.compact,
		Retention: eventlog.Forever, MaxBytes: eventlog.Forever,
	}
	if c["cleanup.policy"] == "compact" {
		return s
	}
	if ms := number(c["retention.ms"], -1); ms >= 0 {
		s.Retention = time.Duration(ms) * time.Millisecond
		if ms > int64(1<<63-1)/int64(time.Millisecond) {
			s.Retention = eventlog.Forever
		}
	}
	if n := number(c["retention.bytes"], -1); n >= 0 {
		s.MaxBytes = n * int64(s.Partitions)
	}
	return s
}

// config is the configuration that makes a topic what its settings say. Kafka bounds each partition's size for itself.
func config(s eventlog.Topic) map[string]string {
	c := map[string]string{
		"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete",
	}
	if s.Retention != eventlog.Forever {
		c["retention.ms"] = strconv.FormatInt(max(1, s.Retention.Milliseconds()), 10)
	}
	if s.MaxBytes != eventlog.Forever {
		c["retention.bytes"] = strconv.FormatInt(max(1, s.MaxBytes/int64(s.Partitions)), 10)
	}
	if s.Compact {
		c["cleanup.policy"] = "compact"
		if s.Retention != eventlog.Forever || s.MaxBytes != eventlog.Forever {
			c["cleanup.policy"] = "compact,delete"
		}
	}
	return c
}

// batchOverhead is room in a batch beside a record of eventlog.MaxRecord bytes.
const batchOverhead = 64 << 10

// CreateTopic is eventlog.Log's.
func (l *Log) CreateTopic(ctx context.Context, s eventlog.Topic) error {
	s, err := s.WithDefaults()
	if err != nil {
		return err
	}
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	brokers, err := l.metadata(ctx, l.client, []string{})
	if err != nil {
		return err
	}
	replication := l.o.Replication
	if replication <= 0 {
		replication = int16(min(3, max(1, len(brokers.Brokers))))
	}
	c := config(s)
	c["max.message.bytes"] = strconv.Itoa(eventlog.MaxRecord + batchOverhead)
	c["message.timestamp.type"] = "CreateTime"
	// A record may have any time that its writer gives it.
	c["message.timestamp.before.max.ms"], c["message.timestamp.after.max.ms"] = maxMillis, maxMillis
	c["min.insync.replicas"] = strconv.Itoa(min(2, int(replication)))
	if s.Compact {
		c["delete.retention.ms"] = strconv.FormatInt((24 * time.Hour).Milliseconds(), 10)
		c["max.compaction.lag.ms"] = strconv.FormatInt(maxLag.Milliseconds(), 10)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = s.Name, s.Partitions, replication
	for name, value := range c {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = name, kmsg.StringPtr(value)
		rt.Configs = append(rt.Configs, rc)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return l.failure(err)
	}
	made := resp.Topics[0]
	if made.ErrorCode == kerr.TopicAlreadyExists.Code {
		return fault.New(fault.Conflict, "topic %s exists already", s.Name)
	}
	if err := l.code(made.ErrorCode, made.ErrorMessage); err != nil {
		return err
	}
	l.settle(ctx, s.Name, func(t *topic) bool { return t != nil && t.id == made.TopicID })
	return nil
}

// maxLag is when a compacted topic is compacted however little has been written since, up to the last append: by itself Kafka waits for as much as is there
// already, and for a segment of 1 GiB or a week. Under a day, so that what is appended daily ends a segment each time. KIP-354.
const maxLag = 20 * time.Hour

// The largest number of milliseconds that Kafka takes.
const maxMillis = "9223372036854775807"

// settle waits until every broker that answers knows of a change: each call goes to any of them.
func (l *Log) settle(ctx context.Context, name string, done func(*topic) bool) {
	l.topics.put(name, nil)
	defer l.replaced(name)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, b := range l.client.DiscoveredBrokers() {
		for n := 0; ; n++ {
			ok, err := l.knows(ctx, b, name, done)
			if ok || err != nil && n > 0 {
				break // done, or down: who comes back learns before it serves
			}
			if pause(ctx, n) != nil {
				return // the change is durable all the same
			}
		}
	}
}

// knows asks one broker for a topic.
func (l *Log) knows(ctx context.Context, b *kgo.Broker, name string, done func(*topic) bool) (bool, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(name)
	req.Topics = append(req.Topics, rt)
	r, err := b.Request(ctx, req)
	if err != nil {
		return false, err
	}
	got := r.(*kmsg.MetadataResponse).Topics[0]
	if kerr.ErrorForCode(got.ErrorCode) != nil {
		return done(nil), nil
	}
	t := topicOf(got)
	return done(t) && !slices.Contains(t.leaders, -1), nil
}

// AlterTopic is eventlog.Log's.
func (l *Log) AlterTopic(ctx context.Context, name string, c eventlog.TopicChange) error {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return action(l.alter(ctx, name, c), "alter topic %s", name)
}

func (l *Log) alter(ctx context.Context, name string, c eventlog.TopicChange) error {
	t, err := l.refresh(ctx, name)
	if err != nil {
		return err
	}
	configs, err := l.configs(ctx, []*topic{t})
	if err != nil {
		return err
	}
	now := t.settings(configs[name])
	next, err := now.Altered(c)
	if err != nil {
		return err
	}
	if next.Partitions > now.Partitions {
		req := kmsg.NewPtrCreatePartitionsRequest()
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = name, next.Partitions
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(ctx, l.client)
		if err != nil {
			return l.failure(err)
		}
		if err := l.code(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage); err != nil {
			return err
		}
		l.settle(ctx, name, func(t *topic) bool { return t != nil && len(t.leaders) >= int(next.Partitions) })
	}
	return l.setConfig(ctx, name, config(next))
}

func (l *Log) setConfig(ctx context.Context, name string, c map[string]string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
	for key, value := range c {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Value, rc.Op = key, kmsg.StringPtr(value), kmsg.IncrementalAlterConfigOpSet
		r.Configs = append(r.Configs, rc)
	}
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return l.failure(err)
	}
	return l.code(resp.Resources[0].ErrorCode, resp.Resources[0].ErrorMessage)
}

// DeleteTopic is eventlog.Log's. Kafka removes the positions of groups itself.
func (l *Log) DeleteTopic(ctx context.Context, name string) error {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	t, err := l.refresh(ctx, name)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.TopicID = t.id
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return action(l.failure(err), "delete topic %s", name)
	}
	if err := l.code(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage); err != nil {
		return action(err, "delete topic %s", name)
	}
	l.settle(ctx, name, func(now *topic) bool { return now == nil || now.id != t.id })
	return nil
}
