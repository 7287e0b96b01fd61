package disk

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// design.md section 7.
const (
	defaultPartitions = 8
	defaultRetention  = 30 * 24 * time.Hour
	defaultMaxBytes   = 10 << 30
	maxPartitions     = 10_000
	maxTopicName      = 249 // as in Kafka
)

// topic is a topic that exists. Its settings and partitions change under Log.view, by the committer alone.
type topic struct {
	number     uint32 // its place in the keys; never reused
	name       string
	settings   eventlog.Topic
	partitions []*partition
	gone       chan struct{} // closed when the topic has been deleted

	turn uint32 // the committer's: where the next record without a key goes
}

// topicRow is the stored form of a topic.
type topicRow struct {
	Number     uint32        `json:"number"`
	ID         string        `json:"id"`
	Partitions int32         `json:"partitions"`
	Retention  time.Duration `json:"retention"` // nanoseconds, -1 = for ever
	MaxBytes   int64         `json:"maxBytes"`  // -1 = no bound
	Compact    bool          `json:"compact,omitempty"`
}

func (t *topic) row() ([]byte, error) {
	s := &t.settings
	return json.Marshal(topicRow{t.number, s.ID, s.Partitions, s.Retention, s.MaxBytes, s.Compact})
}

// loadTopics reads all topics, their partitions' states and what was appended after those.
func (l *Log) loadTopics() error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowTopic}, UpperBound: []byte{rowTopic + 1}})
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		name := string(it.Key()[1:])
		b, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("read topic %s: %w", name, err)
		}
		var r topicRow
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("read topic %s: %w", name, err)
		}
		t := &topic{number: r.Number, name: name, gone: make(chan struct{}), settings: eventlog.Topic{
			Name: name, ID: r.ID, Partitions: r.Partitions, Retention: r.Retention, MaxBytes: r.MaxBytes, Compact: r.Compact,
		}}
		for id := range r.Partitions {
			p := newPartition(t, id)
			if err := p.load(l.db); err != nil {
				return err
			}
			t.partitions = append(t.partitions, p)
		}
		l.topics[name], l.numbers[t.number] = t, t
	}
	return it.Error()
}

// withDefaults checks the settings of a new topic and fills in what is left out. A compacted topic keeps everything by
// default: its newest records are somebody's state, and age says nothing about them.
func withDefaults(t eventlog.Topic) (eventlog.Topic, error) {
	if err := checkTopicName(t.Name); err != nil {
		return t, err
	}
	if t.Partitions == 0 {
		t.Partitions = defaultPartitions
	}
	if t.Retention == 0 {
		t.Retention = defaultRetention
		if t.Compact {
			t.Retention = eventlog.Forever
		}
	}
	if t.MaxBytes == 0 {
		t.MaxBytes = defaultMaxBytes
		if t.Compact {
			t.MaxBytes = eventlog.Forever
		}
	}
	return t, checkSettings(t)
}

func checkSettings(t eventlog.Topic) error {
	switch {
	case t.Partitions < 1 || t.Partitions > maxPartitions:
		return fault.New(fault.Invalid, "topic %s: %d partitions, want 1 to %d", t.Name, t.Partitions, maxPartitions)
	case t.Retention <= 0 && t.Retention != eventlog.Forever:
		return fault.New(fault.Invalid, "topic %s: retention %s, want more than 0, or for ever", t.Name, t.Retention)
	case t.MaxBytes <= 0 && t.MaxBytes != eventlog.Forever:
		return fault.New(fault.Invalid, "topic %s: size bound %d, want more than 0, or none", t.Name, t.MaxBytes)
	}
	return nil
}

// checkTopicName holds to Kafka's rule, so that a topic's name is good on both engines.
func checkTopicName(name string) error {
	bad := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
	}
	if name == "" || len(name) > maxTopicName || name == "." || name == ".." || slices.ContainsFunc([]rune(name), bad) {
		return fault.New(fault.Invalid, "topic name %q is not allowed", name).
			WithHint("use 1 to %d of a-z A-Z 0-9 . _ -", maxTopicName)
	}
	return nil
}

func noTopic(name string) error { return fault.New(fault.NotFound, "topic %q does not exist", name) }

func noPartition(p eventlog.Partition, n int) error {
	return fault.New(fault.NotFound, "topic %s has no partition %d, it has %d", p.Topic, p.ID, n)
}

// CreateTopic is eventlog.Log's.
func (l *Log) CreateTopic(ctx context.Context, t eventlog.Topic) error {
	t, err := withDefaults(t)
	if err != nil {
		return err
	}
	return l.do(ctx, &createTopic{log: l, settings: t})
}

type createTopic struct {
	log      *Log
	settings eventlog.Topic
	made     *topic
}

func (c *createTopic) alone() bool { return true }
func (c *createTopic) size() int   { return 0 }

func (c *createTopic) build(g *group) error {
	l := c.log
	if l.topics[c.settings.Name] != nil {
		return fault.New(fault.Conflict, "topic %s exists already", c.settings.Name)
	}
	number := uint32(1)
	b, closer, err := l.db.Get(nextTopicKey())
	switch {
	case err == nil:
		number = binary.BigEndian.Uint32(b)
		closer.Close()
	case err != pebble.ErrNotFound:
		return fmt.Errorf("read next topic number: %w", err)
	}
	t := &topic{number: number, name: c.settings.Name, settings: c.settings, gone: make(chan struct{})}
	t.settings.ID = event.NewID()
	for p := range t.settings.Partitions {
		t.partitions = append(t.partitions, newPartition(t, p))
	}
	row, err := t.row()
	if err != nil {
		return fmt.Errorf("encode topic %s: %w", t.settings.Name, err)
	}
	c.made = t
	return cmp.Or(
		g.batch.Set(nextTopicKey(), binary.BigEndian.AppendUint32(nil, number+1), nil),
		g.batch.Set(topicKey(t.settings.Name), row, nil),
	)
}

func (c *createTopic) publish() {
	c.log.topics[c.made.settings.Name], c.log.numbers[c.made.number] = c.made, c.made
	c.log.shape.changed()
}

// AlterTopic is eventlog.Log's.
func (l *Log) AlterTopic(ctx context.Context, name string, c eventlog.TopicChange) error {
	return l.madeRoom(l.do(ctx, &alterTopic{log: l, name: name, change: c}))
}

type alterTopic struct {
	log    *Log
	name   string
	change eventlog.TopicChange
	topic  *topic
	next   eventlog.Topic
}

func (c *alterTopic) alone() bool { return true }
func (c *alterTopic) size() int   { return 0 }

func (c *alterTopic) build(g *group) error {
	t := c.log.topics[c.name]
	if t == nil {
		return noTopic(c.name)
	}
	next := t.settings
	if n := c.change.Partitions; n != nil {
		if *n < next.Partitions {
			return fault.New(fault.Invalid, "topic %s has %d partitions, they cannot become %d: partitions only grow", c.name, next.Partitions, *n)
		}
		next.Partitions = *n
	}
	if d := c.change.Retention; d != nil {
		next.Retention = *d
	}
	if n := c.change.MaxBytes; n != nil {
		next.MaxBytes = *n
	}
	if err := checkSettings(next); err != nil {
		return err
	}
	row, err := (&topic{number: t.number, settings: next}).row()
	if err != nil {
		return fmt.Errorf("encode topic %s: %w", c.name, err)
	}
	c.topic, c.next = t, next
	return g.batch.Set(topicKey(c.name), row, nil)
}

func (c *alterTopic) publish() {
	c.topic.settings = c.next
	for id := int32(len(c.topic.partitions)); id < c.next.Partitions; id++ {
		c.topic.partitions = append(c.topic.partitions, newPartition(c.topic, id))
	}
	c.log.shape.changed()
}

// DeleteTopic is eventlog.Log's.
func (l *Log) DeleteTopic(ctx context.Context, name string) error {
	return l.madeRoom(l.do(ctx, &deleteTopic{log: l, name: name}))
}

// madeRoom has a change that lets go of records take effect at once where they take room that is needed.
func (l *Log) madeRoom(err error) error {
	if err == nil && l.Space() != eventlog.SpaceOK {
		l.sweepSoon()
	}
	return err
}

type deleteTopic struct {
	log   *Log
	name  string
	topic *topic
}

func (c *deleteTopic) alone() bool { return true }
func (c *deleteTopic) size() int   { return 0 }

func (c *deleteTopic) build(g *group) error {
	t := c.log.topics[c.name]
	if t == nil {
		return noTopic(c.name)
	}
	c.topic = t
	for group, offsets := range c.log.groups {
		for at := range offsets {
			if at.topic == t.number {
				if err := g.batch.Delete(groupKey(group, at.topic, at.partition), nil); err != nil {
					return err
				}
			}
		}
	}
	for _, row := range []byte{rowRecord, rowState} {
		lower, upper := span(row, t.number)
		if err := g.batch.DeleteRange(lower, upper, nil); err != nil {
			return err
		}
	}
	return g.batch.Delete(topicKey(c.name), nil)
}

func (c *deleteTopic) publish() {
	l := c.log
	delete(l.topics, c.name)
	delete(l.numbers, c.topic.number)
	bytes := int64(0)
	for _, p := range c.topic.partitions {
		bytes += p.bytes.Load()
	}
	lower, upper := span(rowRecord, c.topic.number)
	l.freed.add(lower, upper, bytes)
	for group, offsets := range l.groups {
		for at := range offsets {
			if at.topic == c.topic.number {
				delete(offsets, at)
			}
		}
		if len(offsets) == 0 {
			delete(l.groups, group)
		}
	}
	close(c.topic.gone)
	l.shape.changed()
}

// Topics is eventlog.Log's.
func (l *Log) Topics(context.Context) ([]eventlog.Topic, error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.leave()
	l.view.RLock()
	defer l.view.RUnlock()
	all := make([]eventlog.Topic, 0, len(l.topics))
	for _, t := range l.topics {
		all = append(all, t.settings)
	}
	slices.SortFunc(all, func(a, b eventlog.Topic) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
