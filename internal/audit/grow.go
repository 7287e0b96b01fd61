package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// tree is one that this node lets grow.
type tree struct {
	id    treeID
	topic string
	files files
	front frontier
	next  int64 // the offset to read on from
	safe  int64 // so many leaves are durable
	torn  bool  // its files may have half of what it has
	fast  bool  // when it was looked at last, the log had many records for it
}

// openTree reads what is kept of a tree that was signed, or of a new one (signed = nil). What is beyond the signed part goes, and comes again from the log:
// nobody was told of it, it may not be whole where the node was killed, and a log that was restored may have other records there.
func openTree(dir string, id treeID, topic string, signed *head) (*tree, error) {
	t := &tree{id: id, topic: topic, files: treeFiles(dir, id.topicID, id.partition)}
	if err := os.MkdirAll(filepath.Dir(t.files.leaves), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of leaves: %w", err)
	}
	leaves, tiles, err := t.files.kept()
	if err != nil {
		return nil, fmt.Errorf("look for leaves: %w", err)
	}
	if signed != nil {
		if leaves < signed.size {
			return nil, fmt.Errorf("%s has %d leaves, and %d were signed", t.files.leaves, leaves, signed.size)
		}
		if tiles < signed.size/tileWidth {
			return nil, fmt.Errorf("%s has %d tiles, and %d were signed", t.files.tiles, tiles, signed.size/tileWidth)
		}
		if t.front, err = frontierAt(signed.size, t.files); err != nil {
			return nil, err
		}
		if t.front.root() != signed.root {
			return nil, fmt.Errorf("the leaves of %s/%d do not make the tree that was signed", topic, id.partition)
		}
		t.next, t.safe = signed.end, signed.size
	}
	for path, size := range map[string]int64{t.files.leaves: t.front.n * entrySize, t.files.tiles: t.front.n / tileWidth * tlog.HashSize} {
		if err := os.Truncate(path, size); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("cut what was not signed: %w", err)
		}
	}
	return t, nil
}

// add takes more leaves. The files have them when it returns, and disks by the next sync. What it writes is put together in buf, which it gives back.
func (t *tree) add(es []entry, buf []byte) ([]byte, error) {
	if len(es) == 0 {
		return buf, nil
	}
	buf = slices.Grow(buf[:0], len(es)*entrySize)
	var tiles []byte
	for i := range es {
		buf = appendEntry(buf, &es[i])
		if tile, full := t.front.add(es[i].hash); full {
			tiles = append(tiles, tile[:]...)
		}
	}
	t.torn = true
	if err := appendFile(t.files.leaves, buf); err != nil {
		return buf, fmt.Errorf("keep leaves: %w", err)
	}
	if err := appendFile(t.files.tiles, tiles); err != nil {
		return buf, fmt.Errorf("keep tiles: %w", err)
	}
	t.torn = false
	t.next = es[len(es)-1].offset + 1
	return buf, nil
}

func appendFile(path string, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// sync makes the files durable, and their names when they are new.
func (t *tree) sync() error {
	if t.safe == t.front.n {
		return nil
	}
	if err := syncPath(t.files.leaves); err != nil {
		return err
	}
	tiles := t.front.n / tileWidth
	if tiles > t.safe/tileWidth {
		if err := syncPath(t.files.tiles); err != nil {
			return err
		}
	}
	if t.safe == 0 || t.safe < tileWidth && tiles > 0 {
		if err := syncPath(filepath.Dir(t.files.leaves)); err != nil {
			return err
		}
	}
	t.safe = t.front.n
	return nil
}

// head is the tree as it is now.
func (t *tree) head() head {
	return head{id: t.id, topic: t.topic, size: t.front.n, end: t.next, root: t.front.root()}
}

// step is how many records of one tree are read before others have their turn, and who asks for a proof.
const step = 100_000

// atOnce is how many leaves are put into a file together: to open a file for those of each read took as long as a fifth of the hashing.
const atOnce = 1 << 14

// follow reads what the log has behind the tree's last leaf, about a step of it. What was read well ahead of an error is in the tree.
func (t *tree) follow(ctx context.Context, log Log, h *hasher) (records int, err error) {
	p := eventlog.Partition{Topic: t.topic, ID: t.id.partition}
	b, err := log.Bounds(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	if b.End < t.next {
		return 0, &cutError{p, b.End, t.next}
	}
	for more := true; more && err == nil && records < step; {
		var es []entry
		es, err = h.leaves(ctx, log, p, t.id.topicID, t.next, b.End)
		more = len(es) >= atOnce
		var kept error
		if h.file, kept = t.add(es, h.file); kept != nil {
			return records, kept
		}
		records += len(es)
	}
	return records, err
}

// leaves are those of the records in [from, to) that are read next, about atOnce, and all of them where they are fewer. They are the hasher's own when
// it is asked again. Those that come with an error are of reads that went well.
func (h *hasher) leaves(ctx context.Context, log Log, p eventlog.Partition, topicID string, from, to int64) ([]entry, error) {
	h.entries = h.entries[:0]
	for from < to && len(h.entries) < atOnce {
		read := len(h.entries)
		n, err := eventlog.Lend(ctx, log, p, from, eventlog.ReadOptions{NoWait: true, TopicID: topicID}, func(r *eventlog.Record) {
			h.entries = append(h.entries, entry{r.Offset, h.leaf(topicID, r)})
		})
		if err != nil {
			return h.entries[:read], fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if n == 0 {
			break
		}
		from = h.entries[len(h.entries)-1].offset + 1
	}
	return h.entries, nil
}

// cutError: the log is shorter than what has been seen of it.
type cutError struct {
	p         eventlog.Partition
	end, next int64
}

func (e *cutError) Error() string {
	return fmt.Sprintf("%s/%d ends at offset %d, and records up to %d were there", e.p.Topic, e.p.ID, e.end, e.next)
}
