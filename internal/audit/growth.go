package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// ProveGrowth makes the proof that the trees as of checkpoint from are in those as of checkpoint to, unchanged; those of one topic where one is named.
func (k *Keeper) ProveGrowth(ctx context.Context, from, to int64, topic string) (*wire.AuditGrowth, error) {
	if err := k.begun(ctx); err != nil {
		return nil, err
	}
	k.mu.Lock()
	trouble, signed, key := k.trouble, k.state.seq, k.check
	k.mu.Unlock()
	switch {
	case trouble != nil:
		return nil, fault.New(fault.Unavailable, "the audit stands still: %w", trouble).WithHint("docs/audit.md says what to do then")
	case from < 1 || from >= to:
		return nil, fault.New(fault.Invalid, "checkpoint %d is not before checkpoint %d", from, to).WithHint("name two numbers of checkpoints, the earlier one first; dalamb audit tells the last")
	case to > signed:
		return nil, fault.New(fault.NotFound, "there is no checkpoint %d: the last one is %d", to, signed)
	}
	f, err := k.fold(ctx, from, to, topic)
	if err != nil {
		return nil, err
	}
	if topic != "" && len(f.trees) == 0 && len(f.gone) == 0 {
		return nil, fault.New(fault.NotFound, "no record of %s is in checkpoint %d or one before it", topic, from)
	}
	p := &wire.AuditGrowth{Form: wire.AuditGrowthForm, From: from, To: to, Topic: topic, Checkpoints: []string{}, Trees: []wire.AuditGrown{}, Gone: f.gone}
	for _, id := range slices.SortedFunc(maps.Keys(f.trees), compareTrees) {
		g := f.trees[id]
		one := wire.AuditGrown{TopicID: id.topicID, Partition: id.partition, From: g.from.seq, To: g.to.seq, Hashes: [][]byte{}}
		if g.from.seq != g.to.seq {
			hashes, err := tlog.ProveTree(g.to.size, g.from.size, treeFiles(k.Dir, id.topicID, id.partition))
			if err != nil {
				return nil, fmt.Errorf("prove the growth of %s/%d: %w", g.to.topic, id.partition, err)
			}
			for _, h := range hashes {
				one.Hashes = append(one.Hashes, h[:])
			}
		}
		p.Trees = append(p.Trees, one)
	}
	size := 0
	for _, seq := range slices.Sorted(maps.Keys(f.needed)) {
		p.Checkpoints = append(p.Checkpoints, string(f.needed[seq]))
		if size += len(f.needed[seq]); size > maxProof/2 {
			return nil, fault.New(fault.TooLarge, "the proof would have more than %d MiB of checkpoints", maxProof/2>>20).WithHint("name a topic by --topic, or checkpoints that are nearer to each other")
		}
	}
	if _, err := checkGrowth(p, key); err != nil { // what is changed is for verify to tell, and no proof
		return nil, fault.New(fault.Conflict, "no proof can be made from checkpoint %d to %d: %w", from, to, err).WithHint("dalamb audit verify finds what is not as it was")
	}
	return p, nil
}

// folded is what the checkpoints up to one say, of the trees that there were at an earlier one.
type folded struct {
	trees  map[treeID]*grown
	gone   []wire.AuditGone
	needed map[int64][]byte // signed checkpoints, by their numbers
}

// grown is a tree as two checkpoints have it.
type grown struct{ from, to signedHead }

// fold reads the checkpoints in the log: each names only what has grown since the one before.
func (k *Keeper) fold(ctx context.Context, from, to int64, topic string) (*folded, error) {
	f := &folded{trees: map[treeID]*grown{}, gone: []wire.AuditGone{}, needed: map[int64][]byte{}}
	raw := map[int64][]byte{} // of those that say what a tree is; others may be many
	last := int64(0)
	err := readCheckpoints(ctx, k.Log, 0, k.check, func(c *Signed, at int64, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("the checkpoint at %s/0@%d %w", function.TopicCheckpoints, at, err)
		case c.seq > to:
			return errEnough
		case c.seq <= last: // it is there twice
			return nil
		}
		last = c.seq
		raw[c.seq] = c.raw
		for i := range c.head {
			h := &c.head[i]
			if g := f.trees[h.id]; g != nil {
				g.to = signedHead{*h, c.seq, c.time}
				if c.seq <= from {
					g.from = g.to
				}
			} else if c.seq <= from && (topic == "" || h.topic == topic) {
				one := signedHead{*h, c.seq, c.time}
				f.trees[h.id] = &grown{one, one}
			}
		}
		for _, gone := range c.gone {
			there := false
			for id := range f.trees {
				if id.topicID == gone.topicID {
					delete(f.trees, id)
					there = true
				}
			}
			if there && c.seq > from {
				f.gone = append(f.gone, wire.AuditGone{TopicID: gone.topicID, Checkpoint: c.seq})
			}
		}
		if len(raw) > 2*len(f.trees)+1000 {
			f.forget(raw, from)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if last != to {
		return nil, fmt.Errorf("read %s: checkpoint %d is not there", function.TopicCheckpoints, to)
	}
	f.forget(raw, from)
	f.needed = raw
	return f, nil
}

// forget drops the checkpoints that nothing is proved with: all but those that say what a tree is, or that a topic is gone, and the two ends.
func (f *folded) forget(raw map[int64][]byte, from int64) {
	keep := map[int64]bool{from: true}
	last := int64(0)
	for seq := range raw {
		last = max(last, seq)
	}
	keep[last] = true
	for _, g := range f.trees {
		keep[g.from.seq], keep[g.to.seq] = true, true
	}
	for _, g := range f.gone {
		keep[g.Checkpoint] = true
	}
	maps.DeleteFunc(raw, func(seq int64, _ []byte) bool { return !keep[seq] })
}

// ProvedGrowth is what an AuditGrowth proves.
type ProvedGrowth struct {
	From, To     int64 // numbers of checkpoints
	FromAt, ToAt time.Time
	Records      int64 // as of From, that are as they were
	Trees        int   // partitions that these are in
	Topics       []string
	Gone         []string // topics that were deleted
	Key          string   // NAME+HASH of who signed
}

// CheckGrowth says what a proof of growth proves; an error says why it proves nothing. It needs no node.
func CheckGrowth(p *wire.AuditGrowth, key note.Verifier) (*ProvedGrowth, error) {
	g, err := checkGrowth(p, key)
	if err != nil {
		return nil, fault.New(fault.Conflict, "the proof does not hold: %w", err)
	}
	return g, nil
}

func checkGrowth(p *wire.AuditGrowth, key note.Verifier) (*ProvedGrowth, error) {
	if p.From < 1 || p.From >= p.To {
		return nil, fmt.Errorf("its checkpoint %d is not before %d", p.From, p.To)
	}
	of := map[int64]*Signed{}
	for _, text := range p.Checkpoints {
		c, err := openCheckpoint([]byte(text), key)
		if err != nil {
			return nil, fmt.Errorf("one of its checkpoints %w", err)
		}
		if of[c.seq] != nil {
			return nil, fmt.Errorf("checkpoint %d is in it twice", c.seq)
		}
		of[c.seq] = c
	}
	from, to := of[p.From], of[p.To]
	if from == nil || to == nil {
		return nil, fmt.Errorf("one of the checkpoints %d and %d is not in it", p.From, p.To)
	}
	out := &ProvedGrowth{From: p.From, To: p.To, FromAt: from.time, ToAt: to.time, Key: keyText(key.Name(), key.KeyHash())}
	before, after, deleted := headsIn(of, p.From), headsIn(of, p.To), map[string]bool{}
	for _, g := range p.Gone {
		c := of[g.Checkpoint]
		if c == nil || c.seq <= p.From || c.seq > p.To {
			return nil, fmt.Errorf("it says that a topic was deleted by checkpoint %d, which is not in it between the two", g.Checkpoint)
		}
		i := slices.IndexFunc(c.gone, func(o gone) bool { return o.topicID == g.TopicID })
		if i < 0 {
			return nil, fmt.Errorf("checkpoint %d does not say that a topic with the id %q was deleted", g.Checkpoint, fault.Clip(g.TopicID))
		}
		deleted[g.TopicID] = true
		out.Gone = append(out.Gone, c.gone[i].topic)
	}
	for i := range p.Trees {
		t := &p.Trees[i]
		id := treeID{t.TopicID, t.Partition}
		a, b := before[id], after[id]
		// What the checkpoints in the proof say last counts, whatever it would rather have.
		if a == nil || b == nil || a.seq != t.From || b.seq != t.To {
			return nil, fmt.Errorf("partition %d of a topic with the id %q is not what checkpoints %d and %d say last", t.Partition, fault.Clip(t.TopicID), t.From, t.To)
		}
		if p.Topic != "" && b.topic != p.Topic {
			return nil, fmt.Errorf("it is of the topic %q, and has a tree of %s", fault.Clip(p.Topic), b.topic)
		}
		if err := checkTree(t, a, b); err != nil {
			return nil, err
		}
		delete(before, id)
		out.Trees++
		out.Records += a.size
		out.Topics = append(out.Topics, b.topic)
	}
	for id, h := range before {
		if h.seq == p.From && !deleted[id.topicID] && (p.Topic == "" || p.Topic == h.topic) {
			return nil, fmt.Errorf("checkpoint %d has %d records of %s/%d, of which it says nothing", h.seq, h.size, h.topic, id.partition)
		}
	}
	slices.Sort(out.Topics)
	out.Topics = slices.Compact(out.Topics)
	return out, nil
}

// headsIn are the trees as the checkpoints up to one say last.
func headsIn(of map[int64]*Signed, to int64) map[treeID]*signedHead {
	out := map[treeID]*signedHead{}
	for _, seq := range slices.Sorted(maps.Keys(of)) {
		if c := of[seq]; seq <= to {
			for i := range c.head {
				out[c.head[i].id] = &signedHead{c.head[i], seq, c.time}
			}
		}
	}
	return out
}

// checkTree says whether the one tree begins with the other.
func checkTree(t *wire.AuditGrown, a, b *signedHead) error {
	if a.seq == b.seq {
		return nil
	}
	if len(t.Hashes) > 128 {
		return fmt.Errorf("it has %d hashes of %s/%d, more than any tree needs", len(t.Hashes), b.topic, t.Partition)
	}
	hashes := make(tlog.TreeProof, len(t.Hashes))
	for i, h := range t.Hashes {
		if len(h) != tlog.HashSize {
			return fmt.Errorf("a hash has %d bytes, and not %d", len(h), tlog.HashSize)
		}
		hashes[i] = tlog.Hash(h)
	}
	if a.size > b.size || tlog.CheckTree(hashes, b.size, b.root, a.size, a.root) != nil {
		return fmt.Errorf("the %d records of %s/%d in checkpoint %d are not the first of the %d in checkpoint %d", a.size, b.topic, t.Partition, a.seq, b.size, b.seq)
	}
	return nil
}
