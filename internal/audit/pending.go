package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// appendWait is how long a checkpoint may take to get into the log, whatever becomes of who asked for it.
const appendWait = 5 * time.Second

// put appends a checkpoint to the log. A log may store later what it has not answered, also after the node was stopped, and another checkpoint with this number
// would then contradict it for good. So the text is kept before, and what has no answer is put once more as it is: the same one twice says nothing else.
func (k *Keeper) put(ctx context.Context, c *Signed) error {
	pending := filepath.Join(k.Dir, pendingFile)
	if err := durable.Replace(pending, c.raw); err != nil {
		return fmt.Errorf("keep checkpoint %d: %w", c.seq, err)
	}
	e := &event.Event{
		ID: event.NewID(), Source: "/dalamb/audit", Type: event.TypeCheckpointSigned, Subject: k.key.Name(), Time: c.time.UTC(), DataContentType: "text/plain", Data: c.raw,
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendWait)
	defer cancel()
	at, err := k.Log.Append(ctx, []eventlog.Record{eventlog.FromEvent(function.TopicCheckpoints, e)})
	if err != nil {
		// It may be in the log nevertheless: the state is read from there again.
		k.ready = false
		clear(k.trees)
		return fmt.Errorf("append checkpoint %d: %w", c.seq, err)
	}
	if err := k.state.take(c, at[0].Offset); err != nil {
		return &standError{err}
	}
	for _, g := range c.gone {
		k.drop(g.topicID)
	}
	if err := os.Remove(pending); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove checkpoint %d, which is in the log: %w", c.seq, err)
	}
	return nil
}

// again puts a checkpoint into the log that got no answer. One that is there already, or of records that the log of a restored backup does not have, is not.
func (k *Keeper) again(ctx context.Context) error {
	raw, err := os.ReadFile(filepath.Join(k.Dir, pendingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the checkpoint that got no answer: %w", err)
	}
	c, err := openCheckpoint(raw, k.check)
	if err != nil {
		return &standError{fmt.Errorf("%s %w", filepath.Join(k.Dir, pendingFile), err)}
	}
	if c.seq != k.state.seq+1 || c.prev != k.state.last {
		return nil
	}
	topics, err := k.Log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for i := range c.head {
		h := &c.head[i]
		if !slices.ContainsFunc(topics, func(t eventlog.Topic) bool { return t.ID == h.id.topicID }) {
			continue // deleted meanwhile, which the next one says
		}
		b, err := k.Log.Bounds(ctx, eventlog.Partition{Topic: h.topic, ID: h.id.partition})
		if err != nil {
			return fmt.Errorf("read the bounds of %s/%d: %w", h.topic, h.id.partition, err)
		}
		if b.End < h.end {
			return nil
		}
	}
	return k.put(ctx, c)
}

// copies is how many offsets back the first of two copies of a checkpoint is looked for.
const copies = 1000

// copied says whether a checkpoint at an offset stands before that too, as it is.
func (k *Keeper) copied(ctx context.Context, c *Signed, at int64) (bool, error) {
	found := false
	err := readCheckpoints(ctx, k.Log, max(0, at-copies), k.check, func(o *Signed, place int64, err error) error {
		found = found || err == nil && place < at && hashOf(o.raw) == hashOf(c.raw)
		return nil
	})
	return found, err
}
