package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// place is a partition of one topic, whatever another topic of that name may be.
type place struct {
	topic [16]byte
	id    int32
}

// topic is what the log knows of a topic. It does not change.
type topic struct {
	name     string
	id       [16]byte
	text     string  // the id as eventlog.Topic has it
	leaders  []int32 // broker by partition, -1 = none
	compact  bool
	maxBatch int // bytes of a batch that the topic takes
}

func (t *topic) place(id int32) place { return place{t.id, id} }

// check returns NotFound for a partition that the topic has not.
func (t *topic) check(id int32) error {
	if id < 0 || int(id) >= len(t.leaders) {
		return eventlog.NoPartition(eventlog.Partition{Topic: t.name, ID: id}, len(t.leaders))
	}
	return nil
}

// topicCache remembers topics, so that a call need not ask for what it most likely knows.
type topicCache struct {
	mu    sync.Mutex
	known map[string]*topic
}

func (c *topicCache) get(name string) *topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[name]
}

func (c *topicCache) all() map[string]*topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.known)
}

// put replaces what is known of a topic, nil when it is not there. another says that something else was known of that name.
func (c *topicCache) put(name string, t *topic) (another bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.known[name]
	if t == nil {
		delete(c.known, name)
	} else {
		c.known[name] = t
	}
	return old != nil && (t == nil || t.id != old.id)
}

// topic returns what is known of a topic, or asks.
func (l *Log) topic(ctx context.Context, name string) (*topic, error) {
	if t := l.topics.get(name); t != nil {
		return t, nil
	}
	return l.refresh(ctx, name)
}

// partition returns the topic of a partition that exists. What is not known is asked for before it is said not to be there.
func (l *Log) partition(ctx context.Context, p eventlog.Partition) (*topic, error) {
	t, err := l.topic(ctx, p.Topic)
	if err != nil {
		return nil, err
	}
	if p.ID >= 0 && int(p.ID) >= len(t.leaders) {
		if t, err = l.refresh(ctx, p.Topic); err != nil {
			return nil, err
		}
	}
	return t, t.check(p.ID)
}

// refresh asks for a topic.
func (l *Log) refresh(ctx context.Context, name string) (*topic, error) {
	found, err := l.describe(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	t := found[name]
	if l.topics.put(name, t) {
		l.replaced(name)
	}
	if t == nil {
		return nil, eventlog.NoTopic(name)
	}
	return t, nil
}

// replaced lets those know who go on with a topic that it is gone, or another one has its name.
func (l *Log) replaced(name string) {
	l.tail.changed(name)
	l.membersLook()
}

// describe asks for topics; nil = all but Kafka's own. What is not there is not in the answer.
func (l *Log) describe(ctx context.Context, names []string) (map[string]*topic, error) {
	resp, err := l.metadata(ctx, l.client, names)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*topic, len(resp.Topics))
	var fresh []*topic
	for _, rt := range resp.Topics {
		if rt.Topic == nil || rt.IsInternal && names == nil || strings.HasPrefix(*rt.Topic, "__") && names == nil {
			continue
		}
		switch err := kerr.ErrorForCode(rt.ErrorCode); {
		case err == nil, errors.Is(err, kerr.LeaderNotAvailable):
		case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException):
			continue
		case names == nil: // not this user's
			continue
		default:
			return nil, l.failure(err)
		}
		t := topicOf(rt)
		found[t.name] = t
		if old := l.topics.get(t.name); old != nil && old.id == t.id {
			t.compact, t.maxBatch = old.compact, old.maxBatch
		} else {
			fresh = append(fresh, t)
		}
	}
	return found, l.configure(ctx, fresh)
}

func topicOf(rt kmsg.MetadataResponseTopic) *topic {
	t := &topic{name: *rt.Topic, id: rt.TopicID, text: hex.EncodeToString(rt.TopicID[:]), leaders: make([]int32, len(rt.Partitions))}
	for _, rp := range rt.Partitions {
		if int(rp.Partition) < len(t.leaders) {
			t.leaders[rp.Partition] = rp.Leader
		}
	}
	return t
}

func (l *Log) metadata(ctx context.Context, by kmsg.Requestor, names []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	if names != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, name := range names {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, by)
	if err != nil {
		return nil, l.failure(err)
	}
	return resp, nil
}

// configure fills in what a topic's configuration says to who writes to it.
func (l *Log) configure(ctx context.Context, ts []*topic) error {
	all, err := l.configs(ctx, ts)
	if err != nil {
		return err
	}
	for _, t := range ts {
		c := all[t.name]
		t.compact = slices.Contains(strings.Split(c["cleanup.policy"], ","), "compact")
		t.maxBatch = int(number(c["max.message.bytes"], defaultBatch))
	}
	return nil
}

// What Kafka takes in one batch where nobody says anything else.
const defaultBatch = 1 << 20

func number(s string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return otherwise
}

// configs returns the configuration of topics by name. Where this user may not see it, or the topic has just gone, there is none.
func (l *Log) configs(ctx context.Context, ts []*topic) (map[string]map[string]string, error) {
	all := make(map[string]map[string]string, len(ts))
	if len(ts) == 0 {
		return all, nil
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, t := range ts {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, t.name
		r.ConfigNames = []string{"cleanup.policy", "max.message.bytes", "retention.ms", "retention.bytes", "min.insync.replicas"}
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return nil, l.failure(err)
	}
	for _, r := range resp.Resources {
		c := make(map[string]string, len(r.Configs))
		for _, e := range r.Configs {
			if e.Value != nil {
				c[e.Name] = *e.Value
			}
		}
		all[r.ResourceName] = c
	}
	return all, nil
}
