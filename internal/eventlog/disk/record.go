package disk

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// A stored record:
//
//	version  1 byte, recordVersion
//	flags    1 byte
//	time     8 bytes, Unix milliseconds: Record.Time
//	mark     8 bytes, Unix milliseconds: the largest time of this partition so far, this record's included
//	envelope only with flagSealed: key id and nonce, each as uvarint length and bytes
//	body     key, headers, value; sealed under the envelope's key where there is one
//
// The mark never goes back, whatever times the callers give, so that a time can be found by binary search.
const recordVersion = 1

const (
	flagKey     byte = 1 << iota // there is a key, maybe an empty one
	flagValue                    // there is a value, maybe an empty one; without it the record is a tombstone
	flagHeaders                  // there are headers
	flagStamped                  // the log gave the time
	flagSealed                   // the body is encrypted; no format that writes it exists yet
)

const recordHead = 1 + 1 + 8 + 8

// recordSize is the exact length of the stored form.
func recordSize(r *eventlog.Record) int {
	n := recordHead + len(r.Value)
	if r.Key != nil {
		n += uvarintLen(len(r.Key)) + len(r.Key)
	}
	if len(r.Headers) > 0 {
		n += uvarintLen(len(r.Headers))
		for i := range r.Headers {
			h := &r.Headers[i]
			n += uvarintLen(len(h.Name)) + len(h.Name) + uvarintLen(len(h.Value)) + len(h.Value)
		}
	}
	return n
}

func uvarintLen(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

// putRecord writes the stored form into b, which is recordSize long.
func putRecord(b []byte, r *eventlog.Record, at, mark int64, stamped bool) {
	var flags byte
	if stamped {
		flags |= flagStamped
	}
	b[0] = recordVersion
	binary.BigEndian.PutUint64(b[2:], uint64(at))
	binary.BigEndian.PutUint64(b[10:], uint64(mark))
	n := recordHead
	put := func(p []byte) {
		n += binary.PutUvarint(b[n:], uint64(len(p)))
		n += copy(b[n:], p)
	}
	if r.Key != nil {
		flags |= flagKey
		put(r.Key)
	}
	if len(r.Headers) > 0 {
		flags |= flagHeaders
		n += binary.PutUvarint(b[n:], uint64(len(r.Headers)))
		for i := range r.Headers {
			h := &r.Headers[i]
			n += binary.PutUvarint(b[n:], uint64(len(h.Name)))
			n += copy(b[n:], h.Name)
			put(h.Value)
		}
	}
	if r.Value != nil {
		flags |= flagValue
		copy(b[n:], r.Value)
	}
	b[1] = flags
}

// recordTimes reads a stored record's time and mark alone.
func recordTimes(b []byte) (at, mark int64, stamped bool, err error) {
	if len(b) < recordHead || b[0] != recordVersion {
		return 0, 0, false, errBadRecord(b)
	}
	return int64(binary.BigEndian.Uint64(b[2:])), int64(binary.BigEndian.Uint64(b[10:])), b[1]&flagStamped != 0, nil
}

// recordKeyOf reads a stored record's key and whether it is a tombstone; the key shares b's memory.
func recordKeyOf(b []byte) (key []byte, tombstone bool, err error) {
	if len(b) < recordHead || b[0] != recordVersion || b[1]&flagSealed != 0 {
		return nil, false, errBadRecord(b)
	}
	if b[1]&flagKey == 0 {
		return nil, b[1]&flagValue == 0, nil
	}
	key, _, ok := takeBytes(b[recordHead:])
	if !ok {
		return nil, false, errBadRecord(b)
	}
	return key, b[1]&flagValue == 0, nil
}

// readRecord decodes the stored form into r, whose topic, partition and offset it leaves as they are. The record shares b's memory. Of what r was before it
// uses the headers' memory again where again is true, and the names that are the same: records beside each other mostly have the same names.
func readRecord(b []byte, r *eventlog.Record, again bool) error {
	at, _, _, err := recordTimes(b)
	if err != nil {
		return err
	}
	flags, rest, ok := b[1], b[recordHead:], true
	if flags&flagSealed != 0 {
		id, _, _ := takeBytes(rest)
		return fmt.Errorf("record is encrypted with key %q, which this version of dalamb cannot open", id)
	}
	r.Time = time.UnixMilli(at).UTC()
	r.Key, r.Value = nil, nil
	if flags&flagKey != 0 {
		if r.Key, rest, ok = takeBytes(rest); !ok {
			return errBadRecord(b)
		}
	}
	before := r.Headers
	r.Headers = nil
	if flags&flagHeaders != 0 {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)) {
			return errBadRecord(b)
		}
		rest = rest[w:]
		if again && n <= uint64(cap(before)) {
			r.Headers = before[:n]
		} else {
			r.Headers = make([]eventlog.Header, n)
		}
		for i := range r.Headers {
			var name []byte
			if name, rest, ok = takeBytes(rest); !ok {
				return errBadRecord(b)
			}
			if i < len(before) && before[i].Name == string(name) {
				r.Headers[i].Name = before[i].Name
			} else {
				r.Headers[i].Name = string(name)
			}
			if r.Headers[i].Value, rest, ok = takeBytes(rest); !ok {
				return errBadRecord(b)
			}
		}
	}
	if flags&flagValue != 0 {
		r.Value = rest[:len(rest):len(rest)]
	}
	return nil
}

func takeBytes(b []byte) (p, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	end := w + int(n)
	return b[w:end:end], b[end:], true
}

func errBadRecord(b []byte) error {
	if len(b) > 0 && b[0] != recordVersion {
		return fmt.Errorf("record has version %d, this version of dalamb reads %d", b[0], recordVersion)
	}
	return fmt.Errorf("record of %d bytes is damaged", len(b))
}
