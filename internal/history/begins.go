package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	leastBegin = 4  // characters of an id that may stand for all of it, as with commits of git
	wholeID    = 36 // characters of the id of a run, which is a UUID
	maxAlike   = 5  // ids that are named where several begin so
	// begunBytes bounds the documents that are looked through for a run that is kept together with others: some twenty thousand runs.
	begunBytes = 4 << 20
)

// RunID is the id of the one run whose id is, or begins with, what is given. Invalid when several begin so, NotFound when none does. Of runs that are kept
// together because all of a batch succeeded, only the newest are looked at, and only for a text that BeginsRun.
func (h *History) RunID(ctx context.Context, begin string) (string, error) {
	byID := h.RunByID
	if BeginsRun(begin) { // no whole id, so that none of many is looked for by it
		byID = func(id string) (*function.Run, error) { return one[function.Run](h, runsTable(), id, "run") }
	}
	r, err := byID(begin)
	if err == nil {
		return r.ID, nil
	}
	if fault.KindOf(err) != fault.NotFound || !short(begin) {
		return "", err
	}
	ids, lookErr := h.beginning(runsTable(), begin)
	if lookErr == nil && BeginsRun(begin) && len(ids) <= maxAlike {
		ids, lookErr = h.beginningOfMany(ctx, begin, ids)
	}
	if lookErr != nil {
		return "", lookErr
	}
	return theOne(ids, begin, "run", err)
}

// BeginsRun says that a text may be the beginning of a run's id, and is not all of it: of a UUID as event.HashID writes it. RunID looks among many runs for it.
func BeginsRun(text string) bool {
	if !short(text) {
		return false
	}
	for i, c := range []byte(text) {
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash && c != '-', !dash && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f'):
			return false
		}
	}
	return true
}

// short says that a text is long enough to stand for an id, and too short to be one.
func short(begin string) bool {
	return len(begin) >= leastBegin && len(begin) < wholeID && !many(begin)
}

// DeadLetterID is RunID for dead letters.
func (h *History) DeadLetterID(begin string) (string, error) {
	d, err := h.DeadLetter(begin)
	if err == nil {
		return d.Run.ID, nil
	}
	if fault.KindOf(err) != fault.NotFound || !short(begin) {
		return "", err
	}
	ids, lookErr := h.beginning(deadTable(), begin)
	if lookErr != nil {
		return "", lookErr
	}
	return theOne(ids, begin, "dead letter", err)
}

// theOne is the only id of those that begin so; none is the error where there is none.
func theOne(ids []string, begin, what string, none error) (string, error) {
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

// manyIDs is what of a function.RunBatch names its runs.
type manyIDs struct {
	Run struct {
		ID string `json:"id"`
	} `json:"run"`
	Others []struct {
		ID string `json:"id"`
	} `json:"others"`
}

// beginningOfMany adds the runs of batches that begin so. A document is decoded only where some text of it begins so: an id has nothing that JSON would escape.
func (h *History) beginningOfMany(ctx context.Context, begin string, ids []string) ([]string, error) {
	s, err := h.newScan(runsTable(), Query{}, []probe{{term: term{index: indexNames}}})
	if err != nil {
		return nil, err
	}
	defer s.close()
	text := []byte(`"` + begin)
	for looked := 0; looked < begunBytes && s.next(); {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("scan history: %w", err)
		}
		looked += len(s.row.doc)
		if !bytes.Contains(s.row.doc, text) {
			continue
		}
		var all manyIDs
		if err := json.Unmarshal(s.row.doc, &all); err != nil {
			return nil, fmt.Errorf("decode batch of runs: %w", err)
		}
		add := func(id string) {
			if strings.HasPrefix(id, begin) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		add(all.Run.ID)
		for i := range all.Others {
			if add(all.Others[i].ID); len(ids) > maxAlike {
				return ids, nil
			}
		}
	}
	return ids, s.err
}
