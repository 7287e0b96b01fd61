package history

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// probe is an index that a scan goes through.
type probe struct {
	term
	name  uint32 // where named: only entries that hold it
	named bool
}

// scan goes through the rows of some indexes of a table, newest first.
type scan struct {
	table  *table
	snap   *pebble.Snapshot // keeps the indexes and the rows of one moment together
	probes []walk
	tail   []byte // of the index key that led to the row: <newest first> <id>
	id     string
	row    row
	err    error
}

// walk is where a scan stands in one index.
type walk struct {
	probe
	prefix int
	it     *pebble.Iterator
}

// newScan makes a scan of what q says of time and page.
func (h *History) newScan(t *table, q Query, probes []probe) (*scan, error) {
	s := &scan{table: t, snap: h.db.NewSnapshot()}
	for _, p := range probes {
		prefix := t.termPrefix(p.term)
		from, to, err := q.bounds(prefix)
		if err == nil {
			w := walk{probe: p, prefix: len(prefix)}
			if w.it, err = s.snap.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to}); err == nil {
				s.probes = append(s.probes, w)
				w.it.First()
				w.settle()
				continue
			}
			err = fmt.Errorf("scan history: %w", err)
		}
		s.close()
		return nil, err
	}
	return s, nil
}

// bounds are those of the keys with a prefix that q wants.
func (q *Query) bounds(prefix []byte) (from, to []byte, err error) {
	from, to = prefix, after(prefix)
	if !q.Before.IsZero() {
		from = binary.BigEndian.AppendUint64(bytes.Clone(prefix), newestFirst(q.Before.Add(-time.Millisecond)))
	}
	if !q.Since.IsZero() {
		to = after(binary.BigEndian.AppendUint64(bytes.Clone(prefix), newestFirst(q.Since)))
	}
	if q.After == "" {
		return from, to, nil
	}
	c, err := decodeCursor(q.After)
	if err != nil {
		return nil, nil, err
	}
	next := append(bytes.Clone(prefix), c.tail...)
	if c.runs == 0 {
		next = append(next, 0)
	}
	if bytes.Compare(next, from) > 0 {
		from = next
	}
	return from, to, nil
}

// settle moves on to an entry that holds the name.
func (w *walk) settle() {
	for w.named && w.it.Valid() && !holds(w.it.Value(), w.name) {
		w.it.Next()
	}
}

// next goes to the next row, and returns false when there is none or err is set.
func (s *scan) next() bool {
	for s.err == nil {
		var first *walk
		for i := range s.probes {
			w := &s.probes[i]
			if w.it.Valid() && (first == nil || bytes.Compare(w.it.Key()[w.prefix:], first.it.Key()[first.prefix:]) < 0) {
				first = w
			}
		}
		if first == nil {
			s.err = s.failed()
			return false
		}
		s.tail = append(s.tail[:0], first.it.Key()[first.prefix:]...)
		s.id = string(s.tail[8:])
		first.it.Next()
		first.settle()
		var found bool
		s.row, found, s.err = s.table.get(s.snap, s.id)
		if s.err == nil && found && s.row.newest() == binary.BigEndian.Uint64(s.tail) {
			return true
		}
	}
	return false
}

func (s *scan) failed() error {
	for _, w := range s.probes {
		if err := w.it.Error(); err != nil {
			return fmt.Errorf("scan history: %w", err)
		}
	}
	return nil
}

func (s *scan) close() {
	for _, w := range s.probes {
		_ = w.it.Close() // what it has to say, failed has said
	}
	_ = s.snap.Close()
}
