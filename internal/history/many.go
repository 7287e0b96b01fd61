package history

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// The runs of a batch of events that all succeeded, of which one record tells, stay together in one row: a row and index entries
// of its own for each would cost many times what running it does. The row's id begins with manyMark, which no run's does, and its
// document is the record's. Two indexes lead to one run of it:
//
// Names: an entry has a hash of each run's and each event's id. Who looks for one reads them all, newest first, which takes some
// hundred nanoseconds for an entry; that is for people. Places: for every stretch of a partition with events of the row an entry
// that has the offsets. Who knows where an event stands reads those of one stretch.

const (
	manyMark = "\x00"
	// manyLeast is how many runs are worth a row together: entries with few names would make the index of names long.
	manyLeast = 8
	// stretch is how many offsets share entries in the index of places.
	stretch = 4096
)

// many says whether the row with this id is about many runs.
func many(id string) bool { return len(id) > 0 && id[:1] == manyMark }

// manyNames is what the index has to know of a function.RunBatch.
type manyNames struct {
	Run    manyFirst  `json:"run"`
	Others []manyName `json:"others"`
}

type manyName struct {
	ID    string `json:"id"`
	Event struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
		ID        string `json:"id"`
	} `json:"event"`
}

// manyFirst is the first run of a batch, which tells what is the same of all.
type manyFirst struct {
	ID string `json:"id"`
	talliedRun
}

// batch folds the runs of a batch, of which nothing else was told and nothing will be. The record itself may come again, as from two owners of one
// partition; then the rows of the one before are replaced, so that no run is counted twice.
func (f *fold) batch(batch *pebble.Batch, r eventlog.Record, e *event.Event) error {
	var names manyNames
	if err := json.Unmarshal(e.Data, &names); err != nil {
		return &notUnderstood{fmt.Errorf("decode batch of runs: %w", err)}
	}
	if names.Run.ID == "" || slices.ContainsFunc(names.Others, func(n manyName) bool { return n.ID == "" }) {
		return &notUnderstood{errors.New("a run without id")}
	}
	if 1+len(names.Others) >= manyLeast {
		return f.told(batch, manyMark+names.Run.ID, row{at: r.Time, partition: r.Partition, offset: r.Offset, doc: e.Data}, names.terms())
	}
	runs, err := decodeMany(e.Data)
	if err != nil {
		return &notUnderstood{err}
	}
	for _, run := range runs {
		doc, err := json.Marshal(run)
		if err != nil {
			return fmt.Errorf("encode run %s: %w", run.ID, err)
		}
		if err := f.told(batch, run.ID, row{at: r.Time, partition: r.Partition, offset: r.Offset, doc: doc}, runTerms(run)); err != nil {
			return err
		}
	}
	return nil
}

// told stores and counts a row of which one record tells all there is.
func (f *fold) told(batch *pebble.Batch, id string, now row, terms []term) error {
	old, found, err := f.table.get(batch, id)
	if err != nil || found && now.offset <= old.offset {
		return err
	}
	if found {
		if err := f.replaced(batch, id, old); err != nil {
			return err
		}
	}
	what, err := tallied(id, now)
	if err != nil {
		return err
	}
	f.happened = append(f.happened, what)
	return f.table.put(batch, id, now, terms)
}

// decodeMany returns the runs of a row of many.
func decodeMany(doc []byte) ([]*function.Run, error) {
	var all function.RunBatch
	if err := json.Unmarshal(doc, &all); err != nil {
		return nil, fmt.Errorf("decode batch of runs: %w", err)
	}
	runs := all.Runs()
	each := make([]*function.Run, len(runs))
	for i := range runs {
		each[i] = &runs[i]
	}
	return each, nil
}

// manyTerms lists the index entries of a stored row of many.
func manyTerms(doc []byte) ([]term, error) {
	var names manyNames
	if err := json.Unmarshal(doc, &names); err != nil {
		return nil, fmt.Errorf("decode batch of runs: %w", err)
	}
	return names.terms(), nil
}

func (m *manyNames) terms() []term {
	names := make([]byte, 0, 8*(1+len(m.Others)))
	places := map[string][]byte{}
	add := func(run, event, topic string, partition int32, offset int64) {
		names = binary.LittleEndian.AppendUint32(names, hashOf(run))
		names = binary.LittleEndian.AppendUint32(names, hashOf(event))
		place := placeTerm(topic, partition, offset).value
		places[place] = binary.LittleEndian.AppendUint32(places[place], uint32(offset))
	}
	first := &m.Run.Event
	add(m.Run.ID, first.ID, first.Topic, first.Partition, first.Offset)
	for i := range m.Others {
		at := &m.Others[i].Event
		add(m.Others[i].ID, at.ID, at.Topic, at.Partition, at.Offset)
	}
	ts := []term{{index: indexAll}, {index: indexFunction, value: m.Run.Function}, {index: indexNames, names: names}}
	for place, offsets := range places {
		ts = append(ts, term{index: indexPlace, value: place, names: offsets})
	}
	return ts
}

func placeTerm(topic string, partition int32, offset int64) term {
	b := append([]byte(topic), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	return term{index: indexPlace, value: string(binary.BigEndian.AppendUint64(b, uint64(offset/stretch)))}
}

// hashOf is what the index of names has of an id. What has the same hash by chance is told apart by what the row says.
func hashOf(id string) uint32 { return crc32.ChecksumIEEE([]byte(id)) }

// holds says whether an entry's names have one.
func holds(names []byte, name uint32) bool {
	for ; len(names) >= 4; names = names[4:] {
		if binary.LittleEndian.Uint32(names) == name {
			return true
		}
	}
	return false
}

// oneOfMany looks for a run in the rows of many; nil = it is in none.
func (h *History) oneOfMany(id string) (*function.Run, error) {
	s, err := h.newScan(runsTable(), Query{}, []probe{{term: term{index: indexNames}, name: hashOf(id), named: true}})
	if err != nil {
		return nil, err
	}
	defer s.close()
	for s.next() {
		runs, err := runsOf(s.id, s.row.doc)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			if r.ID == id {
				return r, nil
			}
		}
	}
	return nil, s.err
}

// runsOf decodes a row of the runs' table.
func runsOf(id string, doc []byte) ([]*function.Run, error) {
	if many(id) {
		return decodeMany(doc)
	}
	r := new(function.Run)
	if err := json.Unmarshal(doc, r); err != nil {
		return nil, fmt.Errorf("decode run %s: %w", id, err)
	}
	return []*function.Run{r}, nil
}
