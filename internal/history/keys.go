package history

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// The layout of the index, format 4. A table has a letter of its own: runs R, dead letters D.
//
//	m <topic> 0 <partition>                          -> mark: how far that partition is folded
//	C <event id>                                     -> when its run was cancelled
//	<table> r <id>                                   -> row
//	<table> i <index> <value> 0 <newest first> <id>  -> nothing, or names
//
// <newest first> is the row's time in milliseconds, subtracted from the largest number, so that a scan begins with the newest.
// The indexes: a all rows (value empty), f function, s state and x state, slash, function (both of runs that did not succeed), e the event's id, n the names in rows of
// many runs (value empty), p places in the log of the events of such rows. See many.go for these. v,
// of dead letters: function, slash, version of the last attempt.

const (
	indexAll      = 'a'
	indexFunction = 'f'
	indexState    = 's'
	indexStateOf  = 'x'
	indexEvent    = 'e'
	indexNames    = 'n'
	indexPlace    = 'p'
	indexVersion  = 'v'
)

// table is one kind of row.
type table struct {
	letter byte
	// terms lists the index entries of a stored row of one thing.
	terms func(doc []byte) ([]term, error)
}

type term struct {
	index byte
	value string
	names []byte // what the entry holds
}

func runsTable() *table {
	return &table{letter: 'R', terms: func(doc []byte) ([]term, error) {
		var r function.Run
		if err := json.Unmarshal(doc, &r); err != nil {
			return nil, fmt.Errorf("decode run: %w", err)
		}
		return runTerms(&r), nil
	}}
}

func deadTable() *table {
	return &table{letter: 'D', terms: func(doc []byte) ([]term, error) {
		var d function.DeadLetter
		if err := json.Unmarshal(doc, &d); err != nil {
			return nil, fmt.Errorf("decode dead letter: %w", err)
		}
		return deadTerms(&d), nil
	}}
}

func runTerms(r *function.Run) []term {
	ts := []term{{index: indexAll}, {index: indexFunction, value: r.Function}, eventTerm(r.Event.ID)}
	if r.State != function.RunSucceeded {
		ts = append(ts, term{index: indexState, value: string(r.State)}, stateTerm(r.State, r.Function))
	}
	return ts
}

func deadTerms(d *function.DeadLetter) []term {
	return []term{{index: indexAll}, {index: indexFunction, value: d.Run.Function}, versionTerm(d.Run.Function, function.LastVersion(d.Run.Attempts))}
}

// stateTerm finds what went wrong with one function, however few that is of what went wrong with all of them.
func stateTerm(state function.RunState, fn string) term {
	return term{index: indexStateOf, value: fmt.Sprint(state, "/", fn)}
}

func versionTerm(fn string, version int) term {
	return term{index: indexVersion, value: fmt.Sprint(fn, "/", version)}
}

// eventTerm keeps the index's keys short: the id of an event may be as long as its sender likes.
func eventTerm(id string) term {
	if len(id) > 64 {
		sum := sha256.Sum256([]byte(id))
		id = string(sum[:])
	}
	return term{index: indexEvent, value: id}
}

func markKey(p eventlog.Partition) []byte {
	b := append([]byte{'m'}, p.Topic...)
	return binary.BigEndian.AppendUint32(append(b, 0), uint32(p.ID))
}

func (t *table) rowKey(id string) []byte { return append([]byte{t.letter, 'r'}, id...) }

// termPrefix begins the keys of all rows of one term, newest first.
func (t *table) termPrefix(m term) []byte {
	b := append([]byte{t.letter, 'i', m.index}, m.value...)
	return append(b, 0)
}

func (t *table) termKey(m term, at time.Time, id string) []byte {
	b := binary.BigEndian.AppendUint64(t.termPrefix(m), newestFirst(at))
	return append(b, id...)
}

// newest is what the row's index entries say of its time. An entry that says another is left over from a row that was
// replaced unseen, and means nothing.
func (r row) newest() uint64 { return newestFirst(r.at) }

func newestFirst(at time.Time) uint64 { return math.MaxUint64 - uint64(at.UnixMilli()) }

// after is the first key behind all keys that begin with prefix.
func after(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

// row is what the index keeps of a run or a dead letter.
type row struct {
	at        time.Time // of the newest record that made it
	partition int32
	offset    int64
	doc       []byte // JSON
}

const rowHeader = 8 + 4 + 8

func (r row) encode() []byte {
	b := make([]byte, 0, rowHeader+len(r.doc))
	b = binary.BigEndian.AppendUint64(b, uint64(r.at.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(r.partition))
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	return append(b, r.doc...)
}

// decodeRow shares b.
func decodeRow(b []byte) (row, error) {
	if len(b) < rowHeader {
		return row{}, fmt.Errorf("decode history row: %d bytes", len(b))
	}
	return row{
		at:        time.UnixMilli(int64(binary.BigEndian.Uint64(b))),
		partition: int32(binary.BigEndian.Uint32(b[8:])),
		offset:    int64(binary.BigEndian.Uint64(b[12:])),
		doc:       b[rowHeader:],
	}, nil
}

// cursor says where a page ended: at the row with this tail of an index key, <newest first> <id>, which is the same in every index,
// and of that row behind so many runs; 0 = behind them all.
type cursor struct {
	tail []byte
	runs int
}

func (c cursor) encode() string {
	b := binary.BigEndian.AppendUint16(nil, uint16(c.runs))
	return base64.RawURLEncoding.EncodeToString(append(b, c.tail...))
}

func decodeCursor(s string) (cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 2+8 {
		return cursor{}, fault.New(fault.Invalid, "after: %q is not a cursor", s).WithHint("use the text that the page before gave, as it is")
	}
	return cursor{tail: b[2:], runs: int(binary.BigEndian.Uint16(b))}, nil
}
