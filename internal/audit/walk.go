package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// walk compares one partition with its leaves, and these with what was signed.
//
// Two trees grow on the way: one of the leaves as they are kept, one of the records as they are. Where the first has the root that was signed, the leaves are
// right, and a record that differs from its leaf was changed. Where the second has it, the leaf was. Where neither has it, somebody has changed both.
type walk struct {
	v     *verifier
	topic eventlog.Topic
	id    treeID
	heads []signedHead
	files files

	bounds   eventlog.Bounds
	cursor   cursor
	byLeaf   frontier
	byRecord frontier
	suspects []int64 // offsets of records that are not what their leaves are of, and no root has said which of both is right
	spoilt   bool    // a leaf was damaged, and its record cannot stand in for it
	lost     bool    // a root did not fit, so none behind it will
	good     int64   // the end of what fitted last
	tiles    []tlog.Hash
	hasher   hasher
}

func (w *walk) run(ctx context.Context) error {
	p := eventlog.Partition{Topic: w.topic.Name, ID: w.id.partition}
	var err error
	w.bounds, err = w.v.Log.Bounds(ctx, p)
	switch {
	case err == nil:
	case ctx.Err() != nil || fault.KindOf(err) == fault.NotFound || away(err):
		return fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	default: // of the others it is known
		w.v.report.Trees++
		w.find(unreadable, -1, -1, "none of its records is compared: "+firstLine(err))
		return nil
	}
	leaves, tiles, err := w.files.kept()
	if err != nil {
		return fmt.Errorf("look for leaves: %w", err)
	}
	if tiles = min(tiles, leaves/tileWidth); tiles > 0 {
		if w.tiles, err = w.files.tileHashes(0, tiles); err != nil {
			return err
		}
	}
	if leaves > 0 || len(w.heads) > 0 {
		w.v.report.Trees++
	}
	w.cursor = cursor{log: w.v.Log, p: p, topicID: w.id.topicID, end: w.bounds.End}
	next := int64(0) // the offset behind the last leaf
	if leaves > 0 {
		err = w.files.entries(0, leaves, func(i int64, e entry, ok bool) error {
			if err := w.one(ctx, i, next, &e, ok); err != nil {
				return err
			}
			next = e.offset + 1
			return nil
		})
		if err != nil {
			return err
		}
	}
	w.ends(leaves, next)
	for _, o := range w.suspects {
		w.find(recordChanged, o, o, "the record is not the one that was hashed; no checkpoint says which of both is right")
	}
	for {
		r, err := w.cursor.peek(ctx, next)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			if err := w.unreadable(ctx, next, err); err != nil {
				return err
			}
		} else if r == nil {
			return nil
		} else {
			w.v.report.Unhashed++
			next = r.Offset
		}
		next++
	}
}

// one looks at leaf i, whose record stands at or behind from.
func (w *walk) one(ctx context.Context, i, from int64, e *entry, ok bool) error {
	if !ok || e.offset < from {
		w.find(leafDamaged, from, from, fmt.Sprintf("leaf %d, that of the record at or behind this offset, is not as it was kept", i))
		e.offset = from // where the next record stands, if none is missing
	}
	for { // what stands before it was not there when it was hashed
		r, err := w.cursor.peek(ctx, from)
		if err != nil || r == nil || r.Offset >= e.offset {
			break
		}
		if i == 0 {
			w.v.report.Unhashed++
		} else {
			w.find(recordAdded, r.Offset, r.Offset, "the record was not there when those around it were hashed")
		}
		from = r.Offset + 1
	}
	r, err := w.cursor.peek(ctx, e.offset)
	if ctx.Err() != nil {
		return err
	}
	byRecord := e.hash
	switch {
	case err != nil:
		if err := w.unreadable(ctx, e.offset, err); err != nil {
			return err
		}
	case r != nil && r.Offset == e.offset:
		byRecord = w.hasher.leaf(w.id.topicID, r)
		w.v.report.Records++
		if ok && byRecord != e.hash {
			w.suspects = append(w.suspects, e.offset)
		}
	case e.offset < w.bounds.Start:
		w.v.report.Retired++
	case e.offset >= w.bounds.End:
		w.find(logCut, e.offset, e.offset, fmt.Sprintf("the log ends at offset %d, and the record was there", w.bounds.End))
	case w.topic.Compact:
		w.v.report.Compacted++
	default:
		w.find(recordMissing, e.offset, e.offset, "the record is not there")
	}
	if !ok {
		w.spoilt = w.spoilt || err != nil || r == nil || r.Offset != e.offset
		e.hash = byRecord
	}
	w.byRecord.add(byRecord)
	if tile, full := w.byLeaf.add(e.hash); full {
		w.tile(i/tileWidth, tile, e.offset)
	}
	w.roots(i+1, e.offset+1)
	return nil
}

// tile compares the hash that is kept of a tile whose last record stands at an offset.
func (w *walk) tile(n int64, hash tlog.Hash, last int64) {
	if n < int64(len(w.tiles)) && w.tiles[n] != hash && !w.spoilt {
		w.find(leafDamaged, -1, -1, fmt.Sprintf("the hash that is kept of tile %d, which ends with the record at offset %d, is not that of its leaves", n, last))
	}
}

// roots compares the trees with the checkpoints that have this size.
func (w *walk) roots(size, end int64) {
	for len(w.heads) > 0 && w.heads[0].size == size {
		h := w.heads[0]
		w.heads = w.heads[1:]
		switch {
		case w.lost:
		case w.byLeaf.root() == h.root && h.end == end:
			for _, o := range w.suspects {
				w.find(recordChanged, o, o, fmt.Sprintf("the record is not the one that checkpoint %d was signed of", h.seq))
			}
			w.trust(w.byLeaf, end)
		case w.byRecord.root() == h.root && h.end == end:
			for _, o := range w.suspects {
				w.find(leafDamaged, o, o, fmt.Sprintf("the leaf of this record is not the one that checkpoint %d was signed of; the record is", h.seq))
			}
			w.trust(w.byRecord, end)
		default:
			w.lost = true
			what := fmt.Sprintf("records or leaves of this stretch are not those that checkpoint %d was signed of, %s", h.seq, clock(h.signed))
			if w.spoilt {
				what += "; a leaf in it is damaged whose record is gone"
			}
			w.find(rewritten, w.good, h.end-1, what)
		}
	}
}

// trust lets both trees go on with the one that was signed.
func (w *walk) trust(f frontier, end int64) {
	w.suspects = nil
	w.good = end
	w.byLeaf = frontier{f.n, slices.Clone(f.hashes)}
	w.byRecord = frontier{f.n, slices.Clone(f.hashes)}
}

// ends compares the ends with what was signed beyond them.
func (w *walk) ends(leaves, next int64) {
	signed := int64(0)
	if all := w.v.heads[w.id]; len(all) > 0 {
		last := &all[len(all)-1]
		signed = last.size
		if last.size > leaves {
			w.find(leafMissing, next, last.end-1, fmt.Sprintf("checkpoint %d has %d records, and the leaves of %d are kept", last.seq, last.size, leaves))
		}
		if last.end > w.bounds.End {
			w.find(logCut, w.bounds.End, last.end-1, fmt.Sprintf("the log ends at offset %d, and checkpoint %d has records up to %d", w.bounds.End, last.seq, last.end))
		}
	}
	w.v.report.Unsigned += max(0, leaves-signed)
}

// unreadable adds a finding about a record. That of the next one is the same where the cause is, so the message does not say where it stands: the finding does.
// Its error is that the log does not answer at all, which says nothing of its records.
func (w *walk) unreadable(ctx context.Context, offset int64, err error) error {
	if w.v.silent(ctx, w.cursor.p, err) {
		return err
	}
	w.find(unreadable, offset, offset, "cannot be read: "+strings.TrimPrefix(firstLine(err), fmt.Sprintf("read %s/%d at %d: ", w.topic.Name, w.id.partition, offset)))
	return nil
}

// firstLine is what an error says to people: an engine may add lines about its own inside.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// find adds a finding, to the one before where it is the same of the next offset.
func (w *walk) find(kind string, from, to int64, what string) {
	fs := w.v.report.Findings
	if n := len(fs); n > 0 && from >= 0 {
		if l := &fs[n-1]; l.Kind == kind && l.What == what && l.Topic == w.topic.Name && l.Partition == w.id.partition && l.To+1 == from {
			l.To = to
			return
		}
	}
	w.v.report.Findings = append(fs, wire.AuditFinding{Kind: kind, Topic: w.topic.Name, Partition: w.id.partition, Offset: from, To: to, What: what})
}

// cursor reads a partition forwards.
type cursor struct {
	log     Reader
	p       eventlog.Partition
	topicID string
	end     int64

	buf    []eventlog.Record
	single int // so many reads are of one record: near to what cannot be read
}

// peek is the first record at or behind an offset, which never goes back; nil behind the last one. An error is about the record at the offset: who asks for
// the next one may get it.
func (c *cursor) peek(ctx context.Context, offset int64) (*eventlog.Record, error) {
	for len(c.buf) > 0 && c.buf[0].Offset < offset {
		c.buf = c.buf[1:]
	}
	if len(c.buf) > 0 {
		return &c.buf[0], nil
	}
	if offset >= c.end {
		return nil, nil
	}
	o := eventlog.ReadOptions{NoWait: true, TopicID: c.topicID}
	if c.single > 0 {
		o.MaxRecords = 1
		c.single--
	}
	rs, err := c.log.Read(ctx, c.p, offset, o)
	if err != nil && o.MaxRecords != 1 {
		c.single = 2 * 1000
		o.MaxRecords = 1
		rs, err = c.log.Read(ctx, c.p, offset, o)
	}
	if err != nil {
		return nil, err
	}
	c.buf = rs
	if len(rs) == 0 {
		return nil, nil
	}
	return &c.buf[0], nil
}
