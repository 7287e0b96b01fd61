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

// growthBounds are what a proof of growth may cost.
type growthBounds struct {
	reach int64 // how many checkpoints before the earlier one are looked through for what that one leaves unsaid, since a tree had not grown
	bytes int   // of checkpoints in a proof
}

// A checkpoint a minute for two weeks; and half of a proof, since checkpoints are longer in JSON and hashes stand beside them.
var usualBounds = growthBounds{reach: 20_000, bytes: maxProof / 2}

// ProveGrowth makes the proof that the trees as of checkpoint from are in those as of checkpoint to, unchanged; those of one topic where one is named.
func (k *Keeper) ProveGrowth(ctx context.Context, from, to int64, topic string) (*wire.AuditGrowth, error) {
	return k.proveGrowth(ctx, from, to, topic, usualBounds)
}

func (k *Keeper) proveGrowth(ctx context.Context, from, to int64, topic string, bounds growthBounds) (*wire.AuditGrowth, error) {
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
	f, err := k.fold(ctx, from, to, topic, bounds)
	if err != nil {
		return nil, err
	}
	if topic != "" && len(f.before) == 0 {
		return nil, fault.New(fault.NotFound, "no record of %s is in checkpoint %d, or in one that is near enough before it", topic, from).
			WithHint("a proof begins with the checkpoint in which the topic had last grown; docs/audit.md says how far back that may be")
	}
	p := &wire.AuditGrowth{Form: wire.AuditGrowthForm, From: from, To: to, Topic: topic, Checkpoints: f.chain, Trees: []wire.AuditGrown{}, Gone: f.gone}
	for _, id := range slices.SortedFunc(maps.Keys(f.before), compareTrees) {
		a, b := f.before[id], f.after[id]
		if b == nil { // it was deleted
			continue
		}
		one := wire.AuditGrown{TopicID: id.topicID, Partition: id.partition, From: a.at, To: b.at, Hashes: [][]byte{}}
		if a.at != b.at {
			hashes, err := tlog.ProveTree(b.size, a.size, treeFiles(k.Dir, id.topicID, id.partition))
			if err != nil {
				return nil, fmt.Errorf("prove the growth of %s/%d: %w", b.topic, id.partition, err)
			}
			for _, h := range hashes {
				one.Hashes = append(one.Hashes, h[:])
			}
		}
		p.Trees = append(p.Trees, one)
	}
	if _, err := checkGrowth(p, key); err != nil {
		return nil, noGrowth(from, to, err)
	}
	return p, nil
}

// noGrowth: what is changed is for verify to tell, and no proof.
func noGrowth(from, to int64, err error) error {
	return fault.New(fault.Conflict, "no proof can be made from checkpoint %d to %d: %w", from, to, err).WithHint("dalamb audit verify finds what is not as it was")
}

// folded is what a row of checkpoints says: heads have the number of the checkpoint that says so as their at.
type folded struct {
	before map[treeID]*head // as of the earlier one of two
	after  map[treeID]*head // as of the later one
	gone   []wire.AuditGone // topics in before that were deleted since
	chain  []string         // signed, each behind the one that it names: of all in before, and up to the later one
}

// fold reads the checkpoints in the log that a proof needs. Trees in before that the bounds leave no room for are not in it.
func (k *Keeper) fold(ctx context.Context, from, to int64, topic string, bounds growthBounds) (*folded, error) {
	f := &folded{gone: []wire.AuditGone{}}
	var s *state
	first, size := int64(0), 0 // the number of the first in the chain; its bytes
	drop := func() {
		size -= len(f.chain[0])
		f.chain = f.chain[1:]
		first++
	}
	// Each checkpoint has a record, so number N stands at N-1 or behind it.
	err := readCheckpoints(ctx, k.Log, max(0, from-1-bounds.reach), k.check, func(c *Signed, at int64, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("the checkpoint at %s/0@%d %w", function.TopicCheckpoints, at, err)
		case c.seq > to:
			return errEnough
		case s == nil:
			s, first = &state{seq: c.seq - 1, last: c.prev}, c.seq
		case c.seq <= s.seq: // it is there twice
			return nil
		}
		if err := s.take(c, c.seq); err != nil {
			return noGrowth(from, to, err)
		}
		f.chain = append(f.chain, string(c.raw))
		for size += len(c.raw); size > bounds.bytes; drop() {
			if first >= from {
				return fault.New(fault.TooLarge, "the proof would have more than %d MiB of checkpoints", bounds.bytes>>20).
					WithHint("prove it in steps: from the first checkpoint to one between, and from that one on")
			}
		}
		switch {
		case c.seq == from:
			f.before = maps.Clone(s.trees)
			maps.DeleteFunc(f.before, func(_ treeID, h *head) bool { return topic != "" && h.topic != topic })
		case c.seq > from:
			f.takeGone(c)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if s == nil || s.seq != to || f.before == nil {
		return nil, fmt.Errorf("read %s: one of the checkpoints %d to %d is not there", function.TopicCheckpoints, from, to)
	}
	f.after = s.trees
	needed := from
	for id, h := range f.before {
		if h.at < first {
			delete(f.before, id)
		} else {
			needed = min(needed, h.at)
		}
	}
	for first < needed {
		drop()
	}
	return f, nil
}

func (f *folded) takeGone(c *Signed) {
	for _, gone := range c.gone {
		for id := range f.before {
			if id.topicID == gone.topicID {
				f.gone = append(f.gone, wire.AuditGone{TopicID: gone.topicID, Checkpoint: c.seq})
				break
			}
		}
	}
}

// ProvedGrowth is what an AuditGrowth proves.
type ProvedGrowth struct {
	From, To     int64 // numbers of checkpoints
	First        int64 // the earliest in the proof, which has all from there to To; of trees that have not grown from it to To nothing is said
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
	row, err := openRow(p, key)
	if err != nil {
		return nil, err
	}
	out := &ProvedGrowth{From: p.From, To: p.To, First: row.first, FromAt: row.from.time, ToAt: row.to.time, Key: keyText(key.Name(), key.KeyHash())}
	deleted := map[string]bool{}
	for _, g := range p.Gone {
		d, ok := row.deleted[g.TopicID]
		if !ok || d.by != g.Checkpoint || d.by <= p.From {
			return nil, fmt.Errorf("its checkpoint %d does not say that a topic with the id %q was deleted", g.Checkpoint, fault.Clip(g.TopicID))
		}
		deleted[g.TopicID] = true
		out.Gone = append(out.Gone, d.topic)
	}
	before, after := row.before, row.after
	for i := range p.Trees {
		t := &p.Trees[i]
		id := treeID{t.TopicID, t.Partition}
		a, b := before[id], after[id]
		// What the checkpoints in the proof say last counts, whatever it would rather have.
		if a == nil || b == nil || a.at != t.From || b.at != t.To {
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
		if !deleted[id.topicID] && (p.Topic == "" || p.Topic == h.topic) {
			return nil, fmt.Errorf("checkpoint %d has %d records of %s/%d, of which it says nothing", h.at, h.size, h.topic, id.partition)
		}
	}
	slices.Sort(out.Topics)
	out.Topics = slices.Compact(out.Topics)
	return out, nil
}

// row is what the checkpoints of a proof say, one behind the other.
type row struct {
	first         int64
	from, to      *Signed
	before, after map[treeID]*head // as of the two; at is the number of the checkpoint that says so
	deleted       map[string]deletion
}

type deletion struct {
	topic string
	by    int64 // the number of the checkpoint that says so
}

// openRow reads them. None between the first and the last may be left out: what that one says of a tree would be hidden, and an older root pass for its last.
func openRow(p *wire.AuditGrowth, key note.Verifier) (*row, error) {
	r := &row{deleted: map[string]deletion{}}
	var s *state
	for _, text := range p.Checkpoints {
		c, err := openCheckpoint([]byte(text), key)
		if err != nil {
			return nil, fmt.Errorf("one of its checkpoints %w", err)
		}
		if s == nil {
			s, r.first = &state{seq: c.seq - 1, last: c.prev}, c.seq
		}
		for i := range c.head {
			if d, ok := r.deleted[c.head[i].id.topicID]; ok {
				return nil, fmt.Errorf("checkpoint %d has records of %s, which checkpoint %d says was deleted", c.seq, c.head[i].topic, d.by)
			}
		}
		if err := s.take(c, c.seq); err != nil {
			return nil, err
		}
		for _, g := range c.gone {
			r.deleted[g.topicID] = deletion{g.topic, c.seq}
		}
		if r.to = c; c.seq == p.From {
			r.from, r.before = c, maps.Clone(s.trees)
		}
	}
	if r.from == nil || s.seq != p.To {
		return nil, fmt.Errorf("its checkpoints do not lead from %d to %d", p.From, p.To)
	}
	r.after = s.trees
	return r, nil
}

// checkTree says whether the one tree begins with the other.
func checkTree(t *wire.AuditGrown, a, b *head) error {
	if a.at == b.at {
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
		return fmt.Errorf("the %d records of %s/%d in checkpoint %d are not the first of the %d in checkpoint %d", a.size, b.topic, t.Partition, a.at, b.size, b.at)
	}
	return nil
}
