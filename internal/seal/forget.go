package seal

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// forgetBatch is how many keys one call takes away.
const forgetBatch = 1000

// Held is what a topic holds that is sealed by the keys of one event key.
type Held struct {
	Topic  string
	Events int64
}

// Digest names an event key where it is to be named no more: the first 128 bits of its SHA-256, in hexadecimal.
func Digest(key []byte) string {
	d := digestOf(key)
	return hex.EncodeToString(d[:])
}

// Run follows what other nodes do with keys, until ctx is done.
func (l *Log) Run(ctx context.Context, logger *slog.Logger) error {
	l.keys.follow(ctx, func(err error) { logger.Warn("the keys of sealed topics cannot be followed", "err", err) })
	return nil
}

// Has says whether an event key has keys, in a topic or with "" in any, also in one that is not there any more.
func (l *Log) Has(ctx context.Context, key []byte, topic string) (bool, error) {
	if err := l.keys.catchUp(ctx); err != nil {
		return false, err
	}
	return len(l.keys.idsOf(digestOf(key), topic)) > 0, nil
}

// SealsOf says of a seal (event.SealIn) whether it is of the keys of an event key, in a topic or with "" in any, as they are now.
func (l *Log) SealsOf(ctx context.Context, key []byte, topic string) (mine func(seal string) bool, err error) {
	if err := l.keys.catchUp(ctx); err != nil {
		return nil, err
	}
	return l.idsIn(digestOf(key), topic), nil
}

func (l *Log) idsIn(owner digest, topic string) func(seal string) bool {
	ids := map[string]bool{}
	for _, id := range l.keys.idsOf(owner, topic) {
		ids[id.String()] = true
	}
	return func(seal string) bool { return ids[seal] }
}

// Forgotten says whether what a seal (event.Event.Seal) has sealed cannot be opened any more, as far as this node has heard. Does not block.
func (l *Log) Forgotten(seal string) bool {
	id, ok := parseID(seal)
	return ok && !l.keys.knows(id)
}

// Held counts, in a topic or with "" in all, the events that Forget would make unreadable. It reads those partitions in which the key's events stand first. whole is
// false where the patience is over before: the counts are what was found by then. Topics that are not there any more count nothing.
func (l *Log) Held(ctx context.Context, key []byte, topic string, patience time.Duration) (held []Held, whole bool, err error) {
	if err := l.keys.catchUp(ctx); err != nil {
		return nil, false, err
	}
	owner := digestOf(key)
	topics, err := l.Log.Topics(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("list topics: %w", err)
	}
	until := time.Now().Add(patience)
	whole = true
	for _, name := range l.keys.topicsOf(owner) {
		i := slices.IndexFunc(topics, func(t eventlog.Topic) bool { return t.Name == name })
		if i < 0 || topic != "" && name != topic {
			continue
		}
		mine := l.idsIn(owner, name)
		h := Held{Topic: name}
		for _, p := range inOrder(topics[i], key) {
			n, all, err := l.count(ctx, p, mine, until)
			if err != nil {
				return nil, false, err
			}
			h.Events += n
			whole = whole && all
		}
		held = append(held, h)
	}
	return held, whole, nil
}

// inOrder lists a topic's partitions, that of a key first: in the others it stands where the topic was narrower.
func inOrder(t eventlog.Topic, key []byte) []eventlog.Partition {
	first := eventlog.PartitionFor(key, t.Partitions)
	ps := []eventlog.Partition{{Topic: t.Name, ID: first}}
	for id := range t.Partitions {
		if id != first {
			ps = append(ps, eventlog.Partition{Topic: t.Name, ID: id})
		}
	}
	return ps
}

func (l *Log) count(ctx context.Context, p eventlog.Partition, mine func(seal string) bool, until time.Time) (n int64, whole bool, err error) {
	b, err := l.Log.Bounds(ctx, p)
	if err != nil {
		return 0, false, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	for next := b.Start; next < b.End; {
		if time.Now().After(until) {
			return n, false, nil
		}
		rs, err := l.Log.Read(ctx, p, next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return n, false, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			break
		}
		for i := range rs {
			if mine(event.SealIn(rs[i].Headers)) {
				n++
			}
		}
		next = rs[len(rs)-1].Offset + 1
	}
	return n, true, nil
}

// Forget takes the keys of an event key away, in one topic or with "" in all: what they sealed, on whatever topic and whenever, can be opened no more, on this node
// at once and on others as soon as they have read so. Calls that begin after it has returned seal with another key, on every node. It returns how many
// keys there were; none is no error, so that it can be repeated where it is not known how it ended.
//
// Erased says that the engine's files on this machine have none of them any more. On an engine that cannot say, they go with its own compaction.
func (l *Log) Forget(ctx context.Context, key []byte, topic string) (keys int, erased bool, err error) {
	if len(key) == 0 {
		return 0, false, fault.New(fault.Invalid, "there is no key to forget")
	}
	if err := l.keys.catchUp(ctx); err != nil {
		return 0, false, err
	}
	ids := l.keys.idsOf(digestOf(key), topic)
	for some := range slices.Chunk(ids, forgetBatch) {
		records := make([]eventlog.Record, 0, len(some))
		for _, id := range some {
			records = append(records, eventlog.Record{Topic: function.TopicSeals, Key: append([]byte{dataPrefix}, id[:]...)})
		}
		if _, err := l.Log.Append(ctx, records); err != nil {
			return 0, false, fmt.Errorf("forget %d keys: %w", len(some), err)
		}
	}
	if err := l.keys.catchUp(ctx); err != nil {
		return len(ids), false, err
	}
	e, ok := l.Log.(eventlog.Eraser)
	if !ok {
		return len(ids), false, nil
	}
	// Also where there are no keys left: an earlier call may have come no further than to here.
	if err := e.Erase(ctx, function.TopicSeals); err != nil {
		return len(ids), false, err
	}
	return len(ids), true, nil
}
