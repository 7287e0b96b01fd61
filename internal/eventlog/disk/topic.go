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
			err := p.load(l.db, l.reading)
			if err != nil && (!l.reading || withheld(err)) {
				return err
			}
			p.damaged = err
			t.partitions = append(t.partitions, p)
		}
		l.topics[name], l.numbers[t.number] = t, t
	}
	return it.Error()
}

// CreateTopic is eventlog.Log's.
func (l *Log) CreateTopic(ctx context.Context, t eventlog.Topic) error {
	t, err := t.WithDefaults()
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
		return eventlog.NoTopic(c.name)
	}
	next, err := t.settings.Altered(c.change)
	if err != nil {
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
		return eventlog.NoTopic(c.name)
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
	for _, row := range []byte{rowRecord, rowState, rowOnce, rowDigest} {
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
