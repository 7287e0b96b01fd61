package dispatch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// The values of the records in _dalamb.progress begin with the format that they are written in.
const progressFormat = 1

// maxPending is more than any lane can have pending; a record that says more is damaged.
const maxPending = 1 << 20

// scanRecord is how far the shared scan of a partition is.
type scanRecord struct {
	position int64  // the next offset
	control  int64  // control offset of the catalog that was used: a trigger that came to be from there on has seen nothing
	commit   int64  // counts the commits on this partition
	life     uint64 // random for each time that the partition was taken over: with commit it names one commit
	clean    bool   // the owner has left in order: nothing was running
}

func (r scanRecord) encode() []byte {
	b := append(make([]byte, 0, 32), progressFormat)
	b = binary.AppendUvarint(b, uint64(r.position))
	b = binary.AppendUvarint(b, uint64(r.control))
	b = binary.AppendUvarint(b, uint64(r.commit))
	b = binary.BigEndian.AppendUint64(b, r.life)
	return append(b, flagByte(r.clean))
}

func decodeScan(value []byte) (scanRecord, error) {
	d := newProgressReader(value)
	r := scanRecord{position: d.number(), control: d.number(), commit: d.number(), life: d.fixed(), clean: d.flag()}
	return r, d.end()
}

// laneRecord is what a lane has left to do of what it was offered.
type laneRecord struct {
	attached bool    // offered all that the scan has passed
	scanned  int64   // not attached: the next offset that it is to be offered
	pending  []int64 // offsets of events that matched and are not finished, rising
}

// Forms of the pending offsets; the smallest is taken.
const (
	pendingDeltas = 1 // distance to the one before, for each
	pendingRuns   = 2 // distance and length, for each stretch
	pendingBitmap = 3 // the first one, then a bit for each offset
)

func (r laneRecord) encode() []byte {
	b := append(make([]byte, 0, 64), progressFormat, flagByte(r.attached))
	if !r.attached {
		b = binary.AppendUvarint(b, uint64(r.scanned))
	}
	b = binary.AppendUvarint(b, uint64(len(r.pending)))
	if len(r.pending) == 0 {
		return b
	}
	deltas, runs := pendingSizes(r.pending)
	span := r.pending[len(r.pending)-1] - r.pending[0]
	switch bitmap := span/8 + 1 + 10; {
	case deltas <= runs && int64(deltas) <= bitmap:
		b = append(b, pendingDeltas)
		last := int64(0)
		for _, o := range r.pending {
			b = binary.AppendUvarint(b, uint64(o-last))
			last = o
		}
	case int64(runs) <= bitmap:
		b = append(b, pendingRuns)
		eachRun(r.pending, func(gap, length int64) {
			b = binary.AppendUvarint(b, uint64(gap))
			b = binary.AppendUvarint(b, uint64(length))
		})
	default:
		b = append(b, pendingBitmap)
		b = binary.AppendUvarint(b, uint64(r.pending[0]))
		b = binary.AppendUvarint(b, uint64(span/8+1))
		start := len(b)
		b = append(b, make([]byte, span/8+1)...)
		for _, o := range r.pending {
			i := o - r.pending[0]
			b[start+int(i/8)] |= 1 << (i % 8)
		}
	}
	return b
}

func pendingSizes(pending []int64) (deltas, runs int) {
	last := int64(0)
	for _, o := range pending {
		deltas += uvarintLen(o - last)
		last = o
	}
	eachRun(pending, func(gap, length int64) { runs += uvarintLen(gap) + uvarintLen(length) })
	return deltas, runs
}

// eachRun calls f for each stretch of consecutive offsets with its distance from the end of the one before.
func eachRun(pending []int64, f func(gap, length int64)) {
	end := int64(0)
	for i := 0; i < len(pending); {
		j := i + 1
		for j < len(pending) && pending[j] == pending[j-1]+1 {
			j++
		}
		f(pending[i]-end, int64(j-i))
		end = pending[j-1] + 1
		i = j
	}
}

func uvarintLen(v int64) int { return (bits.Len64(uint64(v)|1) + 6) / 7 }

func decodeLane(value []byte) (laneRecord, error) {
	d := newProgressReader(value)
	r := laneRecord{attached: d.flag()}
	if !r.attached {
		r.scanned = d.number()
	}
	n := d.number()
	if n > maxPending {
		d.fail("%d pending offsets", n)
	}
	if n > 0 && d.err == nil {
		r.pending = d.pending(int(n))
	}
	if err := d.end(); err != nil {
		return laneRecord{}, err
	}
	if k := len(r.pending); !r.attached && k > 0 && r.pending[k-1] >= r.scanned {
		return laneRecord{}, fmt.Errorf("offset %d is pending but the lane stands at %d", r.pending[k-1], r.scanned)
	}
	return r, nil
}

// retryRecord is what a run that is not finished has behind it. It is written when an attempt has failed, and in careful mode
// before an attempt begins.
type retryRecord struct {
	started  int       // number of the attempt that began and whose end is not known; 0 = none
	due      time.Time // when the next attempt may begin; zero = at once
	attempts []function.Attempt
}

func (r retryRecord) encode() ([]byte, error) {
	b := append(make([]byte, 0, 256), progressFormat)
	b = binary.AppendUvarint(b, uint64(r.started))
	due := int64(0)
	if !r.due.IsZero() {
		due = max(0, r.due.UnixMilli())
	}
	b = binary.AppendUvarint(b, uint64(due))
	attempts, err := json.Marshal(r.attempts)
	if err != nil {
		return nil, fmt.Errorf("encode attempts: %w", err)
	}
	return append(b, attempts...), nil
}

func decodeRetry(value []byte) (retryRecord, error) {
	d := newProgressReader(value)
	r := retryRecord{started: int(min(d.number(), math.MaxInt32))}
	if due := d.number(); due != 0 {
		r.due = time.UnixMilli(due)
	}
	rest := d.rest()
	if d.err != nil {
		return retryRecord{}, d.err
	}
	if err := json.Unmarshal(rest, &r.attempts); err != nil {
		return retryRecord{}, fmt.Errorf("decode attempts: %w", err)
	}
	if r.started != 0 && r.started != len(r.attempts)+1 {
		return retryRecord{}, fmt.Errorf("attempt %d began after %d attempts", r.started, len(r.attempts))
	}
	return r, nil
}

// progressReader reads a value piece by piece. After the first error it gives zeros; end tells.
type progressReader struct {
	b   []byte
	err error
}

func newProgressReader(value []byte) *progressReader {
	d := &progressReader{b: value}
	switch format := d.byte(); {
	case d.err == nil && format != progressFormat:
		d.fail("format %d, and this binary reads format %d", format, progressFormat)
	}
	return d
}

var errShort = errors.New("the value ends too early")

func (d *progressReader) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *progressReader) byte() byte {
	if d.err != nil {
		return 0
	}
	if len(d.b) == 0 {
		d.err = errShort
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *progressReader) flag() bool {
	v := d.byte()
	if v > 1 {
		d.fail("a flag is %d", v)
	}
	return v == 1
}

// number reads an offset or a count: never negative.
func (d *progressReader) number() int64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.err = errShort
		return 0
	}
	if v > math.MaxInt64 {
		d.fail("number %d is out of range", v)
		return 0
	}
	d.b = d.b[n:]
	return int64(v)
}

func (d *progressReader) fixed() uint64 {
	if d.err != nil {
		return 0
	}
	if len(d.b) < 8 {
		d.err = errShort
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *progressReader) rest() []byte {
	b := d.b
	d.b = nil
	return b
}

func (d *progressReader) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}

func (d *progressReader) pending(n int) []int64 {
	var ps []int64
	switch form := d.byte(); form {
	case pendingDeltas:
		next := int64(0)
		for i := 0; i < n && d.err == nil; i++ {
			delta := d.number()
			if i > 0 && delta == 0 {
				d.fail("a pending offset stands twice")
			}
			next = d.add(next, delta)
			ps = append(ps, next)
		}
	case pendingRuns:
		next := int64(0)
		for len(ps) < n && d.err == nil {
			next = d.add(next, d.number())
			length := d.number()
			if length == 0 || length > int64(n-len(ps)) {
				d.fail("a stretch of %d pending offsets", length)
				break
			}
			d.add(next, length)
			for range length {
				ps = append(ps, next)
				next++
			}
		}
	case pendingBitmap:
		first := d.number()
		size := d.number()
		if size > int64(len(d.b)) {
			d.fail("a bitmap of %d bytes", size)
			return nil
		}
		d.add(first, size*8)
		for i, v := range d.b[:size] {
			for ; v != 0; v &= v - 1 {
				ps = append(ps, first+int64(i)*8+int64(bits.TrailingZeros8(v)))
			}
		}
		d.b = d.b[size:]
		if len(ps) != n {
			d.fail("a bitmap of %d offsets where there are %d", len(ps), n)
		}
	default:
		d.fail("pending offsets in form %d", form)
	}
	if d.err == nil && !slices.IsSorted(ps) {
		d.fail("pending offsets are out of order")
	}
	return ps
}

func (d *progressReader) add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		d.fail("an offset is out of range")
		return 0
	}
	return a + b
}

func flagByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}
