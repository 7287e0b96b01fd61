package history

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/fault"
)

const (
	leastBegin = 4  // characters of an id that may stand for all of it, as with commits of git
	wholeID    = 36 // characters of the id of a run, which is a UUID
	maxAlike   = 5  // ids that are named where several begin so
)

// RunID is the id of the one run whose id is, or begins with, what is given. Invalid when several begin so, NotFound when none does. Of runs that are kept
// together because all of a batch succeeded, only the newest are looked at.
func (h *History) RunID(begin string) (string, error) {
	r, err := h.RunByID(begin)
	if err == nil {
		return r.ID, nil
	}
	if fault.KindOf(err) != fault.NotFound {
		return "", err
	}
	return h.theOne(runsTable(), begin, "run", err)
}

// DeadLetterID is RunID for dead letters.
func (h *History) DeadLetterID(begin string) (string, error) {
	d, err := h.DeadLetter(begin)
	if err == nil {
		return d.Run.ID, nil
	}
	if fault.KindOf(err) != fault.NotFound {
		return "", err
	}
	return h.theOne(deadTable(), begin, "dead letter", err)
}

func (h *History) theOne(t *table, begin, what string, none error) (string, error) {
	if len(begin) < leastBegin || len(begin) >= wholeID || many(begin) {
		return "", none
	}
	ids, err := h.beginning(t, begin)
	if err != nil {
		return "", err
	}
	if t.letter == runsTable().letter && len(ids) <= maxAlike {
		if ids, err = h.beginningOfMany(begin, ids); err != nil {
			return "", err
		}
	}
	switch {
	case len(ids) == 0:
		return "", none
	case len(ids) == 1:
		return ids[0], nil
	}
	slices.Sort(ids)
	more := ""
	if len(ids) > maxAlike {
		ids, more = ids[:maxAlike], ", ..."
	}
	return "", fault.New(fault.Invalid, "the id of more than one %s begins with %q", what, fault.Clip(begin)).WithHint("say more of it: %s%s", strings.Join(ids, ", "), more)
}

// beginning are the ids of rows of a table that begin so, one more at most than are named.
func (h *History) beginning(t *table, begin string) (ids []string, err error) {
	from := t.rowKey(begin)
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(from)})
	if err != nil {
		return nil, fmt.Errorf("scan history: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid() && len(ids) <= maxAlike; it.Next() {
		ids = append(ids, string(it.Key()[len(t.rowKey("")):]))
	}
	return ids, it.Error()
}

// beginningOfMany adds the runs of batches that begin so.
func (h *History) beginningOfMany(begin string, ids []string) ([]string, error) {
	s, err := h.newScan(runsTable(), Query{}, []probe{{term: term{index: indexNames}}})
	if err != nil {
		return nil, err
	}
	defer s.close()
	for looked := 0; looked < maxScan && s.next(); {
		all, err := runsOf(s.id, s.row.doc)
		if err != nil {
			return nil, err
		}
		looked += len(all)
		for _, r := range all {
			if strings.HasPrefix(r.ID, begin) && !slices.Contains(ids, r.ID) {
				if ids = append(ids, r.ID); len(ids) > maxAlike {
					return ids, nil
				}
			}
		}
	}
	return ids, s.err
}
