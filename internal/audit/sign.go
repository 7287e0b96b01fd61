package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/function"
)

// signAll signs what has grown since the last checkpoint, where that is more than checkpoints.
func (k *Keeper) signAll(ctx context.Context) error {
	for {
		c, more, err := k.changed(ctx)
		if err != nil || c == nil {
			return err
		}
		if err := k.sign(ctx, c); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// changed is the next checkpoint; nil = there is nothing to say.
func (k *Keeper) changed(ctx context.Context) (c *checkpoint, more bool, err error) {
	topics, err := k.Log.Topics(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("list topics: %w", err)
	}
	there := map[string]bool{}
	for _, t := range topics {
		there[t.ID] = true
	}
	c = &checkpoint{seq: k.state.seq + 1, time: k.Now(), prev: k.state.last}
	told, news := map[string]bool{}, false
	for _, h := range k.state.sorted() {
		if !there[h.id.topicID] && !told[h.id.topicID] {
			c.gone = append(c.gone, gone{h.id.topicID, h.topic})
			told[h.id.topicID], news = true, true
		}
	}
	for id, t := range k.trees {
		old := k.state.trees[id]
		if !there[id.topicID] {
			if old == nil {
				k.drop(id.topicID) // nobody was told of it
			}
			continue
		}
		if t.front.n > 0 && (old == nil || old.size < t.front.n) {
			c.head = append(c.head, t.head())
			news = news || t.topic != function.TopicCheckpoints
		}
	}
	if !news {
		return nil, false, nil
	}
	slices.SortFunc(c.head, func(a, b head) int { return compareTrees(a.id, b.id) })
	if more = len(c.head) > k.most; more {
		c.head = c.head[:k.most]
	}
	return c, more, nil
}

// sign makes a checkpoint durable: leaves first, then the log, then the state, so that what was signed is always there.
func (k *Keeper) sign(ctx context.Context, c *checkpoint) error {
	for i := range c.head {
		if err := k.trees[c.head[i].id].sync(); err != nil {
			return fmt.Errorf("sync leaves: %w", err)
		}
	}
	raw, err := sign(c.text(), k.key)
	if err != nil {
		return err
	}
	if err := k.put(ctx, &Signed{*c, raw}); err != nil {
		return err
	}
	k.metrics.checkpoints.Inc()
	k.metrics.signed.Set(float64(c.time.UnixMilli()) / 1e3)
	n, _ := k.bringer.missing(c.seq, k.Now())
	k.metrics.missing.Set(float64(n))
	return k.keepState()
}

func (k *Keeper) keepState() error {
	sealed, err := k.state.seal(k.key)
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(k.Dir, stateFile), sealed); err != nil {
		return fmt.Errorf("keep the state of the audit: %w", err)
	}
	return nil
}

// drop removes the leaves of a topic that is no more.
func (k *Keeper) drop(topicID string) {
	for id := range k.trees {
		if id.topicID == topicID {
			delete(k.trees, id)
		}
	}
	dir := filepath.Join(k.Dir, treesDir, hexName(topicID))
	if err := os.RemoveAll(dir); err != nil {
		k.Logger.Warn("leaves of a topic that is gone could not be removed", "dir", dir, "err", err)
	}
}
